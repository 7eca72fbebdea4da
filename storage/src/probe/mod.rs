//! Tests a store's conditional writes: with one writer after the other, and with several at once. A missing answer
//! proves nothing. So single requests are not retried, and nothing is settled by reading; an unclear test is repeated
//! as a whole. What the outcome means is in `conditions`.

mod attempt;
mod race;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use lifeboat_core::backoff::Backoff;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use lifeboat_runtime::rng;
use tokio::time::timeout;

use self::attempt::{Deletion, Outcome};
use self::race::{Finish, Racer, finish};
use super::conditions::{Ability, Conditions};
use super::{Operation, Storage, StorageError, Tag, Write};

/// Writers at once.
const WRITERS: usize = 8;
/// How many races there are: a store that first checks and later writes may be lucky once.
const RACES: usize = 2;
/// How often each of the two is tried when the answers prove nothing.
const TRIES: u32 = 4;
/// Why a race that took too long proves nothing.
const STOOD_STILL: &str = "this process stood still meanwhile";
/// How many writes in a row have different lengths.
const LENGTHS: usize = 256;
/// How long the whole probe may take. A store for which it takes longer would also fail what comes after it.
const LIMIT: Duration = Duration::from_secs(120);

/// Which objects a probe may use.
#[derive(Clone, Debug)]
pub struct ProbeKeys {
    /// An object that nobody else writes, where deleting is allowed: nothing of it is left.
    pub passing: String,
    /// An object that stays by design, where deleting isn't allowed. Nobody else writes it at the same time.
    pub lasting: String,
    /// Another one, made only where deleting isn't allowed and several were told that they had created `lasting`.
    pub lasting_too: String,
}

/// One try of one ability.
enum Round {
    Concluded(Ability),
    Unclear(String),
}

impl Round {
    fn unclear(reason: &str) -> Self {
        Self::Unclear(reason.to_owned())
    }
}

struct Probe<'a> {
    storage: &'a Storage,
    key: &'a str,
    other_key: &'a str,
    may_delete: bool,
    content: &'a [u8],
}

impl Storage {
    /// What this store's conditional writes are worth, once that is known.
    pub fn conditions(&self) -> Option<Conditions> {
        self.conditions.locked().clone()
    }

    /// Finds out what this store's conditional writes are worth, unless that is known. From then on [`Storage::write`]
    /// goes by it. What is unclear may be found out by asking again. `content` is JSON; what is written is that, with white
    /// space after it.
    ///
    /// # Errors
    /// When the store can't be read or written at all; then nothing is known yet, and it may be asked again.
    pub async fn probe(&self, keys: &ProbeKeys, content: &[u8]) -> Result<Conditions, StorageError> {
        if let Some(known) = self.conditions().filter(|known| !known.are_unclear()) {
            return Ok(known);
        }
        let conditions = self.with_probe(keys, content, async |probe| {
            timeout(LIMIT, probe.conditions()).await.unwrap_or_else(|_| {
                Err(StorageError::Unavailable {
                    place: self.place.clone(),
                    key: probe.key.to_owned(),
                    what: Operation::Put,
                    reason: format!("its conditional writes could not be probed within {} s", LIMIT.as_secs()),
                })
            })
        });

        let conditions = conditions.await?;
        *self.conditions.locked() = Some(conditions.clone());
        Ok(conditions)
    }

    /// Writes an object without a condition, and deletes it again if that is allowed.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn try_writing(&self, keys: &ProbeKeys, content: &[u8]) -> Result<(), StorageError> {
        self.with_probe(keys, content, async |probe| probe.put_content().await).await
    }

    /// The same, and compares what can be read back before it is deleted.
    ///
    /// # Errors
    /// Also when it can't be read, and [`StorageError::ReadBackDiffers`] when other bytes come back.
    pub async fn try_writing_and_reading(&self, keys: &ProbeKeys, content: &[u8]) -> Result<(), StorageError> {
        let compared = self.with_probe(keys, content, async |probe| {
            probe.put_content().await?;
            match self.has_bytes(probe.key, content).await? {
                true => Ok(()),
                false => Err(StorageError::ReadBackDiffers { place: self.place.clone(), key: probe.key.to_owned() }),
            }
        });
        compared.await
    }

    /// Replaces an object as what is published is replaced: exactly the version that was read, and not again the one that
    /// was replaced. Then deletes it if that is allowed.
    ///
    /// # Errors
    /// When it can't be replaced so.
    pub async fn try_replacing(&self, keys: &ProbeKeys, content: &[u8]) -> Result<(), StorageError> {
        self.with_probe(keys, content, async |probe| probe.replace().await).await
    }

    // Chooses the object, and deletes it at the end where that is allowed, also when the probe failed half-way.
    async fn with_probe<T>(
        &self,
        keys: &ProbeKeys,
        content: &[u8],
        run: impl AsyncFnOnce(&Probe<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let may_delete = self.may_delete(&keys.passing).await;
        let key = if may_delete { &keys.passing } else { &keys.lasting };
        let probe = Probe { storage: self, key, other_key: &keys.lasting_too, may_delete, content };

        let result = run(&probe).await;
        if may_delete {
            probe.clear().await;
        }
        result
    }

    // Deleting what isn't there shows whether deleting is allowed: S3 answers 204 or 403, the others 404 or 403.
    async fn may_delete(&self, key: &str) -> bool {
        for _ in 0..2 {
            match attempt::delete(self, key).await {
                Deletion::Done => return true,
                Deletion::Forbidden => return false,
                Deletion::Unclear => {}
            }
        }
        false
    }
}

impl Probe<'_> {
    async fn put_content(&self) -> Result<(), StorageError> {
        self.storage.write(self.key, Bytes::copy_from_slice(self.content), Write::Replace).await.map(|_| ())
    }

    async fn replace(&self) -> Result<(), StorageError> {
        let (key, storage) = (self.key, self.storage);
        storage.write(key, self.next_bytes(), Write::Replace).await?;
        let (_, tag) = storage.read(key, 1 << 20).await?;
        let newest = self.next_bytes();
        storage.write(key, newest.clone(), Write::Update(tag.clone())).await?;
        storage.read_back(key, &newest).await?;
        match storage.write(key, self.next_bytes(), Write::Update(tag)).await {
            Err(StorageError::Conflict { .. }) => Ok(()),
            Ok(_) => Err(StorageError::Misconfigured {
                place: storage.place.clone(),
                reason: "it replaced a version of an object that had been replaced before".to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    async fn conditions(&self) -> Result<Conditions, StorageError> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(4));
        let mut before = None;
        let create = loop {
            // Without the right to delete, an object can be raced for only once.
            let is_spent = !self.may_delete && matches!(before, Some(Ability::Racy { .. }));
            let key = if is_spent { self.other_key } else { self.key };
            let round = Probe { key, ..*self }.create().await;
            if let Some(ability) = self.settled(round, &mut backoff, &mut before).await? {
                break ability;
            }
        };

        backoff.reset();
        before = None;
        let swap = loop {
            let round = self.swap().await;
            if let Some(ability) = self.settled(round, &mut backoff, &mut before).await? {
                break ability;
            }
        };
        Ok(Conditions { create, swap })
    }

    // `None` if it is to be tried again. A request that arrives late, or twice, looks like a condition that was ignored, and
    // a deletion in the middle of a race, a late one of ours or one by another, lets an honest store name two winners. So
    // after such a finding, two rounds in succession must agree.
    async fn settled(
        &self,
        round: Result<Round, StorageError>,
        backoff: &mut Backoff,
        before: &mut Option<Ability>,
    ) -> Result<Option<Ability>, StorageError> {
        let is_last = backoff.failures() + 1 >= TRIES;
        let contradiction = || Ability::Unclear("its answers contradict each other".to_owned());

        match round {
            Ok(Round::Concluded(ability)) => {
                let is_settled = match before.as_ref() {
                    Some(before) => before.deceives() == ability.deceives(),
                    None => !ability.deceives(),
                };
                if is_settled {
                    return Ok(Some(ability));
                }
                if is_last {
                    return Ok(Some(contradiction()));
                }
                tracing::debug!(%ability, "a probe found this once, trying again");
                *before = Some(ability);
            }
            Ok(Round::Unclear(reason)) if is_last => return Ok(Some(Ability::Unclear(reason))),
            Err(error) if is_last || !error.is_transient() => return Err(error),
            Ok(Round::Unclear(reason)) => tracing::debug!(%reason, "a probe proved nothing, trying again"),
            Err(error) => tracing::debug!(%error, "a probe failed, trying again"),
        }
        tokio::time::sleep(backoff.next_wait(rng::random())).await;
        Ok(None)
    }

    async fn create(&self) -> Result<Round, StorageError> {
        // Connections are opened by reading, so that the writers set off together.
        let readers = (0..WRITERS).map(|_| attempt::look(self.storage, self.key));
        let mut before = try_join_all(readers).await?.pop().flatten();

        // Without the right to delete there is one race only, and none for what is there already.
        for _ in 0..if self.may_delete { RACES } else { 1 } {
            if self.may_delete {
                self.clear().await;
                before = None;
            }
            let Some(racers) = self.race(&Write::Create).await? else { return Ok(Round::unclear(STOOD_STILL)) };
            let found = attempt::look(self.storage, self.key).await?;
            let before = before.as_ref().map(|(bytes, _)| bytes);
            match finish(&racers, before, found.as_ref().map(|(bytes, _)| bytes)) {
                Finish::OneWon | Finish::NoneWon => {}
                Finish::Incapable(reason) => return self.unless_nothing_can_be_written(reason).await,
                Finish::RefusedAndWritten => return Ok(Round::Concluded(Ability::Ignored)),
                Finish::SeveralWon(winners) => return self.ignored_or_racy(winners).await,
                Finish::Unclear(reason) => return Ok(Round::Unclear(reason)),
            }
        }
        self.second_create().await
    }

    async fn second_create(&self) -> Result<Round, StorageError> {
        let before = attempt::read(self.storage, self.key).await?;
        let outcome = self.write(Write::Create).await?.1;
        let after = attempt::read(self.storage, self.key).await?;
        Ok(match (outcome, before, after) {
            (Outcome::Won(_), Some(_), _) => Round::Concluded(Ability::Ignored),
            (Outcome::Lost, Some((before, _)), Some((after, _))) if before == after => {
                Round::Concluded(Ability::Honoured)
            }
            (Outcome::Lost, Some(_), Some(_)) => Round::Concluded(Ability::Ignored),
            (Outcome::TurnedAway(reason) | Outcome::Unclear(reason) | Outcome::Incapable(reason), ..) => {
                Round::Unclear(reason)
            }
            (..) => Round::unclear("what was created is gone"),
        })
    }

    // Several writers were told that they had won. Finds out whether a single writer gets the right answer.
    async fn ignored_or_racy(&self, winners: usize) -> Result<Round, StorageError> {
        Ok(match self.second_create().await? {
            Round::Concluded(Ability::Honoured) => Round::Concluded(Ability::Racy { winners, writers: WRITERS }),
            other => other,
        })
    }

    // Otherwise a store that refuses every write would be taken for one without conditional writes.
    async fn unless_nothing_can_be_written(&self, reason: String) -> Result<Round, StorageError> {
        Ok(match self.write(Write::Replace).await?.1 {
            Outcome::Won(_) => Round::Concluded(Ability::Refused(reason)),
            _ => Round::Unclear(reason),
        })
    }

    async fn swap(&self) -> Result<Round, StorageError> {
        let (bytes, tag) = match attempt::look(self.storage, self.key).await? {
            Some(found) => found,
            None => match self.write(Write::Replace).await? {
                (bytes, Outcome::Won(tag)) => (bytes, tag),
                (_, Outcome::TurnedAway(reason) | Outcome::Unclear(reason)) => return Ok(Round::Unclear(reason)),
                (_, Outcome::Lost | Outcome::Incapable(_)) => {
                    return Ok(Round::unclear("a write without a condition was refused"));
                }
            },
        };
        let newer = match self.write(Write::Update(tag.clone())).await?.1 {
            Outcome::Won(newer) => newer,
            Outcome::Incapable(reason) => return self.unless_nothing_can_be_written(reason).await,
            Outcome::TurnedAway(reason) | Outcome::Unclear(reason) => return Ok(Round::Unclear(reason)),
            Outcome::Lost => return self.refused_the_right_one(&bytes).await,
        };

        match self.stale_swap(tag, &newer).await? {
            Round::Concluded(Ability::Honoured) => {}
            other => return Ok(other),
        }
        for _ in 0..RACES {
            let Some((before, tag)) = attempt::read(self.storage, self.key).await? else {
                return Ok(Round::unclear("what was written is gone"));
            };
            let Some(racers) = self.race(&Write::Update(tag)).await? else {
                return Ok(Round::unclear(STOOD_STILL));
            };
            let found = attempt::read(self.storage, self.key).await?;
            match finish(&racers, Some(&before), found.as_ref().map(|(bytes, _)| bytes)) {
                Finish::OneWon => {}
                Finish::NoneWon => return Ok(Round::unclear("of several writers at once none was let through")),
                Finish::RefusedAndWritten => return Ok(Round::Concluded(Ability::Ignored)),
                Finish::SeveralWon(winners) => {
                    return Ok(Round::Concluded(Ability::Racy { winners, writers: WRITERS }));
                }
                Finish::Incapable(reason) | Finish::Unclear(reason) => return Ok(Round::Unclear(reason)),
            }
        }
        Ok(Round::Concluded(Ability::Honoured))
    }

    async fn stale_swap(&self, stale: Tag, newer: &Tag) -> Result<Round, StorageError> {
        if stale == *newer {
            return Ok(Round::Concluded(Ability::Refused("different bytes have the same version".to_owned())));
        }
        let before = attempt::read(self.storage, self.key).await?;
        let outcome = self.write(Write::Update(stale)).await?.1;
        let after = attempt::read(self.storage, self.key).await?;

        Ok(match (outcome, before, after) {
            (Outcome::Won(_), ..) => Round::Concluded(Ability::Ignored),
            (Outcome::Lost, Some((before, _)), Some((after, _))) if before == after => {
                Round::Concluded(Ability::Honoured)
            }
            (Outcome::Lost, Some(_), Some(_)) => Round::Concluded(Ability::Ignored),
            (Outcome::TurnedAway(reason) | Outcome::Unclear(reason) | Outcome::Incapable(reason), ..) => {
                Round::Unclear(reason)
            }
            (..) => Round::unclear("what was written is gone"),
        })
    }

    // Something between may change the versions' names, as compressing proxies do. Then nothing could ever be replaced.
    async fn refused_the_right_one(&self, bytes: &Bytes) -> Result<Round, StorageError> {
        Ok(match attempt::read(self.storage, self.key).await? {
            Some((found, _)) if found == bytes => {
                let reason = "it also refuses what names the version that was read";
                Round::Concluded(Ability::Refused(reason.to_owned()))
            }
            _ => Round::unclear("another writes the same object"),
        })
    }

    // None if it took longer than a request may take: then this process stood still, suspended perhaps, and another, a
    // lifecycle rule for example, may have deleted in the middle of the race what its winner had created.
    async fn race(&self, how: &Write) -> Result<Option<Vec<Racer>>, StorageError> {
        let (storage, key, clock) = (self.storage, self.key, Clock::start());
        let begun = clock.now();
        let writers: Vec<Bytes> = (0..WRITERS).map(|_| self.next_bytes()).collect();
        let racing = writers.into_iter().map(|bytes| async move {
            let outcome = attempt::write(storage, key, bytes.clone(), how.clone()).await?;
            Ok((bytes, outcome))
        });
        // All are awaited, so that no write is on its way any more when one has failed.
        let racers: Result<Vec<Racer>, StorageError> = join_all(racing).await.into_iter().collect();
        racers.map(|racers| (clock.now().since(begun) <= attempt::LIMIT).then_some(racers))
    }

    async fn write(&self, how: Write) -> Result<Racer, StorageError> {
        let bytes = self.next_bytes();
        let outcome = attempt::write(self.storage, self.key, bytes.clone(), how).await?;
        Ok((bytes, outcome))
    }

    // No two writes have the same bytes, and whichever stays is the content. A write of an earlier probe may arrive during
    // this one, so they are numbered for the store. A version may be made of the bytes alone, or of their number.
    fn next_bytes(&self) -> Bytes {
        let number = self.storage.probed.fetch_add(1, Ordering::Relaxed);
        let digits = (0..u32::BITS).map(|digit| if number >> digit & 1 == 0 { b' ' } else { b'\t' });
        let lines = std::iter::repeat_n(b'\n', 1 + number as usize % LENGTHS);
        self.content.iter().copied().chain(digits).chain(lines).collect()
    }

    async fn clear(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        while backoff.failures() < TRIES {
            match attempt::delete(self.storage, self.key).await {
                Deletion::Done => return,
                Deletion::Forbidden => break,
                Deletion::Unclear => tokio::time::sleep(backoff.next_wait(rng::random())).await,
            }
        }
        tracing::warn!("{}: {} could not be deleted and is of no use: delete it", self.storage.place, self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::access::Location;

    fn keys() -> ProbeKeys {
        let key = |name| format!("3.9.1/election/{name}.json");
        ProbeKeys { passing: key("p"), lasting: key("n"), lasting_too: key("m") }
    }

    async fn remaining(storage: &Storage) -> Vec<String> {
        storage.list("3.9.1", None).await.unwrap()
    }

    #[tokio::test]
    async fn memory_honours_both() {
        let storage = Storage::over(Arc::new(InMemory::new()), "memory://");
        assert_eq!(storage.conditions(), None);
        assert!(storage.probe(&keys(), b"{}").await.unwrap().lease_possible());
        assert!(storage.clone().conditions().unwrap().lease_possible(), "clones know it too");
        assert_eq!(remaining(&storage).await, Vec::<String>::new());
    }

    #[test]
    fn no_two_writes_have_the_same_bytes_whichever_probe_they_are_of() {
        let storage = Storage::over(Arc::new(InMemory::new()), "memory://");
        let mut written = std::collections::HashSet::new();
        for _ in 0..3 {
            let key = "3.9.1/election/n.json";
            let probe = Probe { storage: &storage, key, other_key: key, may_delete: false, content: b"{}" };
            for _ in 0..LENGTHS + 1 {
                let bytes = probe.next_bytes();
                assert_eq!(bytes.trim_ascii(), b"{}");
                assert!(written.insert(bytes), "these bytes were written before");
            }
        }
    }

    #[tokio::test]
    async fn a_folder_creates_only_what_is_absent_and_has_no_compare_and_swap() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display()).parse().unwrap();
        let storage = Storage::open(&Location::local(url)).unwrap();
        let Conditions { create, swap } = storage.probe(&keys(), b"{}").await.unwrap();
        assert_eq!(create, Ability::Honoured);
        assert!(matches!(swap, Ability::Refused(_)), "{swap}");
        assert_eq!(remaining(&storage).await, Vec::<String>::new());
    }
}
