//! Asks the store of the backups whether the elected exporter may lead: an election may be held in another store, and
//! two elections must not have two leaders. The machine in `core` decides what follows from the answers.

use std::future::pending;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_core::export::election::clearance::{Clearance, Next, Seen, Unchanged};
use lifeboat_core::export::election::{MARK_RECHECK, REQUEST_LIMIT, SOON};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::Moment;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::{Operation, StorageError, Tag};
use tokio::time::timeout;

use super::under_way;
use crate::archive::Archive;

/// What was found out.
#[derive(Debug)]
pub(super) enum Found {
    /// The elected exporter may lead.
    MayLead,
    /// It may not: the election is held in this other store.
    Elsewhere(String),
    /// Another exporter takes part in the election beside the backups, so this one waits.
    OthersBesideTheBackups,
    /// The store did not tell. It is asked again.
    Failed(StorageError),
}

/// Asks.
pub(super) struct ClearanceDriver {
    /// Where the backups are.
    archive: Archive,
    version: KongVersion,
    /// Where this exporter's election is held, if not there.
    own: Option<String>,
    clock: Clock,
    asking: Option<Asking>,
    /// The election beside the backups at the last look.
    usual: Option<Unchanged<Tag>>,
    work: Option<BoxFuture<'static, Result<Seen<Tag>, StorageError>>>,
}

struct Asking {
    clearance: Clearance<Tag>,
    about: About,
    /// Not before.
    from: Moment,
    has_said_that_it_waits: bool,
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// All that must be known before somebody leads.
    Everything,
    /// Whether the mark is still there, or still not.
    TheMark,
}

impl ClearanceDriver {
    /// For an election in `own`, or beside the backups in `archive`.
    pub(super) fn new(archive: Archive, version: KongVersion, own: Option<String>, clock: Clock) -> Self {
        Self { archive, version, own, clock, asking: None, usual: None, work: None }
    }

    /// Begins to ask for everything, unless it is being asked for.
    pub(super) fn ask(&mut self) {
        if !self.asking.as_ref().is_some_and(|asking| asking.about == About::Everything) {
            self.begin(About::Everything, self.clock.now());
        }
    }

    /// Asks for the mark alone, after a while.
    pub(super) fn ask_for_the_mark_later(&mut self) {
        self.begin(About::TheMark, self.clock.now() + MARK_RECHECK);
    }

    /// Nothing needs to be known any more.
    pub(super) fn end(&mut self) {
        self.asking = None;
        self.work = None;
    }

    fn begin(&mut self, about: About, from: Moment) {
        let clearance = Clearance::new(self.own.clone(), self.usual.clone());
        self.asking = Some(Asking { clearance, about, from, has_said_that_it_waits: false });
        self.work = None;
    }

    /// What is found out next; never, if nothing is asked. Loses nothing when it is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Found {
        loop {
            let Some(asking) = &mut self.asking else { return pending().await };
            self.clock.reach(asking.from).await;

            match asking.clearance.next().clone() {
                Next::Lead => {
                    self.end();
                    return Found::MayLead;
                }
                Next::LookAtUsual if asking.about == About::TheMark => {
                    self.end();
                    return Found::MayLead;
                }
                Next::Elsewhere(place) => {
                    self.end();
                    return Found::Elsewhere(place);
                }
                Next::WaitUntil(_) if !asking.has_said_that_it_waits => {
                    asking.has_said_that_it_waits = true;
                    return Found::OthersBesideTheBackups;
                }
                Next::WaitUntil(moment) => {
                    self.clock.reach(moment).await;
                    asking.clearance.tick(self.clock.now());
                }
                next => {
                    if self.work.is_none() {
                        self.work = Some(request(self.archive.clone(), self.version, next));
                    }
                    let done = under_way(&mut self.work).await;
                    if let Err(error) = self.took(done) {
                        return Found::Failed(error);
                    }
                }
            }
        }
    }

    fn took(&mut self, done: Result<Seen<Tag>, StorageError>) -> Result<(), StorageError> {
        let (now, asking) = (self.clock.now(), self.asking.as_mut().expect("it is asked for"));
        match done {
            Ok(seen) => {
                asking.clearance.saw(seen, now);
                self.usual = asking.clearance.usual().cloned();
                Ok(())
            }
            Err(error) => {
                asking.from = now + SOON;
                Err(error)
            }
        }
    }
}

fn request(archive: Archive, version: KongVersion, next: Next) -> BoxFuture<'static, Result<Seen<Tag>, StorageError>> {
    let late = StorageError::Unavailable {
        place: archive.place().to_owned(),
        key: ObjectKeys::new(version).election_mark(),
        what: Operation::Get,
        reason: format!("no answer within {} s", REQUEST_LIMIT.as_secs()),
    };
    let asked = async move {
        match next {
            Next::WriteMark(mark) => match archive.mark_election(version, &mark).await {
                // Another exporter was quicker, or an answer was lost: the mark that is there is read next.
                Ok(()) | Err(StorageError::Conflict { .. }) => Ok(Seen::MarkWritten),
                Err(error) => Err(error),
            },
            Next::LookAtUsual => archive.usual_election(version).await.map(Seen::Usual),
            _ => archive.election_mark(version).await.map(Seen::Mark),
        }
    };
    async move { timeout(REQUEST_LIMIT, asked).await.unwrap_or(Err(late)) }.boxed()
}
