//! An operator who now and then chooses what is published, from the command line of a host of his own.

use std::time::Duration;

use lifeboat::archive::{Archive, Author, Stay};
use lifeboat_core::manifest;
use lifeboat_core::manifest::Pin;
use lifeboat_core::object_key::HistoryState;
use lifeboat_core::time::WallTime;
use lifeboat_storage::Storage;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};

use super::clients::Kind;
use super::doorway::{over, unknown};
use super::places::Place;
use super::site::{Site, State};
use super::store::Line;
use super::{MAX_CONFIG, VERSION};

/// Nobody waits longer for a command.
const PATIENCE: Duration = Duration::from_secs(200);

/// The operator.
pub(crate) struct Operator {
    pub(crate) storage: Option<Storage>,
    pub(crate) site: Site,
    pub(crate) wall: WallTime,
    /// The mean time between two things that he does.
    pub(crate) every: Duration,
    pub(crate) random: StdRng,
}

impl Operator {
    /// Does something now and then, for ever.
    pub(crate) async fn work(mut self) {
        for number in 1.. {
            sleep(self.every.mul_f64(self.random.random_range(0.3..1.7))).await;
            let name = format!("operator {number}");
            let (client, _) = self.site.client(name.clone(), Kind::Operator);
            let line = Line { site: self.site.clone(), client };
            let done = timeout(PATIENCE, over(line, self.choose(&name))).await;
            let done = done.unwrap_or_else(|_| "gives up".to_owned());
            self.site.note(&format!("{name} {done}"));
        }
    }

    async fn choose(&mut self, name: &str) -> String {
        let archive = lifeboat::archive::Operator::new(Archive::over(
            self.storage.clone().unwrap_or_else(|| unknown(Place::BesideTheBackups)),
            MAX_CONFIG,
        ));
        let exporter = manifest::Exporter {
            node_id: name.replace(' ', "-"),
            hostname: "desk".to_owned(),
            lifeboat: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let author = Author { exporter, version: VERSION };
        let now = self.wall + self.site.now();
        if let Err(error) = archive.probe_as_visitor(&author).await {
            return format!("can't probe: {error}");
        }
        let chosen = match self.random.random_range(0..8) {
            0..4 => ("releases", archive.release(&author, None, now).await.map_err(|error| error.to_string())),
            4..7 => {
                let published = match archive.past(VERSION).await {
                    Ok(past) => {
                        past.into_iter().filter(|past| past.state == HistoryState::Published).collect::<Vec<_>>()
                    }
                    Err(error) => return format!("can't list: {error}"),
                };
                if published.is_empty() {
                    return "finds nothing to roll back to".to_owned();
                }
                let sequence = published[self.random.random_range(0..published.len())].id.sequence;
                let stay = if self.random.random_range(0..4) == 0 { Stay::UntilUnpinned } else { Stay::UntilItChanges };
                let rolled_back = archive.roll_back(&author, sequence, stay, now).await;
                ("rolls back", rolled_back.map_err(|error| error.to_string()))
            }
            _ => ("unpins", archive.unpin(&author, now).await.map_err(|error| error.to_string())),
        };
        match chosen {
            (what, Ok(published)) => {
                let sequence = published.manifest.sequence;
                if let Err(undone) = archive.look_again(VERSION, &published).await {
                    return format!("{what}: {undone}");
                }
                if published.manifest.pin == Some(Pin::Unpin) {
                    let mut state = self.site.state();
                    let State { checks, objects, .. } = &mut *state;
                    checks.promise(objects, published.manifest.id());
                }
                format!("{what}: snapshot {sequence}")
            }
            (what, Err(error)) => format!("{what} in vain: {error}"),
        }
    }
}
