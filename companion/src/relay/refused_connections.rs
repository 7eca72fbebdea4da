//! Connections that were refused. All are counted; one of each kind is logged in a minute, with the number and the
//! addresses of the others. Anyone who can reach the port can cause as many as they like.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use lifeboat_link::tls::FailureClass;
use lifeboat_runtime::lock::Locked;
use tracing::warn;

use crate::observation::RelayRecorder;
use crate::per_minute::PerMinute;

/// How many addresses a line names.
const NAMED: usize = 5;
/// How many addresses are remembered.
const REMEMBERED: usize = 1000;

/// Refused connections that are not logged yet.
#[derive(Debug)]
pub(super) struct Refusals {
    recorder: RelayRecorder,
    kinds: Mutex<HashMap<FailureClass, Kind>>,
}

#[derive(Debug, Default)]
struct Kind {
    events: PerMinute,
    from: BTreeSet<IpAddr>,
}

impl Refusals {
    pub(super) fn new(recorder: RelayRecorder) -> Self {
        Self { recorder, kinds: Mutex::default() }
    }

    /// A connection from `peer` was refused. `why` is logged now or never; the next line of its kind says how many
    /// there were.
    pub(super) fn refused(&self, peer: SocketAddr, class: FailureClass, why: impl Display) {
        self.recorder.refused(class);
        if let Some(others) = self.others(peer.ip(), class) {
            let why = format!("{why}{others}");
            warn!(%peer, "a connection was refused: {why}");
        }
    }

    // If this one is to be logged: how many others there were, and from where.
    fn others(&self, from: IpAddr, class: FailureClass) -> Option<String> {
        let mut kinds = self.kinds.locked();
        let kind = kinds.entry(class).or_default();
        if kind.from.len() < REMEMBERED {
            kind.from.insert(from);
        }
        let count = kind.events.count()?;
        let from = std::mem::take(&mut kind.from);
        drop(kinds);

        if count == 1 {
            return Some(String::new());
        }
        let named: Vec<String> = from.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if from.len() > NAMED { format!(" and {} more", from.len() - NAMED) } else { String::new() };
        Some(format!(" ({count} of this kind since it was last said, from {}{more})", named.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_a_minute_that_counts_it_and_names_where_it_comes_from() {
        let refusals = Refusals::new(RelayRecorder::default());
        let others = |last: u8, class| refusals.others([10, 0, 0, last].into(), class);
        assert_eq!(others(1, FailureClass::NotTls).as_deref(), Some(""));
        for address in 0..100 {
            assert_eq!(others(address, FailureClass::NotTls), None);
        }
        // A node with another fault is not lost among them.
        assert_eq!(others(7, FailureClass::NotValidNow).as_deref(), Some(""));

        tokio::time::advance(Duration::from_secs(60)).await;
        let line = others(100, FailureClass::NotTls).unwrap();
        assert_eq!(
            line,
            " (101 of this kind since it was last said, from 10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 and 96 more)"
        );
    }
}
