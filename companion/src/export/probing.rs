//! Tests the conditional writes of an exporter's store, which decide whether several exporters may write there, and
//! logs the result once.

use lifeboat_storage::{Conditions, StorageError};
use tracing::{error, info, warn};

use crate::archive::{Archive, Author};

/// What others have found out about the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// That a lease is possible: there is one.
    HaveALease,
    Unknown,
}

/// What was found out by trying.
pub(super) struct Probed {
    /// Where the election is held.
    pub(super) conditions: Conditions,
    pub(super) others: Others,
    /// Of the store of the backups, if that is another.
    pub(super) of_backups: Option<Conditions>,
}

/// Tests the store in which the election is held, and the store of the backups, if that is another one.
pub(super) async fn probe(home: &Archive, backups: Option<&Archive>, author: &Author) -> Result<Probed, StorageError> {
    let conditions = worth(home, author).await?;
    let is_asked = conditions.are_undecided();
    let others = match if is_asked { home.lease(author.version).await? } else { None } {
        Some(_) => Others::HaveALease,
        None => Others::Unknown,
    };
    let of_backups = match backups {
        Some(backups) => Some(worth(backups, author).await?),
        None => None,
    };
    Ok(Probed { conditions, others, of_backups })
}

async fn worth(archive: &Archive, author: &Author) -> Result<Conditions, StorageError> {
    match archive.probe(author).await {
        Err(denied @ StorageError::Denied { .. }) => {
            // If nothing at all is allowed, wrong credentials are more likely than a missing right.
            archive.has_manifest(author.version).await?;
            Err(denied)
        }
        probed => probed,
    }
}

pub(super) fn say(place: &str, conditions: &Conditions) {
    if conditions.deceive() {
        error!(
            store = place,
            "{place}: the answers of this store's conditional writes can't be trusted: {conditions}. Two exporters \
             could overwrite each other's backups here: let only one exporter write to it. Lifeboat looks before each \
             write and reads back after it"
        );
    } else if conditions.are_unclear() {
        warn!(
            store = place,
            "{place}: could not determine whether this store honours conditional writes: {conditions}. Let only one \
             exporter write here until a restart has determined it"
        );
    } else if conditions.lease_possible() {
        info!(store = place, "{place}: conditional writes are honoured: {conditions}");
    } else {
        warn!(
            store = place,
            "{place}: this store does not honour all conditional writes: {conditions}. Two exporters could overwrite \
             each other's backups here: let only one exporter write to it. Lifeboat looks before each write and reads \
             back after it"
        );
    }
}
