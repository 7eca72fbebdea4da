//! What an operator's decision changes: said before it is made, asked about where a person sits at a terminal, and how it is
//! taken back.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::anyhow;
use lifeboat_core::kong::EntityCounts;
use lifeboat_core::manifest::{Manifest, Pin};
use lifeboat_runtime::background::computed;

use super::Failure;

/// Whether somebody is asked before something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// If standard input and standard error are a terminal: a script has decided already.
    OnATerminal,
    /// Not at all.
    Never,
}

impl Ask {
    /// As `--yes` says.
    pub fn unless_told(yes: bool) -> Self {
        if yes { Self::Never } else { Self::OnATerminal }
    }
}

/// Says what would change and waits for a yes, where somebody is to be asked.
///
/// # Errors
/// The answer was no, or could not be read.
pub(super) async fn confirm(what: &str, ask: Ask) -> Result<(), Failure> {
    if ask == Ask::Never || !(stdin().is_terminal() && stderr().is_terminal()) {
        return Ok(());
    }

    let question = format!("{what}\nGo on? [y/N] ");
    let answer = computed(move || {
        write!(stderr(), "{question}")?;
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    });
    match answer.await.map_err(anyhow::Error::from)?.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(anyhow!("the answer was not yes: nothing was changed").into()),
    }
}

/// Which numbers of entities change, those that traffic needs first: `routes 5 → 0, services 2 → 0`.
pub(super) fn numbers_that_change(before: &EntityCounts, after: &EntityCounts) -> String {
    let kinds: BTreeSet<&str> = before.iter().chain(after.iter()).map(|(kind, _)| kind).collect();
    let mut changing: Vec<&str> = kinds.into_iter().filter(|kind| before.get(kind) != after.get(kind)).collect();
    if changing.is_empty() {
        return "as many entities of each kind as now".to_owned();
    }

    changing.sort_by_key(|kind| !["routes", "services"].contains(kind));
    let each = changing.iter().map(|kind| format!("{kind} {} → {}", before.get(kind), after.get(kind)));
    each.collect::<Vec<_>>().join(", ")
}

/// The command, without `lifeboat`, that publishes again what was published before, and lets it stay as long.
pub(super) fn publish_again(before: &Manifest) -> String {
    match before.pin {
        Some(Pin::Unpin) => format!("pin {}", before.sequence),
        Some(Pin::Change { .. }) | None => format!("rollback {}", before.sequence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stay_are_not_told_and_what_traffic_needs_comes_first() {
        let before = EntityCounts::from([("consumers", 3), ("plugins", 4), ("routes", 5), ("services", 2)]);
        let after = EntityCounts::from([("consumers", 3), ("plugins", 1), ("upstreams", 2)]);
        assert_eq!(
            numbers_that_change(&before, &after),
            "routes 5 → 0, services 2 → 0, plugins 4 → 1, upstreams 0 → 2"
        );
        assert_eq!(numbers_that_change(&before, &before), "as many entities of each kind as now");
    }
}
