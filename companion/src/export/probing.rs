//! What the exporter says of its store's conditional writes, once: whether several exporters may write there.

use lifeboat_storage::Conditions;
use tracing::{error, info, warn};

pub(super) fn say(place: &str, conditions: &Conditions) {
    if conditions.deceive() {
        error!(
            "{place}: the answers of this store's conditional writes can't be trusted: {conditions}. It does not keep two \
             exporters from overwriting each other's backups: let one exporter alone write here. Each write is looked up \
             before and read back after"
        );
    } else if conditions.are_unclear() {
        warn!(
            "{place}: what this store's conditional writes are worth could not be found out: {conditions}. Until a start \
             finds out, let one exporter alone write here"
        );
    } else if conditions.lease_possible() {
        info!("{place}: conditional writes are honoured: {conditions}");
    } else {
        warn!(
            "{place}: this store has not all conditional writes: {conditions}. It does not keep two exporters from \
             overwriting each other's backups: let one exporter alone write here. Each write is looked up before and read \
             back after"
        );
    }
}
