//! Who talks to the simulated store: exporters, each start of one by itself, and operators. And how the world tells them
//! that they die, stand still or are to end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::places::Place;

/// Which client. They are numbered in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientId(pub(crate) usize);

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exporter,
    Operator,
}

/// A client, as the store knows it.
#[derive(Debug)]
pub(crate) struct Client {
    /// For the log: which exporter, and which start of it.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) commands: Commands,
    /// Where it elects.
    pub(crate) place: Place,
    /// Until then none of its requests arrives at the store of the backups.
    pub(crate) cut_off_until: Duration,
    /// The same of the stores in which only elections are held.
    pub(crate) cut_off_from_election_until: Duration,
    /// The manifest that it has read or written last.
    pub(crate) manifest: Option<Bytes>,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Die,
    /// It stands still, as one that is suspended does: nothing in it goes on, and time does.
    Pause(Duration),
    /// It is told to end.
    Stop,
}

/// What is to happen to a process next. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commands(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    commands: Mutex<VecDeque<Command>>,
    arrived: Notify,
}

impl Commands {
    pub(crate) fn give(&self, command: Command) {
        self.0.commands.lock().expect("nothing panics while it is locked").push_back(command);
        self.0.arrived.notify_one();
    }

    /// The next one.
    pub(crate) async fn next(&self) -> Command {
        loop {
            let next = self.0.commands.lock().expect("nothing panics while it is locked").pop_front();
            match next {
                Some(command) => return command,
                None => self.0.arrived.notified().await,
            }
        }
    }
}
