//! The lease as a table, over a store that answers at once. `weather` has one that doesn't.

mod weather;

use std::time::Duration;

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the store has: the lease with its tag, and registrations.
#[derive(Default)]
struct Store {
    lease: Option<(LeaseRecord, u64)>,
    tags: u64,
    registrations: Vec<Registration>,
}

impl Store {
    fn answer(&mut self, action: &Action<u64>) -> Option<Event<u64>> {
        Some(match action {
            Action::ReadLease => {
                let found = |(record, tag): (LeaseRecord, u64)| Found { record: Some(record), tag };
                Event::LeaseFound(self.lease.clone().map(found))
            }
            Action::WriteLease { record, over } => {
                let allowed = match (over, &self.lease) {
                    (Over::Nothing, None) => true,
                    (Over::Exactly(tag), Some((_, there))) => tag == there,
                    _ => false,
                };
                if !allowed {
                    return Some(Event::LeaseConflict);
                }
                self.tags += 1;
                self.lease = Some((record.clone(), self.tags));
                Event::LeaseWritten(self.tags)
            }
            Action::Register(registration) => {
                self.registrations.retain(|other| other.node_id != registration.node_id);
                self.registrations.push(registration.clone());
                Event::Registered
            }
            Action::ReadRegistrations => {
                let written = crate::time::WallTime::from_system(std::time::SystemTime::UNIX_EPOCH);
                let registered =
                    |registration: &Registration| Registered { registration: registration.clone(), written };
                Event::Registrations(self.registrations.iter().map(registered).collect())
            }
            Action::Lead(_) | Action::Notify(_) | Action::Finish => return None,
        })
    }
}

/// One exporter.
struct One {
    lease: Lease<u64>,
    leadership: Leadership,
    notices: Vec<Notice>,
    finished: bool,
    waiting: Vec<Action<u64>>,
}

impl One {
    fn new(name: &str, now: Moment) -> Self {
        let me = Candidate { node_id: format!("id of {name}"), hostname: name.to_owned() };
        let lease = Lease::new(me, now);
        Self { lease, leadership: Leadership::Follower, notices: Vec::new(), finished: false, waiting: Vec::new() }
    }

    /// Takes an event; what it wants of the store is left in `waiting`.
    fn on(&mut self, event: Event<u64>, now: Moment) {
        for action in self.lease.handle(event, now, 1.0) {
            match action {
                Action::Lead(leadership) => self.leadership = leadership,
                Action::Notify(notice) => self.notices.push(notice),
                Action::Finish => self.finished = true,
                store => self.waiting.push(store),
            }
        }
        assert!(self.waiting.len() <= 1, "one at a time: {:?}", self.waiting);
    }

    fn epoch(&self, now: Moment) -> Option<u64> {
        match self.leadership {
            Leadership::Leader { epoch, until } if now < until => Some(epoch),
            _ => None,
        }
    }
}

/// Exporters over a store that answers at once.
struct Table {
    store: Store,
    ones: Vec<One>,
    now: Moment,
}

impl Table {
    fn new(names: &[&str]) -> Self {
        let now = Moment::after_start(seconds(1000));
        let ones = names.iter().map(|name| One::new(name, now)).collect();
        let mut table = Self { store: Store::default(), ones, now };
        for index in 0..table.ones.len() {
            table.on(index, Event::LinkUp);
            table.on(index, Event::Tick);
        }
        table
    }

    fn on(&mut self, index: usize, event: Event<u64>) {
        let one = &mut self.ones[index];
        one.on(event, self.now);
        while let Some(action) = one.waiting.pop() {
            if let Some(answer) = self.store.answer(&action) {
                one.on(answer, self.now);
            }
        }
    }

    /// Time passes for the exporters that are awake.
    fn after(&mut self, wait: Duration, awake: &[usize]) {
        let until = self.now + wait;
        loop {
            let due = |index: &usize| Some((self.ones[*index].lease.wake_at()?.max(self.now), *index));
            let Some((moment, index)) = awake.iter().filter_map(due).min() else { break };
            if moment > until {
                break;
            }
            self.now = moment;
            self.on(index, Event::Tick);
        }
        self.now = until;
    }

    fn epochs(&self) -> Vec<Option<u64>> {
        self.ones.iter().map(|one| one.epoch(self.now)).collect()
    }
}

#[test]
fn the_first_leads_and_the_second_follows_for_as_long_as_it_renews() {
    let mut table = Table::new(&["a", "b"]);
    assert_eq!(table.epochs(), [Some(1), None]);
    for _ in 0..1000 {
        table.after(seconds(7), &[0, 1]);
        assert_eq!(table.epochs(), [Some(1), None]);
    }
    assert_eq!(table.ones[1].notices, [Notice::Follows { leader: "a".to_owned() }]);
    assert_eq!(table.store.registrations.len(), 2);
}

#[test]
fn a_leader_that_stands_still_stops_writing_before_another_leads_and_is_deposed_when_it_wakes() {
    let mut table = Table::new(&["a", "b"]);
    table.after(seconds(24), &[1]);
    assert_eq!(table.epochs(), [Some(1), None]);
    table.after(seconds(1), &[1]);
    assert_eq!(table.epochs(), [None, None], "it has stopped before the other begins");
    table.after(seconds(10), &[1]);
    assert_eq!(table.epochs(), [None, Some(2)]);
    table.on(0, Event::Tick);
    assert_eq!(
        (table.epochs(), table.ones[0].notices.last()),
        (vec![None, Some(2)], Some(&Notice::Follows { leader: "b".to_owned() }))
    );
    assert!(table.ones[0].notices.contains(&Notice::Deposed));
}

#[test]
fn a_leader_that_stood_still_and_was_not_missed_goes_on() {
    let mut table = Table::new(&["a"]);
    table.now = table.now + seconds(3600);
    assert_eq!(table.epochs(), [None]);
    table.on(0, Event::Tick);
    assert_eq!(table.epochs(), [Some(1)]);
}

#[test]
fn a_clean_end_hands_over_at_once() {
    let mut table = Table::new(&["a", "b"]);
    table.on(0, Event::Stop);
    assert!(table.ones[0].finished);
    assert_eq!(table.epochs(), [None, None]);
    table.after(WATCH, &[1]);
    assert_eq!(table.epochs(), [None, Some(2)]);
}

#[test]
fn a_renewal_whose_answer_was_lost_is_found_to_be_ones_own() {
    let mut table = Table::new(&["a"]);
    table.now = table.now + RENEWAL;
    table.ones[0].on(Event::Tick, table.now);
    let action = table.ones[0].waiting.pop().unwrap();
    table.store.answer(&action);
    table.on(0, Event::Failed);
    assert_eq!(table.epochs(), [Some(1)], "it is still within its time");
    table.after(RENEWAL, &[0]);
    assert_eq!(table.epochs(), [Some(1)]);
    assert!(!table.ones[0].notices.contains(&Notice::Deposed));
}

#[test]
fn an_expiry_rule_on_the_folder_does_not_restart_epochs() {
    let mut table = Table::new(&["a", "b"]);
    table.store = Store::default();
    table.on(0, Event::ManifestEpoch(7));
    table.on(1, Event::ManifestEpoch(7));
    table.after(RENEWAL + DEATH, &[0, 1]);
    let epochs = table.epochs();
    assert!(epochs.contains(&Some(8)), "{epochs:?}");
}

#[test]
fn an_epoch_found_in_the_manifest_is_surpassed_and_nothing_is_written_until_then() {
    let mut table = Table::new(&["a"]);
    table.ones[0].on(Event::Recheck { shown: 5 }, table.now);
    assert_eq!(table.epochs(), [None]);
    let Some(Action::WriteLease { record, .. }) = table.ones[0].waiting.last() else { panic!() };
    assert_eq!(record.epoch, 6);
    let action = table.ones[0].waiting.pop().unwrap();
    let answer = table.store.answer(&action).unwrap();
    table.on(0, answer);
    assert_eq!(table.epochs(), [Some(6)]);
}

#[test]
fn a_renewal_that_was_under_way_does_not_answer_a_recheck() {
    let mut table = Table::new(&["a"]);
    table.now = table.now + RENEWAL;
    table.ones[0].on(Event::Tick, table.now);
    table.ones[0].on(Event::Recheck { shown: 0 }, table.now);
    let action = table.ones[0].waiting.pop().unwrap();
    let answer = table.store.answer(&action).unwrap();
    table.ones[0].on(answer, table.now);
    assert_eq!(table.epochs(), [None]);
    assert!(matches!(table.ones[0].waiting[..], [Action::WriteLease { .. }]));
}

#[test]
fn a_leader_without_a_control_plane_steps_down_for_one_that_reaches_it() {
    let mut table = Table::new(&["a", "b", "c"]);
    table.on(0, Event::LinkDown);
    table.on(1, Event::LinkDown);
    table.after(seconds(9), &[0, 1, 2]);
    assert_eq!(table.epochs(), [Some(1), None, None]);
    table.after(seconds(21), &[0, 1, 2]);
    assert_eq!(table.epochs(), [None, None, Some(2)]);
    assert!(table.ones[0].notices.contains(&Notice::StepsDown { to: "c".to_owned() }));
}

#[test]
fn a_leader_without_a_control_plane_stays_where_nobody_reaches_one_and_for_who_died_meanwhile() {
    let mut table = Table::new(&["a", "b"]);
    table.on(0, Event::LinkDown);
    table.on(1, Event::LinkDown);
    table.after(seconds(300), &[0, 1]);
    assert_eq!(table.epochs(), [Some(1), None]);
    // One offers to lead, and is gone when it might.
    table.on(1, Event::LinkUp);
    table.after(seconds(6), &[1]);
    table.after(seconds(60), &[0]);
    assert_eq!(table.epochs(), [Some(2), None]);
    table.after(seconds(300), &[0]);
    assert_eq!(table.epochs(), [Some(2), None], "an offer is for one epoch");
}

#[test]
fn who_reaches_a_control_plane_takes_a_free_lease_first() {
    let mut table = Table::new(&["a", "b", "c"]);
    table.on(1, Event::LinkDown);
    table.after(seconds(15), &[0, 1, 2]);
    for _ in 0..12 {
        table.after(seconds(5), &[1, 2]);
        assert_eq!(table.epochs()[1], None);
    }
    assert_eq!(table.epochs(), [None, None, Some(2)]);
    table.after(seconds(100), &[1]);
    assert_eq!(table.epochs(), [None, Some(3), None]);
}

#[test]
fn a_lease_that_cannot_be_read_is_replaced_once_it_is_dead() {
    let now = Moment::after_start(seconds(1));
    let mut one = One::new("a", now);
    one.on(Event::LinkUp, now);
    one.on(Event::Tick, now);
    assert_eq!(one.waiting.pop(), Some(Action::ReadLease));
    let garbage = || Event::LeaseFound(Some(Found { record: None, tag: 9 }));
    one.on(garbage(), now);
    one.waiting.clear();
    one.on(Event::Registered, now);
    let later = now + DEATH;
    one.on(Event::Tick, later);
    one.waiting.clear();
    one.on(garbage(), later);
    assert!(matches!(one.waiting[..], [Action::WriteLease { over: Over::Exactly(9), .. }]), "{:?}", one.waiting);
}
