//! Several writers at once: what their answers and what lies there afterwards prove together. Pure: the race itself
//! is run in `probe`.

use bytes::Bytes;

use super::attempt::Outcome;

/// A writer's bytes, which no other writer has, and what the store answered.
pub(super) type Racer = (Bytes, Outcome);

/// What a race proves.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// One won, all others were refused, and the winner's bytes are there.
    OneWon,
    /// All were refused, and what was there before is there still.
    NoneWon,
    /// The store told this many that they had won.
    SeveralWon(usize),
    /// What is there is from one that was refused.
    RefusedAndWritten,
    /// The store says that it can't write on this condition.
    Incapable(String),
    /// Nothing, for this reason.
    Unclear(String),
}

/// What it proves that these raced while `before` was there, and that `found` was there afterwards.
pub(super) fn finish(racers: &[Racer], before: Option<&Bytes>, found: Option<&Bytes>) -> Finish {
    let winners: Vec<&Bytes> =
        racers.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Won(_))).map(|(bytes, _)| bytes).collect();
    let is_losers =
        |found: &Bytes| racers.iter().any(|(bytes, outcome)| matches!(outcome, Outcome::Lost) && bytes == found);
    let have_lost = racers.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Lost)).count();

    if winners.len() > 1 {
        return Finish::SeveralWon(winners.len());
    }
    if found.is_some_and(is_losers) {
        return Finish::RefusedAndWritten;
    }
    if let Some(reason) = first(racers, |outcome| match outcome {
        Outcome::Incapable(reason) => Some(reason),
        _ => None,
    }) {
        return match winners.len() {
            0 => Finish::Incapable(reason),
            _ => Finish::Unclear(format!("only one of several writers was answered: {reason}")),
        };
    }

    if let Some(reason) = first(racers, |outcome| match outcome {
        Outcome::Unclear(reason) => Some(reason),
        _ => None,
    }) {
        return Finish::Unclear(reason);
    }
    let turned_away = first(racers, |outcome| match outcome {
        Outcome::TurnedAway(reason) => Some(reason),
        _ => None,
    });
    match (winners.first(), found) {
        // Without one that was refused, there was no race.
        (Some(winner), Some(found)) if *winner == found && have_lost > 0 => Finish::OneWon,
        (None, Some(found)) if before == Some(found) && have_lost == racers.len() => Finish::NoneWon,
        _ => Finish::Unclear(turned_away.unwrap_or_else(|| "what is read back is from none of the writers".to_owned())),
    }
}

fn first(racers: &[Racer], reason: impl Fn(&Outcome) -> Option<&String>) -> Option<String> {
    racers.iter().find_map(|(_, outcome)| reason(outcome)).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::Tag;
    use super::*;

    fn won() -> Outcome {
        Outcome::Won(Tag::of_bytes(b""))
    }

    fn unclear() -> Outcome {
        Outcome::Unclear("no answer".to_owned())
    }

    fn busy() -> Outcome {
        Outcome::TurnedAway("slow down".to_owned())
    }

    /// Each writer writes its place in the list; `found` is what is there afterwards.
    fn race(outcomes: Vec<Outcome>, before: Option<u8>, found: Option<u8>) -> Finish {
        let bytes = |digit: u8| Bytes::from(vec![digit]);
        let racers: Vec<Racer> = (0..).map(bytes).zip(outcomes).collect();
        finish(&racers, before.map(bytes).as_ref(), found.map(bytes).as_ref())
    }

    #[test]
    fn one_winner_whose_bytes_are_there_is_what_was_promised() {
        assert_eq!(race(vec![Outcome::Lost, won(), Outcome::Lost], None, Some(1)), Finish::OneWon);
        assert_eq!(race(vec![Outcome::Lost, won(), busy()], None, Some(1)), Finish::OneWon);
        assert_eq!(race(vec![Outcome::Lost, Outcome::Lost], Some(9), Some(9)), Finish::NoneWon);
    }

    #[test]
    fn several_winners_and_a_loser_that_was_written_all_the_same_are_found_out() {
        assert_eq!(race(vec![won(), won(), unclear()], None, Some(1)), Finish::SeveralWon(2));
        assert_eq!(race(vec![Outcome::Lost, won()], None, Some(0)), Finish::RefusedAndWritten);
    }

    #[test]
    fn an_answer_that_did_not_come_proves_nothing() {
        for (outcomes, found) in [
            (vec![won(), unclear()], Some(0)),
            (vec![unclear(), unclear()], Some(0)),
            (vec![unclear(), Outcome::Lost], None),
            (vec![won(), busy()], Some(0)),
            (vec![busy(), busy()], None),
            (vec![won(), Outcome::Lost], None),
            (vec![won(), Outcome::Lost], Some(9)),
            (vec![Outcome::Lost, Outcome::Lost], Some(9)),
        ] {
            let shown = format!("{outcomes:?}");
            assert!(matches!(race(outcomes, None, found), Finish::Unclear(_)), "{shown}");
        }
    }

    #[test]
    fn a_store_that_says_that_it_can_not_is_believed() {
        let can_not = || Outcome::Incapable("501".to_owned());
        assert_eq!(race(vec![can_not(), can_not()], None, None), Finish::Incapable("501".to_owned()));
    }
}
