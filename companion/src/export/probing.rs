//! What the exporter says of its store's conditional writes, once: whether several exporters may write there.

use lifeboat_storage::Conditions;
use tracing::{error, info, warn};

pub(super) fn say(place: &str, conditions: &Conditions) {
    if conditions.deceive() {
        error!(
            "{place}: the answers of this store's conditional writes can't be trusted: {conditions}. Two exporters \
             could overwrite each other's backups here: let only one exporter write to it. Lifeboat looks before each \
             write and reads back after it"
        );
    } else if conditions.are_unclear() {
        warn!(
            "{place}: could not determine whether this store honours conditional writes: {conditions}. Let only one \
             exporter write here until a restart has determined it"
        );
    } else if conditions.lease_possible() {
        info!("{place}: conditional writes are honoured: {conditions}");
    } else {
        warn!(
            "{place}: this store does not honour all conditional writes: {conditions}. Two exporters could overwrite \
             each other's backups here: let only one exporter write to it. Lifeboat looks before each write and reads \
             back after it"
        );
    }
}
