//! A credential that is fetched, kept, and fetched again before it expires.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lifeboat_core::backoff::Backoff;
use lifeboat_core::outage::OutageLog;
use lifeboat_core::time::Moment;
use lifeboat_runtime::lock::Locked;
use object_store::CredentialProvider;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};

use super::{CredentialError, Expiring, Lifetime};

/// Where a credential is fetched from.
#[async_trait]
pub(super) trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// What is fetched.
    type Credential: Send + Sync + 'static;

    /// Fetches a new one.
    async fn fetch(&self) -> Result<Fetched<Self::Credential>, CredentialError>;
}

/// What was fetched, and for how long it is good.
#[derive(Debug)]
pub(super) struct Fetched<C> {
    pub(super) credential: C,
    pub(super) lives: Duration,
}

/// Keeps a fetched credential. It is fetched again before it ends: when a quarter of its life is left, but at most five
/// minutes. While that fails or hangs, the old one is used until its end.
pub(super) struct Refreshed<F: Fetch>(Arc<Cache<F>>);

struct Cache<F: Fetch> {
    source: F,
    held: Mutex<Held<F::Credential>>,
    /// One fetches at a time.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

struct Held<C> {
    credential: Option<Arc<C>>,
    ends: Instant,
    due: Instant,
    failed: Option<CredentialError>,
    backoff: Backoff,
    began: Instant,
    outage: OutageLog,
}

/// What is held at this moment.
enum Now<C> {
    /// Nothing is to be fetched: this is the answer.
    Settled(Result<Arc<C>, CredentialError>),
    /// It is to be fetched; meanwhile this could still be used.
    Due(Option<Arc<C>>),
}

const LONGEST_MARGIN: Duration = Duration::from_secs(300);
/// After a failure, further requests fail at once for this long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For how long a request waits for a new credential while it could use the one that is held.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(1);

impl<F: Fetch> Refreshed<F> {
    /// Nothing is fetched yet.
    pub(super) fn new(source: F) -> Self {
        let now = Instant::now();
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let outage = OutageLog::default();
        let held = Held { credential: None, ends: now, due: now, failed: None, backoff, began: now, outage };
        Self(Arc::new(Cache { source, held: Mutex::new(held), fetching: Arc::default() }))
    }
}

impl<F: Fetch> Cache<F> {
    fn look(&self) -> Now<F::Credential> {
        let held = self.held.locked();
        let now = Instant::now();
        let usable = held.credential.clone().filter(|_| now < held.ends);
        match (usable, &held.failed) {
            (usable, _) if now >= held.due => Now::Due(usable),
            (Some(credential), _) => Now::Settled(Ok(credential)),
            (None, Some(error)) => Now::Settled(Err(error.clone())),
            (None, None) => Now::Due(None),
        }
    }

    fn keep(&self, fetched: Fetched<F::Credential>) -> Arc<F::Credential> {
        let mut held = self.held.locked();
        let (credential, now) = (Arc::new(fetched.credential), Instant::now());
        held.ends = now + fetched.lives;
        held.due = held.ends - LONGEST_MARGIN.min(fetched.lives / 4);
        held.credential = Some(credential.clone());
        held.failed = None;
        held.backoff.reset();
        if let Some(lasted) = held.outage.works(Moment::after_start(now - held.began)) {
            tracing::info!("the credentials for the store were renewed, after {lasted}");
        }
        credential
    }

    fn fail(&self, error: CredentialError) -> Result<Arc<F::Credential>, CredentialError> {
        let mut held = self.held.locked();
        let now = Instant::now();
        let usable = held.credential.clone().filter(|_| now < held.ends);
        // Without a usable credential, each caller waits for the next attempt, so that must come soon.
        let pause = held.backoff.next_wait(rand::random());

        held.due = now + if usable.is_some() { pause } else { pause.min(FIRST_PAUSE) };
        held.failed = Some(error.clone());
        let Some(credential) = usable else { return Err(error) };
        let left = (held.ends - now).as_secs();
        if let Some(lasted) = held.outage.failed("", Moment::after_start(now - held.began)) {
            tracing::warn!(
                %error,
                "the credentials for the store could not be renewed{lasted}: those at hand end in {left} s"
            );
        }
        Ok(credential)
    }

    /// Fetches a new one, unless somebody else has while the turn was waited for.
    async fn renewed(&self, _turn: OwnedMutexGuard<()>) -> Result<Arc<F::Credential>, CredentialError> {
        if let Now::Settled(answer) = self.look() {
            return answer;
        }
        match self.source.fetch().await {
            Ok(fetched) => Ok(self.keep(fetched)),
            Err(error) => self.fail(error),
        }
    }
}

#[async_trait]
impl<F: Fetch> CredentialProvider for Refreshed<F> {
    type Credential = F::Credential;

    async fn get_credential(&self) -> object_store::Result<Arc<F::Credential>> {
        let cache = self.0.clone();
        let fetching = cache.fetching.clone();
        let usable = match cache.look() {
            Now::Settled(answer) => return Ok(answer?),
            Now::Due(usable) => usable,
        };
        let Some(credential) = usable else {
            return Ok(cache.renewed(fetching.lock_owned().await).await?);
        };
        // Somebody else is renewing it.
        let Ok(turn) = fetching.try_lock_owned() else { return Ok(credential) };

        // In a task, so that it goes on when nobody waits any longer: the issuer may hang until its limit, and a leader
        // that waited as long, with a good credential at hand, could lose its lease.
        let renewal = tokio::spawn(async move { cache.renewed(turn).await });
        match timeout(RENEWAL_TIMEOUT, renewal).await {
            Ok(Ok(renewed)) => Ok(renewed?),
            Ok(Err(_)) | Err(_) => Ok(credential),
        }
    }
}

impl<F: Fetch> Expiring for Refreshed<F> {
    fn lifetime(&self) -> Lifetime {
        let held = self.0.held.locked();
        Lifetime::Left(held.ends.saturating_duration_since(Instant::now()))
    }
}

impl<F: Fetch> fmt::Debug for Refreshed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed").field("source", &self.0.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    /// Counts what it hands out, each good for 100 s.
    #[derive(Debug, Default)]
    struct Counter {
        given: AtomicU32,
        asked: AtomicU32,
        is_out: AtomicBool,
        /// Answers after 15 s.
        is_slow: AtomicBool,
    }

    #[async_trait]
    impl Fetch for Arc<Counter> {
        type Credential = u32;

        async fn fetch(&self) -> Result<Fetched<u32>, CredentialError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let takes = if self.is_slow.load(Ordering::SeqCst) { 15_000 } else { 10 };
            tokio::time::sleep(Duration::from_millis(takes)).await;
            if self.is_out.load(Ordering::SeqCst) {
                return Err(CredentialError::Unavailable("out".into()));
            }
            let credential = self.given.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Fetched { credential, lives: Duration::from_secs(100) })
        }
    }

    fn counter() -> (Arc<Counter>, Refreshed<Arc<Counter>>) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), Refreshed::new(counter))
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_before_it_ends_and_not_earlier() {
        let (_, refreshed) = counter();
        assert_eq!(*refreshed.get_credential().await.unwrap(), 1);
        pass(74).await;
        assert_eq!(*refreshed.get_credential().await.unwrap(), 1);
        pass(2).await;
        assert_eq!(*refreshed.get_credential().await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_share_one() {
        let (counter, refreshed) = counter();
        let asked = futures::future::join_all((0..20).map(|_| refreshed.get_credential())).await;
        assert!(asked.into_iter().all(|credential| *credential.unwrap() == 1));
        assert_eq!(counter.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_cannot_be_renewed_it_is_used_to_its_end_and_not_longer() {
        let (counter, refreshed) = counter();
        assert_eq!(*refreshed.get_credential().await.unwrap(), 1);
        counter.is_out.store(true, Ordering::SeqCst);
        pass(76).await;
        assert_eq!(*refreshed.get_credential().await.unwrap(), 1);
        assert_eq!(*refreshed.get_credential().await.unwrap(), 1);
        assert_eq!(counter.asked.load(Ordering::SeqCst), 2, "a failure is not repeated at once");
        pass(24).await;
        let error = refreshed.get_credential().await.unwrap_err();
        assert_eq!(CredentialError::behind(&error), Some(&CredentialError::Unavailable("out".into())));
        counter.is_out.store(false, Ordering::SeqCst);
        pass(1).await;
        assert_eq!(*refreshed.get_credential().await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_renewal_while_there_is_a_usable_one() {
        let (counter, refreshed) = counter();
        refreshed.get_credential().await.unwrap();
        pass(80).await;
        let (renewing, other) = tokio::join!(refreshed.get_credential(), refreshed.get_credential());
        assert_eq!((*renewing.unwrap(), *other.unwrap()), (2, 1));
        assert_eq!(counter.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_delays_one_request_by_a_second_and_still_counts() {
        let (counter, refreshed) = counter();
        refreshed.get_credential().await.unwrap();
        counter.is_slow.store(true, Ordering::SeqCst);
        pass(76).await;

        let started = Instant::now();
        for _ in 0..3 {
            assert_eq!(*refreshed.get_credential().await.unwrap(), 1);
        }
        assert_eq!(started.elapsed(), RENEWAL_TIMEOUT);
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(*refreshed.get_credential().await.unwrap(), 2);
        assert_eq!(counter.asked.load(Ordering::SeqCst), 2);
    }
}
