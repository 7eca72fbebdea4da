//! How the program is started, and why so. Nothing here starts it, and nothing ends it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use lifeboat_node_cache::{NodePrefix, Present, place_declarative_file, present};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;
use tracing::info;

use crate::archive::Stores;
use crate::one_shot::{self, Asked, CommandLine, There, fetched_unless};
use crate::settings::{ImportSettings, NodeSettings, Problems, Restoring, Source, When};

/// How long the store may take. An empty gateway is up and can be looked at; one that waits is neither.
const FETCHED_WITHIN: Duration = Duration::from_secs(60);
/// What somebody who gives the node a file, or a text, of their own has set.
const DECLARATIVE: [&str; 2] = ["KONG_DECLARATIVE_CONFIG", "KONG_DECLARATIVE_CONFIG_STRING"];

/// How a program is started.
#[derive(Debug)]
pub(super) enum Start {
    /// As it is, since nothing else is needed.
    AsItIs(String),
    /// As it is, since this command of Kong's starts no gateway.
    NoGateway(&'static str),
    /// As it is, since nothing says that it is a node that may be restored.
    Untold(String),
    /// As it is, since settings are wrong. With what the node has, if it has something.
    Wrong { problems: Problems, kept: Option<String> },
    /// As it is, though it has no configuration.
    Empty(anyhow::Error),
    /// With this file, which holds what is said.
    With(PathBuf, String),
}

/// Decides it. Whatever goes wrong is a way to start, too.
pub(super) async fn decide(source: &Source, program: &CommandLine, clock: Clock) -> Start {
    if let Some(command) = program.starts_no_gateway() {
        return Start::NoGateway(command);
    }
    let restoring = match Restoring::read(source) {
        Ok(Restoring::Unwanted(why)) => return Start::AsItIs(why),
        other => other,
    };

    let kept = kept(source).await;
    let problems = match restoring {
        Err(problems) => problems,
        Ok(Restoring::Untold(why)) => return kept.map_or(Start::Untold(why), Start::AsItIs),
        Ok(_) => match (ImportSettings::read(source, None, When::ControlPlaneUnreachable), kept) {
            (Ok(_), Some(kept)) => return Start::AsItIs(kept),
            (Ok(settings), None) => return restored(settings, clock).await,
            // To be corrected before a node is created, also where this one needs none of them.
            (Err(problems), kept) => return Start::Wrong { problems, kept },
        },
    };
    Start::Wrong { problems, kept }
}

/// What the node starts with that isn't ours, if somebody has set that.
pub(super) fn own_file(source: &Source) -> Option<String> {
    let given = DECLARATIVE.iter().find_map(|variable| source.get(variable))?;
    Some(format!("{} is set, and stays as it is", given.name))
}

// Why the node needs nothing, if so.
async fn kept(source: &Source) -> Option<String> {
    if let Some(why) = own_file(source) {
        return Some(why);
    }
    let NodeSettings { version, prefix } = NodeSettings::read(source)?;
    let looked_at = prefix.clone();
    match computed(move || present(&looked_at, version)).await {
        Ok(Present::Nothing) => None,
        Ok(Present::Useless(what)) => {
            info!("{} holds what no Kong can use: {what}", prefix.path().display());
            None
        }
        Ok(Present::Configuration(what)) => Some(format!("the node has a configuration ({what})")),
        Err(error) => Some(error.to_string()),
    }
}

async fn restored(settings: ImportSettings, clock: Clock) -> Start {
    let ImportSettings { store, version, prefix, control_plane } = settings;
    let asking = async {
        let Some(control_plane) = control_plane else { return Ok(()) };
        match one_shot::ask(control_plane, version, store.max_config, clock).await {
            Ok(Asked::GivesNothing) => Ok(()),
            Ok(Asked::There(there @ There::Gives(_))) => Err(Start::AsItIs(there.to_string())),
            Ok(Asked::There(there)) => Err(Start::Empty(anyhow!("{there}"))),
            Err(error) => Err(Start::Empty(error.into())),
        }
    };
    let fetching = async {
        let sources = Stores::open_existing(&store);
        let fetched = timeout(FETCHED_WITHIN, one_shot::configuration(&sources, version, clock.wall())).await;
        let limit = FETCHED_WITHIN.as_secs();
        Ok(fetched.map_err(|_| anyhow!("{} did not answer within {limit} s", sources.places()))??)
    };
    let chosen = match fetched_unless(asking, fetching).await {
        Ok(Ok(chosen)) => chosen,
        Ok(Err(why)) => return Start::Empty(why),
        Err(start) => return start,
    };

    let said =
        format!("configuration {} of Kong {} from {}", chosen.verified.config_hash(), chosen.version, chosen.place);
    // Kong may look for it from another folder.
    let placed = computed(move || {
        let prefix = NodePrefix::new(std::path::absolute(prefix.path())?);
        anyhow::Ok(place_declarative_file(&prefix, &chosen.verified, &mut |_| {})?)
    });
    match placed.await.with_context(|| format!("{said} was fetched and can't be handed over")) {
        Ok(file) => Start::With(file, said),
        Err(why) => Start::Empty(why),
    }
}
