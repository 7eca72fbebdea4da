//! Several exporters over one store in which everything may be late or lost, while they sleep and lose their links.

use proptest::prelude::*;

use super::*;

/// Numbers from a seed (splitmix64), so that a failure can be played again.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A request under way: applied at one moment, answered at a later one, perhaps never.
struct Request {
    from: usize,
    action: Action<u64>,
    applied_at: Moment,
    answered_at: Moment,
    answer: Option<Event<u64>>,
    is_lost: bool,
}

/// Plays ten minutes: pauses, lost and late answers, links that come and go, a folder that is emptied.
fn play(seed: u64) -> Result<(), TestCaseError> {
    let mut chance = Chance(seed);
    let mut now = Moment::after_start(seconds(1));
    let mut store = Store::default();
    let mut ones: Vec<One> = (0..2 + chance.below(4)).map(|index| One::new(&format!("{index}"), now)).collect();
    let mut asleep_until = vec![now; ones.len()];
    let mut requests: Vec<Request> = Vec::new();
    let (mut highest, mut emptied) = (0, false);
    let end = now + seconds(600);
    while now < end {
        now = now + Duration::from_millis(100);
        let calm = end - now < seconds(150);
        for index in 0..ones.len() {
            if !calm && chance.below(1500) == 0 {
                asleep_until[index] = now + seconds(chance.below(90));
            }
            if asleep_until[index] > now {
                continue;
            }
            if chance.below(600) == 0 || calm {
                let event = if calm || chance.below(2) == 0 { Event::LinkUp } else { Event::LinkDown };
                ones[index].on(event, now);
            }
            if ones[index].lease.wake_at().is_some_and(|wake_at| wake_at <= now) {
                ones[index].on(Event::Tick, now);
            }
        }
        // By then all have seen a lease once. A second time would be undone by nothing: an absence has no tag.
        if !emptied && !calm && now > Moment::after_start(seconds(150)) && chance.below(2000) == 0 {
            emptied = true;
            store.lease = None;
            for one in &mut ones {
                one.on(Event::ManifestEpoch(highest), now);
            }
        }
        for request in &mut requests {
            if request.applied_at <= now && request.answer.is_none() {
                request.answer = store.answer(&request.action);
            }
        }
        let due = |request: &Request| request.answered_at <= now && asleep_until[request.from] <= now;
        let (answered, waiting): (Vec<_>, Vec<_>) = requests.drain(..).partition(due);
        requests = waiting;
        for Request { from, answer, is_lost, .. } in answered {
            let event = if is_lost { Event::Failed } else { answer.unwrap() };
            ones[from].on(event, now);
        }
        for (from, one) in ones.iter_mut().enumerate() {
            for action in one.waiting.drain(..) {
                let late = |chance: &mut Chance| match chance.below(40) {
                    0 if !calm => Duration::from_millis(chance.below(40_000)),
                    _ => Duration::from_millis(chance.below(200)),
                };
                let applied_at = now + late(&mut chance);
                let answered_at = applied_at + late(&mut chance);
                let is_lost = !calm && chance.below(15) == 0;
                requests.push(Request { from, action, applied_at, answered_at, answer: None, is_lost });
            }
        }
        let epochs: Vec<u64> = ones.iter().filter_map(|one| one.epoch(now)).collect();
        prop_assert!(epochs.len() <= 1, "two lead at once: epochs {epochs:?}, seed {seed}");
        for epoch in epochs {
            prop_assert!(epoch >= highest, "epoch {epoch} after {highest}, seed {seed}");
            highest = epoch;
        }
    }
    prop_assert!(ones.iter().any(|one| one.epoch(now).is_some()), "nobody leads in the end, seed {seed}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn at_most_one_may_write_at_any_time_and_epochs_grow_and_in_the_end_one_leads(seed in any::<u64>()) {
        play(seed)?;
    }
}
