//! What a person has written, or a node without a database runs, before any of it is published: what nodes would refuse is
//! refused, with all mistakes at once, and what nobody could check is said. What is published already, nodes run: only what
//! was added or changed is judged.

use std::path::Path;

use anyhow::anyhow;
use lifeboat_core::declarative::{Finding, Judgement, Severity, examine};
use lifeboat_core::keep::Received;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Source, SourceKind};
use reqwest::Url;
use tracing::{debug, warn};

use super::super::Failure;
use super::super::configuration::{configuration, printable};
use crate::archive::{Archive, Pick};
use crate::background::computed;
use crate::origin::Found;

/// How many mistakes are listed: who has more has made one of them many times.
const LISTED: usize = 50;

/// Where the configuration came from, for people and for the manifest.
pub(super) struct Origin {
    /// `kong.yml`, or the URL of a node.
    pub(super) name: String,
    pub(super) kind: SourceKind,
}

impl Origin {
    pub(super) fn file(path: &Path) -> Self {
        Self { name: path.display().to_string(), kind: SourceKind::File }
    }

    pub(super) fn node(url: &Url) -> Self {
        Self { name: url.to_string(), kind: SourceKind::DblessNode }
    }
}

/// Gives what is to be published, if nothing speaks against it or an operator has said `--accept`.
pub(super) async fn judged(
    archive: &Archive,
    version: KongVersion,
    origin: &Origin,
    found: Found,
    accept: Option<&str>,
) -> Result<Received, Failure> {
    let Found { mut received, findings } = found;
    received.source = Some(Source { from: origin.kind, accepted: None });
    let published = published(archive, version).await;
    let kind = origin.kind;
    let judgement = computed(move || judge(findings, published.as_ref(), kind)).await;
    for warning in &judgement.warnings {
        warn!("look at this before you rely on it: {}", printable(&warning.to_string()));
    }
    match (judgement.refused.is_empty(), accept) {
        (true, None) => {}
        (true, Some(_)) => warn!("--accept was not needed: nothing is refused"),
        (false, None) => return Err(refusal(&origin.name, version, &judgement.refused).into()),
        (false, Some(reason)) => {
            for refused in &judgement.refused {
                warn!("accepted, and so not checked: {}", printable(&refused.to_string()));
            }
            received.source = Some(Source { from: origin.kind, accepted: Some(reason.to_owned()) });
        }
    }
    Ok(received)
}

fn judge(findings: Vec<Finding>, published: Option<&Configuration>, kind: SourceKind) -> Judgement {
    let published = published.map(examine).unwrap_or_default();
    let judgement = Judgement::of(findings, &published);
    match kind {
        // A node runs it: whatever is odd about it, a backup of it is better than none.
        SourceKind::DblessNode => {
            let warning = |finding| Finding { severity: Severity::Warning, ..finding };
            let refused = judgement.refused.into_iter().map(warning);
            Judgement { refused: Vec::new(), warnings: refused.chain(judgement.warnings).collect() }
        }
        SourceKind::File | SourceKind::Other => judgement,
    }
}

fn refusal(origin: &str, version: KongVersion, refused: &[Finding]) -> anyhow::Error {
    let mut text = format!(
        "{origin}: nodes of Kong {version} would refuse this configuration, or take it for something else than it is meant to \
         be. Nothing was written"
    );
    for finding in refused.iter().take(LISTED) {
        text.push_str(&format!("\n  {}", printable(&finding.to_string())));
    }
    if refused.len() > LISTED {
        text.push_str(&format!("\n  and {} more", refused.len() - LISTED));
    }
    text.push_str(
        "\nMend what is listed. To publish it all the same, not checked, give the same command with --accept \"WHY IT IS RIGHT\"",
    );
    anyhow!(text)
}

/// What nodes are given now; none where there is nothing that can be read.
async fn published(archive: &Archive, version: KongVersion) -> Option<Configuration> {
    let read = async {
        let verified = match archive.pick(version, Pick::Published).await {
            Ok(picked) => archive.verified(&picked).await?,
            Err(_) => archive.bare(version).await?.ok_or_else(|| anyhow!("nothing is published"))?,
        };
        configuration(verified).await
    };
    read.await.inspect_err(|error: &anyhow::Error| debug!("nothing to compare with: {error:#}")).ok()
}
