//! What a person has written, or a node without a database runs, before any of it is published: what nodes would refuse is
//! refused, with all mistakes at once, and what nobody could check is said. What is published already, nodes run: only what
//! was added or changed is judged.

use std::fmt;
use std::path::Path;

use anyhow::anyhow;
use lifeboat_core::declarative::{Finding, Judgement, Severity, Written, Yardstick};
use lifeboat_core::export::Received;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Source, SourceKind};
use lifeboat_core::schema::Unchecked;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use reqwest::Url;
use tracing::{debug, warn};

use super::super::Failure;
use super::super::configuration::{configuration, printable};
use crate::archive::{ArchiveReader, Pick};
use crate::config_source::Found;
use crate::evidence::Schemas;

/// How many mistakes are listed: where there are more, most are the same one.
const LISTED: usize = 50;
/// How many of them are named in a line of the log.
const NAMED: usize = 5;

/// Where the configuration came from, for people and for the manifest.
pub(super) struct ConfigSource {
    /// `kong.yml`, or the URL of a node.
    pub(super) name: String,
    pub(super) kind: SourceKind,
}

impl ConfigSource {
    pub(super) fn file(path: &Path) -> Self {
        Self { name: path.display().to_string(), kind: SourceKind::File }
    }

    pub(super) fn node(url: &Url) -> Self {
        Self { name: url.to_string(), kind: SourceKind::DblessNode }
    }
}

/// What a configuration is judged by.
pub(super) struct Judge<'a> {
    pub(super) archive: &'a ArchiveReader,
    pub(super) version: KongVersion,
    /// Those that nodes have besides Kong's own, by the settings.
    pub(super) plugins: &'a [String],
    /// An operator's reason to publish all the same.
    pub(super) accept: Option<&'a str>,
    pub(super) clock: Clock,
}

impl Judge<'_> {
    /// Gives what is to be published, if nothing speaks against it or an operator has said `--accept`.
    pub(super) async fn judged(&self, origin: &ConfigSource, found: Found) -> Result<Received, Refused> {
        let Found { mut received, findings } = found;
        let schemas = Schemas::of(self.archive, self.version).await;
        let published = self.published().await;
        let written = Written { configuration: received.configuration.clone(), findings };
        let (by, plugins, now) = (schemas.clone(), self.plugins.to_vec(), self.clock.wall());
        let judgement = computed(move || {
            let by = Yardstick { schemas: by.set(), plugins: &plugins, now: Some(now) };
            Judgement::of(&written, published.as_ref(), &by)
        });
        let judgement = as_a_node_runs_it(judgement.await, origin.kind);

        for warning in &judgement.warnings {
            warn!("look at this before you rely on it: {}", printable(&warning.to_string()));
        }
        self.say_what_was_not_checked(&schemas, &judgement.unchecked);
        received.source = Some(Source { from: origin.kind, accepted: None });
        match (judgement.refused.is_empty(), self.accept) {
            (true, None) => {}
            (true, Some(_)) => warn!("--accept was not needed: nothing is refused"),
            (false, None) => return Err(Refused::of(&origin.name, self.version, &judgement)),
            (false, Some(reason)) => {
                for refused in &judgement.refused {
                    warn!("accepted, and so not checked: {}", printable(&refused.to_string()));
                }
                received.source = Some(Source { from: origin.kind, accepted: Some(reason.to_owned()) });
            }
        }
        Ok(received)
    }

    /// What nodes are given now; none where there is nothing that can be read.
    async fn published(&self) -> Option<Configuration> {
        let read = async {
            let verified = match self.archive.pick(self.version, Pick::Published).await {
                Ok(picked) => self.archive.verified(&picked).await?,
                Err(_) => {
                    let bare = self.archive.bare(self.version).await?;
                    bare.ok_or_else(|| anyhow!("nothing is published"))?
                }
            };
            configuration(verified).await
        };
        read.await.inspect_err(|error: &anyhow::Error| debug!("nothing to compare with: {error:#}")).ok()
    }

    fn say_what_was_not_checked(&self, schemas: &Schemas, unchecked: &[Unchecked]) {
        if let Some(why) = schemas.missing() {
            warn!("what Kong's schemas say of it is not checked: {why}");
        }
        let mut others = Vec::new();
        for one in unchecked {
            match one {
                Unchecked::Plugin(name) if !self.plugins.contains(name) => warn!(
                    "the plugin {:?} is not known: nodes that don't have it refuse the whole configuration, and its settings \
                     are not checked. If nodes have it, name it in LIFEBOAT_PLUGINS",
                    printable(name)
                ),
                other => others.push(printable(&other.to_string())),
            }
        }

        if !others.is_empty() {
            warn!("not checked, since no schema describes it: {}", others.join("; "));
        }
    }
}

/// Of what a node runs, it is no mistake that something stands there twice or looks like something else.
fn as_a_node_runs_it(judgement: Judgement, kind: SourceKind) -> Judgement {
    if kind != SourceKind::DblessNode {
        return judgement;
    }
    let Judgement { refused, mut warnings, unchecked, further } = judgement;
    let is_sure = |finding: &Finding| finding.is_kongs_word() && !finding.is_about_twins();
    let (refused, odd): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_sure);
    warnings.extend(odd.into_iter().map(|finding| Finding { severity: Severity::Warning, ..finding }));
    Judgement { refused, warnings, unchecked, further }
}

/// What nodes would refuse.
#[derive(Debug)]
pub(super) struct Refused {
    origin: String,
    version: KongVersion,
    listed: Vec<String>,
    /// How many mistakes are not listed.
    more: usize,
}

impl Refused {
    fn of(origin: &str, version: KongVersion, judgement: &Judgement) -> Self {
        let refused = &judgement.refused;
        let listed: Vec<_> = refused.iter().take(LISTED).map(|finding| printable(&finding.to_string())).collect();
        let more = refused.len() - listed.len() + judgement.further;
        Self { origin: origin.to_owned(), version, listed, more }
    }

    /// For a line of the log: the first mistakes.
    pub(super) fn in_one_line(&self) -> String {
        let first = self.listed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
        match self.listed.len().saturating_sub(NAMED) + self.more {
            0 => first,
            more => format!("{first}; and {more} more"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, version, listed, more } = self;
        write!(
            f,
            "{origin}: nodes of Kong {version} would refuse this configuration, or take it for something else than it is \
             meant to be. Nothing was written"
        )?;
        for finding in listed {
            write!(f, "\n  {finding}")?;
        }
        if *more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        f.write_str(
            "\nMend what is listed. To publish it all the same, not checked, give the same command with --accept \"WHY IT IS \
             RIGHT\"",
        )
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        anyhow::Error::from(refused).into()
    }
}
