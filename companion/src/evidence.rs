//! What is known of a configuration that lies in a store: that a node loaded it, that it matches Kong's schemas, or only
//! that its bytes are whole. No command says more of it than that.

use std::sync::Arc;

use lifeboat_core::declarative::{Examined, Finding, Yardstick};
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes::{End, Lifetimes};
use lifeboat_core::manifest::{Manifest, SourceKind, State};
use lifeboat_core::payload::Payload;
use lifeboat_core::room::{NEAR, NodeLimits, Sizes};
use lifeboat_core::schema::{SchemaSet, SchemaSource};
use lifeboat_core::time::WallTime;
use serde::Serialize;
use tracing::debug;

use crate::archive::ArchiveReader;

/// How many mistakes are shown of many.
const SHOWN: usize = 3;

/// Kinds of entities that no request meets: what a control plane with a lost database still sends.
const NO_TRAFFIC: [&str; 2] = ["workspaces", "parameters"];

/// Kong's own description of what a version takes, if there is one.
#[derive(Clone, Debug)]
pub enum Schemas {
    /// It is in this program.
    Recorded(&'static SchemaSet),
    /// The control plane's own, which an exporter has kept beside the snapshots.
    Own(Arc<SchemaSet>),
    /// There is none, and this is why.
    Missing(String),
}

/// Under which conditions nodes load configurations.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// How much nodes take.
    pub limits: NodeLimits,
    /// When: certificates end.
    pub now: WallTime,
}

/// What a configuration is checked with.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Kong's own description of what it may hold.
    pub schemas: Schemas,
    /// Under which conditions it would be loaded.
    pub conditions: Conditions,
}

/// What is known of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Which of three kinds.
    pub kind: EvidenceKind,
    /// What it comes to.
    pub verdict: Verdict,
    /// In words.
    pub said: String,
    /// What of these words stays true whoever loads it now: what ends in it, and how large it is.
    cautions: String,
}

/// How something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A node loaded it.
    Loaded,
    /// It matches Kong's schemas.
    Schemas,
    /// Its bytes are whole, and nothing more is known.
    Bytes,
    /// It doesn't match Kong's schemas, or an operator published it though it was refused.
    NotChecked,
}

/// What is to be thought of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against it.
    Good,
    /// Somebody should look at it.
    Doubtful,
    /// No node loads it.
    Bad,
}

impl Schemas {
    /// Those for nodes of this version: the control plane's own, which win, or those in this program.
    pub async fn of(archive: &ArchiveReader, version: KongVersion) -> Self {
        match archive.published_schemas(version).await {
            Ok(Some(own)) => Self::Own(Arc::new(own)),
            Ok(None) => Self::recorded(version),
            Err(error) => {
                debug!("going on without the control plane's own schemas: {error}");
                Self::recorded(version)
            }
        }
    }

    /// Those in this program for nodes of this version.
    pub fn recorded(version: KongVersion) -> Self {
        match SchemaSet::recorded(version) {
            Some(set) => Self::Recorded(set),
            None if version.is_enterprise() => Self::Missing(format!(
                "Kong {version} is Enterprise's, which has other entities and plugins than the open-source Kong whose schemas \
                 are in this program"
            )),
            None => Self::Missing(format!("there are none of Kong {version} in this program")),
        }
    }

    /// The schemas themselves.
    pub fn set(&self) -> Option<&SchemaSet> {
        match self {
            Self::Recorded(set) => Some(set),
            Self::Own(set) => Some(set),
            Self::Missing(_) => None,
        }
    }

    /// Why there are none.
    pub fn missing(&self) -> Option<&str> {
        match self {
            Self::Recorded(_) | Self::Own(_) => None,
            Self::Missing(why) => Some(why),
        }
    }

    fn name(&self, version: KongVersion) -> String {
        match self.set().map(SchemaSet::source) {
            Some(SchemaSource::Recorded(recorded)) if recorded != version => {
                format!("Kong {recorded}'s schemas (those of {version} are not at hand)")
            }
            Some(SchemaSource::ControlPlane) => "the control plane's own schemas".to_owned(),
            Some(SchemaSource::Recorded(_)) | None => format!("Kong {version}'s schemas"),
        }
    }
}

impl Measure {
    /// What is published in a store for nodes of this version is checked with this.
    pub async fn of(archive: &ArchiveReader, version: KongVersion, conditions: Conditions) -> Self {
        Self { schemas: Schemas::of(archive, version).await, conditions }
    }
}

impl Evidence {
    /// That a node loaded it, told by whoever saw that.
    pub fn loaded(by: &str) -> Self {
        Self::new(EvidenceKind::Loaded, Verdict::Good, format!("{by} loaded it"))
    }

    /// The same of one that was loaded just now, by whoever saw that.
    pub fn but_loaded(&self, by: &str) -> Self {
        let mut loaded = Self::loaded(by);
        if !self.cautions.is_empty() {
            loaded.caution(&self.cautions, Verdict::Doubtful);
        }
        loaded
    }

    fn new(kind: EvidenceKind, verdict: Verdict, said: String) -> Self {
        Self { kind, verdict, said, cautions: String::new() }
    }

    fn caution(&mut self, words: &str, verdict: Verdict) {
        self.said.push_str(words);
        self.cautions.push_str(words);
        self.verdict = self.verdict.max(verdict);
    }

    /// What is known of a configuration for nodes of a version, whose manifest this is.
    pub fn of(
        configuration: &Configuration,
        version: KongVersion,
        manifest: Option<&Manifest>,
        measure: &Measure,
    ) -> Self {
        if !has_a_format(configuration) {
            let said = "it has no _format_version, and no node loads it".to_owned();
            return Self::new(EvidenceKind::NotChecked, Verdict::Bad, said);
        }
        let Measure { schemas, conditions: Conditions { limits, now } } = measure;
        let mut evidence = Self::of_what_is_in_it(configuration, version, manifest, schemas, *now);
        let is_empty = configuration.counts().iter().all(|(kind, count)| count == 0 || NO_TRAFFIC.contains(&kind));
        if is_empty {
            let words = "; it has no entity at all, so that nodes answer 404 to everything";
            evidence.caution(words, Verdict::Doubtful);
        }
        let sizes = manifest.map_or_else(|| sizes(configuration, version, limits), Sizes::of);
        evidence.with_ends(&Lifetimes::of(configuration), *now).with_room(sizes, limits)
    }

    /// The same with how much of what nodes take it needs: those that run it show nothing of that.
    fn with_room(mut self, sizes: Sizes, limits: &NodeLimits) -> Self {
        for (limit, share) in limits.near(sizes) {
            let (name, percent, ample) = (limit.name(), (share * 100.0).floor(), limits.ample(limit, share));
            let words = format!(
                "; it needs {percent} % of what {name} lets nodes take, and above that no node is given or loads it: raise it on \
                 the data planes (to {ample}, say), and for this program if it is larger there already"
            );
            self.caution(&words, Verdict::Doubtful);
        }
        self
    }

    /// The same with what ends in it: a node that loaded it may refuse it tomorrow.
    fn with_ends(mut self, lifetimes: &Lifetimes, now: WallTime) -> Self {
        let named = |ends: &[&End]| {
            let shown = ends.iter().take(SHOWN).map(|end| format!("{} {} ({})", end.of.label(), end.name, end.at));
            let more = if ends.len() > SHOWN { format!(" and {} more", ends.len() - SHOWN) } else { String::new() };
            format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
        };

        let expired: Vec<&End> = lifetimes.expired_cas(now).collect();
        if !expired.is_empty() {
            let words = format!("; Kong refuses all of it, since this has expired: {}", named(&expired));
            self.caution(&words, Verdict::Bad);
        }

        let ending: Vec<&End> = lifetimes.ending(now).collect();
        if !ending.is_empty() {
            let words = format!("; within 30 days this ends or has ended: {}", named(&ending));
            self.caution(&words, Verdict::Doubtful);
        }

        if lifetimes.credentials_with_ttl > 0 {
            let count = lifetimes.credentials_with_ttl;
            let words = format!("; credentials with a ttl, which a restored node counts from its start: {count}");
            self.caution(&words, Verdict::Doubtful);
        }

        self
    }

    fn of_what_is_in_it(
        configuration: &Configuration,
        version: KongVersion,
        manifest: Option<&Manifest>,
        schemas: &Schemas,
        now: WallTime,
    ) -> Self {
        let source = manifest.and_then(|manifest| manifest.source.as_ref());
        if let Some(reason) = source.and_then(|source| source.accepted.as_deref()) {
            let said =
                format!("not checked: it was published though it was refused, by an operator who said {reason:?}");
            return Self::new(EvidenceKind::NotChecked, Verdict::Doubtful, said);
        }
        if manifest.is_some_and(|manifest| manifest.state == State::Confirmed) {
            return Self::loaded(&format!("a node of Kong {version}"));
        }
        if source.is_some_and(|source| source.from == SourceKind::DblessNode) {
            return Self::loaded(&format!("a node of Kong {version} without a database"));
        }
        if let Some(why) = schemas.missing() {
            let said = format!("its bytes are whole, and whether nodes load it is not checked: {why}");
            return Self::new(EvidenceKind::Bytes, Verdict::Good, said);
        }

        let by = Yardstick { schemas: schemas.set(), plugins: &[], now: Some(now) };
        let found = Examined::of(configuration, &by);
        let against: Vec<&Finding> = found.findings.iter().filter(|finding| finding.is_kongs_word()).collect();
        let name = schemas.name(version);
        if against.is_empty() {
            let unchecked: Vec<String> = found.unchecked.iter().map(ToString::to_string).collect();
            let but =
                if unchecked.is_empty() { String::new() } else { format!("; not checked: {}", unchecked.join("; ")) };
            let said = format!("it matches {name}{but}");
            return Self::new(EvidenceKind::Schemas, Verdict::Good, said);
        }
        let shown: Vec<String> = against.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = (against.len() + found.further).saturating_sub(SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let said = format!(
            "no node is known to have loaded it, and by {name} it would be refused: {}{more}",
            shown.join("; ")
        );
        Self::new(EvidenceKind::NotChecked, Verdict::Doubtful, said)
    }
}

fn has_a_format(configuration: &Configuration) -> bool {
    #[derive(serde::Deserialize)]
    struct Format {
        _format_version: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Format>(configuration.json()).is_ok_and(|format| format._format_version.is_some())
}

/// How large a configuration is of which no manifest tells it.
fn sizes(configuration: &Configuration, version: KongVersion, limits: &NodeLimits) -> Sizes {
    let json = configuration.json();
    // Compressing hardly ever makes anything longer, and what is far below the limit as it is needn't be compressed.
    let is_far = (json.len() as f64) < limits.max_payload as f64 * NEAR;
    let compressed = if is_far { 0 } else { Payload::compress(json).bytes().len() as u64 };
    Sizes { version, json: json.len() as u64, compressed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(json: &'static str, version: &str, change: impl FnOnce(&mut Manifest)) -> Evidence {
        let configuration = Configuration::from_json(json.as_bytes().into()).unwrap();
        let mut manifest = Manifest::decode(include_bytes!("../../tests/data/manifest-format-1.json")).unwrap();
        change(&mut manifest);
        let (version, now) = (version.parse().unwrap(), WallTime::from_system(std::time::SystemTime::UNIX_EPOCH));
        Evidence::of(&configuration, version, Some(&manifest), &measure(version, now))
    }

    fn measure(version: KongVersion, now: WallTime) -> Measure {
        Measure { schemas: Schemas::recorded(version), conditions: Conditions { limits: NodeLimits::default(), now } }
    }

    const GOOD: &str =
        r#"{"_format_version":"3.0","services":[{"id":"00000000-0000-4000-8000-000000000001","host":"a"}]}"#;
    const WRONG: &str =
        r#"{"_format_version":"3.0","services":[{"id":"00000000-0000-4000-8000-000000000001","hots":"a"}]}"#;

    #[test]
    fn what_is_said_is_what_is_known() {
        for (json, version, expected, verdict, part) in [
            (GOOD, "3.9.1", EvidenceKind::Schemas, Verdict::Good, "it matches Kong 3.9.1's schemas"),
            (GOOD, "3.9.2", EvidenceKind::Schemas, Verdict::Good, "Kong 3.9.1's schemas (those of 3.9.2"),
            (GOOD, "3.9.0.1", EvidenceKind::Bytes, Verdict::Good, "not checked"),
            (GOOD, "3.5.0", EvidenceKind::Bytes, Verdict::Good, "there are none of Kong 3.5.0"),
            (WRONG, "3.9.1", EvidenceKind::NotChecked, Verdict::Doubtful, "hots: unknown field"),
            (r#"{"services":[{}]}"#, "3.9.1", EvidenceKind::NotChecked, Verdict::Bad, "no _format_version"),
            (r#"{"_format_version":"3.0"}"#, "3.9.1", EvidenceKind::Schemas, Verdict::Doubtful, "no entity"),
            (
                r#"{"_format_version":"3.0","services":[]}"#,
                "3.9.0.1",
                EvidenceKind::Bytes,
                Verdict::Doubtful,
                "no entity",
            ),
        ] {
            let found = evidence(json, version, |_| {});
            assert_eq!((found.kind, found.verdict), (expected, verdict), "{json}: {}", found.said);
            assert!(found.said.contains(part), "{json}: {}", found.said);
        }
    }

    #[test]
    fn what_ends_is_said_whoever_has_loaded_it() {
        let certificate = include_str!("../../tests/data/kong-3.9.1/cluster.crt");
        let json =
            serde_json::json!({"_format_version": "3.0", "ca_certificates": [{"id": "ca", "cert": certificate}]});
        let configuration = Configuration::from_json(json.to_string().into()).unwrap();
        let version = "3.9.1".parse().unwrap();
        let at = |now: &str| {
            let now = WallTime::try_from(now.to_owned()).unwrap();
            let known = Evidence::loaded("a node").with_ends(&Lifetimes::of(&configuration), now);
            assert_eq!(
                Evidence::of(&configuration, version, None, &measure(version, now)).verdict == Verdict::Bad,
                known.verdict == Verdict::Bad
            );
            (known.verdict, known.said)
        };
        assert_eq!(at("2029-10-01T00:00:00Z"), (Verdict::Good, "a node loaded it".to_owned()));
        let (verdict, said) = at("2029-11-01T00:00:00Z");
        assert_eq!(verdict, Verdict::Doubtful);
        assert!(said.contains("within 30 days this ends or has ended: CA certificate ca (2029-11-19"), "{said}");
        let (verdict, said) = at("2029-12-01T00:00:00Z");
        assert_eq!(verdict, Verdict::Bad);
        assert!(said.contains("Kong refuses all of it, since this has expired: CA certificate ca"), "{said}");
    }

    #[test]
    fn a_node_that_loaded_it_knows_best_and_an_accepted_one_is_not_checked() {
        let confirmed = evidence(WRONG, "3.9.1", |manifest| manifest.state = State::Confirmed);
        assert_eq!((confirmed.kind, confirmed.verdict), (EvidenceKind::Loaded, Verdict::Good));
        let from = |from, accepted: Option<&str>| {
            let accepted = accepted.map(str::to_owned);
            move |manifest: &mut Manifest| manifest.source = Some(lifeboat_core::manifest::Source { from, accepted })
        };
        let ran = evidence(WRONG, "3.9.1", from(SourceKind::DblessNode, None));
        assert_eq!(ran.kind, EvidenceKind::Loaded);
        let accepted = evidence(GOOD, "3.9.1", from(SourceKind::File, Some("tried")));
        assert_eq!((accepted.kind, accepted.verdict), (EvidenceKind::NotChecked, Verdict::Doubtful));
        assert!(accepted.said.contains("not checked") && accepted.said.contains("tried"), "{}", accepted.said);
    }

    #[test]
    fn a_size_near_what_nodes_take_is_said_whoever_has_loaded_it() {
        let room = |change: fn(&mut Manifest)| evidence(GOOD, "3.9.1", change);
        let near = room(|manifest| {
            manifest.state = State::Confirmed;
            manifest.snapshot.bytes = 14_000_000;
        });
        assert_eq!((near.kind, near.verdict), (EvidenceKind::Loaded, Verdict::Doubtful));
        assert!(near.said.contains("it needs 83 % of what cluster_max_payload lets nodes take"), "{}", near.said);
        assert!(!near.said.contains("lmdb_map_size"), "{}", near.said);
        let cache = room(|manifest| manifest.config.bytes = 400 << 20);
        assert!(
            cache.said.contains("86 % of what lmdb_map_size") && cache.said.contains("(to 2225m, say)"),
            "{}",
            cache.said
        );
        let loaded = near.but_loaded("a real Kong 3.9.1");
        assert_eq!((loaded.kind, loaded.verdict), (EvidenceKind::Loaded, Verdict::Doubtful));
        assert!(loaded.said.starts_with("a real Kong 3.9.1 loaded it; it needs 83 %"), "{}", loaded.said);
        assert_eq!(room(|_| {}).but_loaded("a real Kong 3.9.1").verdict, Verdict::Good);
    }

    #[test]
    fn what_has_no_manifest_is_measured_itself() {
        let configuration = Configuration::from_json(GOOD.as_bytes().into()).unwrap();
        let (version, now) = ("3.9.1".parse().unwrap(), WallTime::from_system(std::time::SystemTime::UNIX_EPOCH));
        let said = |max_payload| {
            let limits = NodeLimits { max_payload, ..NodeLimits::default() };
            let measure = Measure { conditions: Conditions { limits, now }, ..measure(version, now) };
            Evidence::of(&configuration, version, None, &measure).said
        };
        let compressed = Payload::compress(GOOD.as_bytes()).bytes().len() as u64;
        assert!(said(compressed).contains("100 % of what cluster_max_payload"), "{}", said(compressed));
        assert!(!said(2 * compressed).contains("cluster_max_payload"), "{}", said(2 * compressed));
    }
}
