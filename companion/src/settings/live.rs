//! The rules that a running program adopts when its settings are read again (SIGHUP), and the one place where each part
//! looks them up whenever it decides.

use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::session::restore::OnRefusal;
use lifeboat_core::verify::AgeLimit;
use tokio::sync::watch;

use super::names::{self, Name};
use super::{DblessImportSettings, DblessSettings, Follow, Problems, Reader, RunSettings, Source};

/// The settings that can change while the program runs: those of [`LiveRules`], and the log's level, which the log
/// itself reads.
pub(super) const LIVE: [Name; 5] = [
    names::LIFEBOAT_LOG,
    names::LIFEBOAT_MAX_AGE,
    names::LIFEBOAT_FEED_ON_REFUSAL,
    names::LIFEBOAT_FOLLOW,
    names::LIFEBOAT_MAX_SHRINK,
];

/// The rules that can change while the program runs. If a part doesn't run, its rule has the default and no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveRules {
    /// How old what is restored may be (`LIFEBOAT_MAX_AGE`).
    pub age: AgeLimit,
    /// What a control plane's refusal means (`LIFEBOAT_FEED_ON_REFUSAL`).
    pub on_refusal: OnRefusal,
    /// Whether what is published is followed in an outage, and how (`LIFEBOAT_FOLLOW`).
    pub follow: Option<Follow>,
    /// What a configuration may lose (`LIFEBOAT_MAX_SHRINK`).
    pub guard: ShrinkGuard,
}

/// The rules as they are now. Clones are the same.
#[derive(Clone, Debug)]
pub struct Rulebook(watch::Receiver<LiveRules>);

/// What came of reading the settings again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// These are the rules from now on.
    Applied(LiveRules),
    /// No setting that can change at once has changed.
    Unchanged,
    /// Something is wrong with them: all previous rules stay.
    Refused,
}

/// Changes the rules.
#[derive(Debug)]
pub struct RuleChanger(watch::Sender<LiveRules>);

impl LiveRules {
    /// Whether a program that was started with `started` can adopt them. Whose snapshots are accepted is decided at the
    /// start, and only those may be followed.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self, started: &Source, now: &Source) -> Result<(), Problems> {
        if self.follow.is_none() {
            return Ok(());
        }
        let in_force = started.with_live_of(now);
        let mut reader = Reader::new(&in_force);
        Follow::read(&mut reader);
        if reader.problems().list().is_empty() { Ok(()) } else { Err(reader.into_problems()) }
    }

    /// Those that these settings name.
    pub fn of(settings: &RunSettings) -> Self {
        let RunSettings { store, relay, keep, .. } = settings;
        Self {
            age: store.restore.age,
            on_refusal: relay.as_ref().map_or(OnRefusal::LeaveAlone, |relay| relay.rules.on_refusal),
            follow: relay.as_ref().and_then(|relay| relay.follow),
            guard: keep.first().map_or_else(ShrinkGuard::default, |keep| keep.rules.guard),
        }
    }
}

impl From<&DblessSettings> for LiveRules {
    fn from(settings: &DblessSettings) -> Self {
        Self { guard: settings.rules.guard, ..Self::default() }
    }
}

impl From<&DblessImportSettings> for LiveRules {
    fn from(settings: &DblessImportSettings) -> Self {
        Self { age: settings.store.restore.age, ..Self::default() }
    }
}

impl RuleChanger {
    /// With the rules of the start.
    pub fn new(rules: LiveRules) -> Self {
        Self(watch::Sender::new(rules))
    }

    /// For the parts that decide by them.
    pub fn rulebook(&self) -> Rulebook {
        Rulebook(self.0.subscribe())
    }

    /// Takes over what was read again, if it can be used.
    pub fn follow(&self, reloaded: Reloaded) {
        if let Reloaded::Applied(rules) = reloaded {
            self.change(rules);
        }
    }

    /// From now on they are these.
    pub fn change(&self, rules: LiveRules) {
        self.0.send_if_modified(|known| std::mem::replace(known, rules) != rules);
    }
}

impl Rulebook {
    /// Rules that don't change.
    pub fn fixed(rules: LiveRules) -> Self {
        RuleChanger::new(rules).rulebook()
    }

    /// The rules as they are now.
    pub fn now(&self) -> LiveRules {
        *self.0.borrow()
    }

    /// The rules once they have changed since they were last seen here. Loses nothing when dropped before it is ready.
    pub async fn changed(&mut self) -> LiveRules {
        if self.0.changed().await.is_err() {
            // Nobody changes them any more.
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_have_the_rulebook_see_a_change_and_are_told_of_one_only() {
        let changer = RuleChanger::new(LiveRules::default());
        let (mut one, other) = (changer.rulebook(), changer.rulebook());
        let stricter = LiveRules { guard: ShrinkGuard::new(10), ..LiveRules::default() };
        changer.change(stricter);
        assert_eq!((one.changed().await, other.now()), (stricter, stricter));
        changer.change(stricter);
        drop(changer);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), one.changed()).await;
        assert!(waited.is_err(), "it is told of a change that is none");
    }
}
