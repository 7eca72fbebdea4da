//! The registry as a table: several exporters over a store that keeps the time at which each object was written.

use std::time::{Duration, SystemTime};

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Table {
    ones: Vec<(Registry, Leadership, bool)>,
    store: Vec<Registered>,
    now: Moment,
}

impl Table {
    fn new(names: &[&str]) -> Self {
        let now = Moment::after_start(seconds(1000));
        let mut table = Self { ones: Vec::new(), store: Vec::new(), now };
        for name in names {
            table.join(name);
            table.after(seconds(1), &[]);
        }
        table
    }

    fn join(&mut self, name: &str) {
        let me = Candidate { node_id: (*name).to_owned(), hostname: (*name).to_owned() };
        self.ones.push((Registry::new(me, self.now), Leadership::Follower, false));
        let index = self.ones.len() - 1;
        self.on(index, Event::LinkUp);
    }

    fn on(&mut self, index: usize, event: Event<()>) {
        // The store's clock is another one altogether.
        let written =
            WallTime::from_system(SystemTime::UNIX_EPOCH + seconds(1_800_000_000) + self.now.since(Moment::default()));
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let (registry, leadership, finished) = &mut self.ones[index];
            for action in registry.handle(event.clone(), self.now, 1.0) {
                match action {
                    Action::Register(registration) => {
                        self.store.retain(|other| other.registration.node_id != registration.node_id);
                        self.store.push(Registered { registration, written });
                        events.push(Event::Registered);
                    }
                    Action::ReadRegistrations => events.push(Event::Registrations(self.store.clone())),
                    Action::Lead(new) => *leadership = new,
                    Action::Finish => *finished = true,
                    _ => {}
                }
            }
        }
    }

    fn after(&mut self, wait: Duration, awake: &[usize]) {
        let until = self.now + wait;
        loop {
            let due = |index: &usize| Some((self.ones[*index].0.wake_at()?.max(self.now), *index));
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
        let epoch = |leadership: &Leadership| match leadership {
            Leadership::Leader { epoch, until } if self.now < *until => Some(*epoch),
            _ => None,
        };
        self.ones.iter().map(|(_, leadership, _)| epoch(leadership)).collect()
    }
}

#[test]
fn the_oldest_live_registration_leads() {
    let mut table = Table::new(&["z", "a", "m"]);
    for _ in 0..100 {
        table.after(seconds(7), &[0, 1, 2]);
        assert_eq!(table.epochs(), [Some(1), None, None]);
    }
    table.after(seconds(40), &[1, 2]);
    assert_eq!(table.epochs(), [None, Some(1), None]);
    // An exporter that was away for so long comes back as the youngest.
    table.after(seconds(40), &[0, 1, 2]);
    assert_eq!(table.epochs(), [None, Some(1), None]);
    table.after(seconds(40), &[0, 2]);
    assert_eq!(table.epochs(), [None, None, Some(1)]);
}

#[test]
fn a_clean_end_leaves_the_lead_to_the_next() {
    let mut table = Table::new(&["a", "b"]);
    table.after(seconds(20), &[0, 1]);
    table.on(0, Event::Stop);
    assert!(table.ones[0].2);
    table.after(RENEWAL, &[1]);
    assert_eq!(table.epochs(), [None, Some(1)]);
}

#[test]
fn who_reaches_a_control_plane_comes_before_who_does_not() {
    let mut table = Table::new(&["a", "b"]);
    table.after(seconds(20), &[0, 1]);
    table.on(0, Event::LinkDown);
    table.after(seconds(9), &[0, 1]);
    assert_eq!(table.epochs(), [Some(1), None]);
    table.after(seconds(22), &[0, 1]);
    assert_eq!(table.epochs(), [None, Some(1)]);
}

#[test]
fn a_higher_epoch_in_the_manifest_is_surpassed_by_the_next_round() {
    let mut table = Table::new(&["a"]);
    assert_eq!(table.epochs(), [Some(1)]);
    table.on(0, Event::Recheck { shown: 6 });
    assert_eq!(table.epochs(), [Some(7)]);
}

#[test]
fn who_cannot_write_its_registration_stops_leading_in_time() {
    let mut table = Table::new(&["a"]);
    table.now = table.now + SAFE;
    let (registry, leadership, _) = &mut table.ones[0];
    for action in registry.handle::<()>(Event::Tick, table.now, 1.0) {
        assert!(matches!(action, Action::Register(_)), "{action:?}");
    }
    assert_eq!(registry.handle::<()>(Event::Failed, table.now, 1.0), []);
    assert!(matches!(leadership, Leadership::Leader { until, .. } if *until <= table.now));
}
