//! `lifeboat exec -- CMD …`: becomes the program that starts a node. Only for a node without a configuration, to which its
//! control plane gives none, it writes a declarative file first and tells the program of it.
//!
//! The gateway always starts: whatever can't be read, asked, fetched or written, the program is started as it is. What
//! doesn't is what somebody has to correct: settings of a node that has nothing to start with, and a program that isn't
//! there.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::Failure;
use super::stopped::unless_stopped;
use crate::archive::Sources;
use crate::background::computed;
use crate::clock::Clock;
use crate::delivery::{self, Asked, Program, There, fetched_unless};
use crate::node_cache::{CacheError, NodePrefix, Present, place_declarative_file, present, remove_declarative_file};
use crate::settings::{ImportSettings, NodeSettings, Source, When};

/// How long the store may take. An empty gateway is up and can be looked at; one that waits is neither.
const FETCHED_WITHIN: Duration = Duration::from_secs(60);
/// What somebody who gives the node a file, or a text, of their own has set.
const DECLARATIVE: [&str; 2] = ["KONG_DECLARATIVE_CONFIG", "KONG_DECLARATIVE_CONFIG_STRING"];

/// How a program is started.
#[derive(Debug)]
enum Start {
    /// As it is, since nothing else is needed.
    AsItIs(String),
    /// As it is, though it has no configuration.
    Empty(anyhow::Error),
    /// With this file, which holds what is said.
    With(PathBuf, String),
}

/// Becomes the program. Returns only if that can't be.
pub async fn exec(source: &Source, command: &[OsString], clock: Clock) -> Result<Infallible, Failure> {
    let program = Program::of(command).ok_or_else(|| anyhow!("no program is named: lifeboat exec -- kong start"))?;
    let start = unless_stopped(decide(source, clock)).await?;
    let file = match start {
        Start::AsItIs(why) => {
            info!("{program} is started as it is: {why}");
            None
        }
        Start::Empty(why) => {
            error!("{program} is started WITHOUT A CONFIGURATION: {why:#}");
            None
        }
        Start::With(file, said) => {
            info!("{program} is started with KONG_DECLARATIVE_CONFIG={}: {said}", file.display());
            Some(file)
        }
    };
    let not_started = program.become_it(file.as_deref());
    // What it holds is nobody's now.
    if let Some(Err(error)) = file.map(std::fs::remove_file) {
        warn!("the declarative file can't be removed: {error}");
    }
    let Err(not_started) = not_started;
    Err(Failure::AsAShell { code: not_started.exit_code(), why: not_started.to_string() })
}

async fn decide(source: &Source, clock: Clock) -> Result<Start, Failure> {
    let node = NodeSettings::read(source);
    let kept = match (DECLARATIVE.iter().find_map(|variable| source.get(variable)), &node) {
        (Some(given), _) => Some(format!("{} is set, and stays as it is", given.name)),
        (None, Some(node)) => looked_at(node).await,
        (None, None) => None,
    };
    let settings = ImportSettings::read(source, None, When::ControlPlaneUnreachable);
    match (kept, settings) {
        (Some(why), Ok(_)) => Ok(Start::AsItIs(why)),
        // To be corrected before a node is created: this one needs none of them.
        (Some(why), Err(problems)) => {
            warn!("{problems}");
            Ok(Start::AsItIs(why))
        }
        (None, settings) => restored(settings?, clock).await,
    }
}

// Why the node needs nothing, if so. What an earlier start was given goes: the node has its own cache of it by now, and with
// the file still there, whoever sets the variable once more would get what is old.
async fn looked_at(node: &NodeSettings) -> Option<String> {
    let (prefix, version) = (node.prefix.clone(), node.version);
    let found = computed(move || {
        let found = present(&prefix, version)?;
        if let Err(error) = remove_declarative_file(&prefix) {
            warn!("what an earlier start was given holds private keys and can't be removed: {error}");
        }
        Ok::<_, CacheError>(found)
    });
    match found.await {
        Ok(Present::Nothing) => None,
        Ok(Present::Useless(what)) => {
            info!("{} holds what no Kong can use: {what}", node.prefix.path().display());
            None
        }
        Ok(Present::Configuration(what)) => Some(format!("the node has a configuration ({what})")),
        Err(error) => Some(error.to_string()),
    }
}

async fn restored(settings: ImportSettings, clock: Clock) -> Result<Start, Failure> {
    let ImportSettings { store, version, prefix, control_plane } = settings;
    let asking = async {
        let Some(control_plane) = control_plane else { return Ok(()) };
        match delivery::ask(control_plane, version, store.max_config, clock).await {
            Ok(Asked::GivesNothing) => Ok(()),
            Ok(Asked::There(there @ There::Gives(_))) => Err(Start::AsItIs(there.to_string())),
            Ok(Asked::There(there)) => Err(Start::Empty(anyhow!("{there}"))),
            Err(error) => Err(Start::Empty(error.into())),
        }
    };
    let fetching = async {
        let sources = Sources::open_existing(&store);
        let fetched = timeout(FETCHED_WITHIN, delivery::configuration(&sources, version, clock.wall())).await;
        let limit = FETCHED_WITHIN.as_secs();
        Ok(fetched.map_err(|_| anyhow!("{} did not answer within {limit} s", sources.places()))??)
    };
    let chosen = match fetched_unless(asking, fetching).await {
        Ok(Ok(chosen)) => chosen,
        Ok(Err(why)) => return Ok(Start::Empty(why)),
        Err(start) => return Ok(start),
    };
    let said =
        format!("configuration {} of Kong {} from {}", chosen.verified.config_hash(), chosen.version, chosen.place);
    // Kong may look for it from another folder.
    let placed = computed(move || {
        let prefix = NodePrefix::new(std::path::absolute(prefix.path())?);
        anyhow::Ok(place_declarative_file(&prefix, &chosen.verified, &mut |_| {})?)
    });
    match placed.await.with_context(|| format!("{said} was fetched and can't be handed over")) {
        Ok(file) => Ok(Start::With(file, said)),
        Err(why) => Ok(Start::Empty(why)),
    }
}
