//! Checks of the keys: what a backup must prove to be restored. That they can be read is checked with the settings.

use lifeboat_core::keys::{Demand, quoted};

use super::check::Check;
use crate::settings::StoreSettings;

const KEYS: &str = "keys";

pub(super) fn check(store: &StoreSettings) -> Check {
    let keys = store.keys.current();
    let sealed = match keys.sealing() {
        Some(_) => format!("sealed with {}", quoted(&keys.encryption_names())),
        None => "not sealed".to_owned(),
    };

    match keys.demand() {
        Demand::Signature => Check::pass(
            KEYS,
            format!("snapshots are {sealed}; accepted when signed by {}", quoted(&keys.trusted_names())),
        ),
        Demand::Authentication => Check::pass(KEYS, format!("snapshots are {sealed}, and no others are accepted")),
        Demand::Nothing => Check::warn(
            KEYS,
            format!("none: anyone who can write to {} controls the nodes that are restored from it", store.url),
            "keep the right to write there to the exporter, or sign and seal: lifeboat keygen makes the keys for \
             LIFEBOAT_SIGNING_KEY, LIFEBOAT_TRUSTED_KEYS and LIFEBOAT_ENCRYPTION_KEYS",
        ),
    }
}
