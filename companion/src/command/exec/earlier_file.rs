//! The file that an earlier start of the node was given. It holds private keys, and `kong reload` would load it over whatever
//! the node has had since: it is removed at the first start that doesn't need it, and named as long as it lies there.

use lifeboat_node_cache::{NodePrefix, remove_declarative_file};
use lifeboat_runtime::background::computed;
use tracing::{info, warn};

use super::decision::{Start, own_file};
use crate::settings::{NodeSettings, Source};

/// Removes it if the node starts without it, else says that it is there.
pub(super) async fn tell(source: &Source, start: &Start) {
    let prefix = NodeSettings::prefix(source);
    match start {
        // It has just been written.
        Start::With(..) => {}
        Start::AsItIs(_) if own_file(source).is_none() => remove(prefix).await,
        // Somebody may need it: there is nothing else. Or the node's own setting may name it.
        _ if is_there(&prefix) => say_that_it_is_there(&prefix, "this start leaves it"),
        _ => {}
    }
}

async fn remove(prefix: NodePrefix) {
    let (was_there, removed_from) = (is_there(&prefix), prefix.clone());
    match computed(move || remove_declarative_file(&removed_from)).await {
        Ok(()) if was_there => {
            info!("removed {}, which an earlier start was given in an outage", prefix.declarative_file().display());
        }
        Ok(()) => {}
        Err(error) if is_there(&prefix) => say_that_it_is_there(&prefix, &error.to_string()),
        // What is left of a start that was killed, or a folder that nobody may look into.
        Err(error) => warn!("{}: what an earlier start has left can't be removed: {error}", prefix.path().display()),
    }
}

fn is_there(prefix: &NodePrefix) -> bool {
    prefix.declarative_file().try_exists().unwrap_or_default()
}

fn say_that_it_is_there(prefix: &NodePrefix, why: &str) {
    warn!(
        "{} still holds what an earlier start was given in an outage ({why}). It has private keys in it, and kong reload loads \
         it over what the node has had since: start the node anew rather than reload it",
        prefix.declarative_file().display()
    );
}
