//! `lifeboat show`: one snapshot. What its manifest says, whether a node could be restored from it, and what is in it.

use std::fmt::Write;
use std::io::IsTerminal;

use anyhow::{Context, anyhow};
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::rpc::SyncVersion;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::kong::{Configuration, EntityCounts};
use lifeboat_core::manifest::{Manifest, Pin, Source as ConfigurationSource, SourceKind};
use lifeboat_core::masking::masked;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Verified, Writer};
use lifeboat_runtime::background::computed;
use serde_json::{Value, json};

use super::configuration::{configuration, printable, version};
use super::envelope::enveloped;
use super::{Failure, private_file, stdout};
use crate::archive::{ArchiveReader, Pick, PickError, Picked};
use crate::cli::{Output, Show};
use crate::evidence::{Conditions, Evidence, EvidenceKind, Measure, Verdict};
use crate::settings::{LookSettings, Source};
use crate::terminal::{folded, terminal_width};

/// Shows what was asked for, and fails afterwards if no node could be restored from it.
pub async fn show(source: &Source, asked: &Show, now: WallTime) -> Result<(), Failure> {
    let settings = LookSettings::read(source)?;
    let conditions = Conditions { limits: settings.limits, now };
    let archive = ArchiveReader::open_existing(&settings.store).map_err(anyhow::Error::from)?;
    let version = version(&archive, settings.version).await?;
    let pick = asked.sequence.map_or(Pick::Published, Pick::Sequence);

    match archive.pick(version, pick).await {
        Ok(picked) => shown(&archive, &picked, asked, conditions).await?,
        Err(error @ PickError::NoBackup { .. }) => {
            let verified = archive.bare(version).await.map_err(anyhow::Error::from)?;
            let verified = verified.ok_or(error).map_err(anyhow::Error::from)?;
            bare(&archive, version, verified, asked, conditions).await?;
        }
        Err(error) => return Err(anyhow::Error::from(error).into()),
    }
    Ok(())
}

async fn shown(archive: &ArchiveReader, picked: &Picked, asked: &Show, conditions: Conditions) -> anyhow::Result<()> {
    // Down to the last byte: what is asked is whether a node could be restored.
    let held = match archive.verified(picked).await {
        Ok(verified) => configuration(verified).await,
        Err(error) => Err(error.into()),
    };

    if asked.config {
        return print_configuration(held?, asked).await;
    }
    let published = archive.published(picked.manifest.kong_version).await.ok().flatten();
    let is_published = published.is_some_and(|published| published.manifest.id() == picked.manifest.id());
    let state = if is_published { Publication::Published } else { Publication::Older };
    let known = match held {
        Ok(configuration) => {
            let measure = Measure::of(archive, picked.manifest.kong_version, conditions).await;
            let manifest: Manifest = (*picked.manifest).clone();
            let version = manifest.kong_version;
            Ok(computed(move || Evidence::of(&configuration, version, Some(&manifest), &measure)).await)
        }
        Err(error) => Err(format!("{error:#}")),
    };

    let problem = match &known {
        Err(problem) => Some(problem.clone()),
        Ok(known) if known.verdict == Verdict::Bad => Some(known.said.clone()),
        Ok(_) => None,
    };
    let text = match asked.output {
        Output::Json => as_json(picked, state, known.as_ref().ok(), problem.as_deref()),
        Output::Table => as_text(archive, picked, state, known.as_ref().ok(), problem.as_deref(), conditions.now),
    };
    stdout::line(&text)?;
    match problem {
        None => Ok(()),
        Some(problem) => Err(anyhow!("no node can be restored from this snapshot: {problem}")),
    }
}

/// Whether it is the one that nodes are restored from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Publication {
    Published,
    Older,
}

fn as_json(picked: &Picked, publication: Publication, known: Option<&Evidence>, problem: Option<&str>) -> String {
    let written_by = match picked.manifest.writer() {
        Writer::Anybody => Value::Null,
        Writer::Signer(key) => json!({ "signing_key": key }),
        Writer::KeyHolder(key) => json!({ "encryption_key": key }),
    };
    let whole = json!({
        "published": publication == Publication::Published,
        "restorable": problem.is_none(),
        "problem": problem,
        "evidence": known.map(|known| known.kind),
        "evidence_said": known.map(|known| &known.said),
        "written_by": written_by,
        "manifest": *picked.manifest,
    });

    enveloped("show", whole)
}

fn as_text(
    archive: &ArchiveReader,
    picked: &Picked,
    publication: Publication,
    known: Option<&Evidence>,
    problem: Option<&str>,
    now: WallTime,
) -> String {
    let manifest: &Manifest = &picked.manifest;
    let published = if publication == Publication::Published { ", published" } else { "" };
    let sealed =
        manifest.snapshot.sealed.as_ref().map_or_else(String::new, |seal| format!(", sealed under {:?}", seal.key));
    let exporter = &manifest.exporter;
    let times = &manifest.times;
    let time = |time: WallTime| {
        format!(
            "{time} ({} ago)",
            humantime::format_duration(std::time::Duration::from_secs(now.since(time).as_secs()))
        )
    };
    let written_by = match picked.manifest.writer() {
        Writer::Anybody => "not proven: neither LIFEBOAT_TRUSTED_KEYS nor LIFEBOAT_ENCRYPTION_KEYS is set".to_owned(),
        Writer::Signer(key) => format!("the holder of signing key {key:?}"),
        Writer::KeyHolder(key) => format!("a holder of encryption key {key:?}"),
    };
    let restorable = problem.map_or_else(
        || match known {
            Some(known) if known.kind == EvidenceKind::NotChecked => {
                "payload and manifest are whole, and whether nodes load it is not checked".to_owned()
            }
            _ => "yes: payload and manifest were read and verified".to_owned(),
        },
        |problem| format!("NO: {problem}"),
    );

    rows(&[
        (
            "snapshot",
            format!("{} of Kong {}{published}, in {}", manifest.sequence, manifest.kong_version, archive.place()),
        ),
        ("restorable", restorable),
        ("nodes", known.map_or_else(|| "nothing is known".to_owned(), |known| known.said.clone())),
        ("state", state(manifest, publication)),
        ("configuration", format!("{}, {} bytes of JSON", manifest.config_hash, manifest.config.bytes)),
        ("as restored", format!("{}, by incremental sync", sync_hash(manifest.sequence))),
        ("entities", entities(&manifest.counts)),
        (if manifest.source.is_some() { "read" } else { "received" }, time(times.received)),
        (if manifest.held.is_some() { "held" } else { "published" }, time(times.exported)),
        ("last seen", last_seen(manifest, time)),
        (
            "exporter",
            format!(
                "{}, node id {}, lifeboat {}, epoch {}",
                exporter.hostname, exporter.node_id, exporter.lifeboat, manifest.epoch
            ),
        ),
        ("written by", written_by),
        ("payload", format!("{}, {} bytes{sealed}", manifest.snapshot.key, manifest.snapshot.bytes)),
        ("sha-256", format!("{} (payload), {} (JSON)", manifest.snapshot.sha256, manifest.config.sha256)),
    ])
}

/// How nodes show a snapshot that they were given by incremental sync.
pub(super) fn sync_hash(sequence: u64) -> ConfigHash {
    ConfigHash::of_sync_version(SyncVersion::of_sequence(sequence).number())
}

fn last_seen(manifest: &Manifest, time: impl Fn(WallTime) -> String) -> String {
    match (&manifest.source, manifest.last_seen_at_the_control_plane()) {
        (_, Some(seen)) => format!("{} at the control plane", time(seen)),
        (Some(ConfigurationSource { from: SourceKind::DblessNode, .. }), None) => {
            "never at a control plane: a node without a database ran it".to_owned()
        }
        (_, None) => "never at a control plane: it was read from a file".to_owned(),
    }
}

fn state(manifest: &Manifest, publication: Publication) -> String {
    let state = format!("{:?}", manifest.state).to_lowercase();
    let sequence = manifest.sequence;
    match (&manifest.held, manifest.pin) {
        (Some(why), _) => format!("{state}: {why}. If it is right: lifeboat release {sequence}"),
        (None, Some(_)) if publication == Publication::Older => format!("was {state}"),
        (None, Some(Pin::Unpin)) => format!("{state} until lifeboat unpin"),
        (None, Some(Pin::Change { .. })) => format!("{state} until the control plane's configuration changes"),
        (None, None) => state,
    }
}

async fn bare(
    archive: &ArchiveReader,
    version: KongVersion,
    verified: Verified,
    asked: &Show,
    conditions: Conditions,
) -> anyhow::Result<()> {
    let (hash, bytes) = (verified.config_hash(), verified.config_bytes());
    let configuration = configuration(verified).await?;

    if asked.config {
        return print_configuration(configuration, asked).await;
    }
    let known = Evidence::of(&configuration, version, None, &Measure::of(archive, version, conditions).await);
    let counts = configuration.counts();
    let text = match asked.output {
        Output::Json => {
            let whole = json!({ "published": true, "restorable": true, "problem": null, "written_by": null, "manifest": null,
                "evidence": known.kind, "evidence_said": known.said,
                "kong_version": version, "config_hash": hash, "bytes": bytes, "counts": counts });
            enveloped("show", whole)
        }
        Output::Table => rows(&[
            (
                "snapshot",
                format!("a bare config.json of Kong {version}, in {}: no exporter of lifeboat's", archive.place()),
            ),
            ("restorable", "yes: it is a whole configuration, without a manifest".to_owned()),
            ("nodes", known.said.clone()),
            ("configuration", format!("{hash}, {bytes} bytes of JSON")),
            ("entities", entities(counts)),
        ]),
    };
    stdout::line(&text)?;
    Ok(())
}

fn entities(counts: &EntityCounts) -> String {
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

fn rows(rows: &[(&str, String)]) -> String {
    let (mut text, width) = (String::new(), terminal_width());
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<14}{}", folded(&printable(value), width, 14, 14));
    }
    text.pop();
    text
}

async fn print_configuration(configuration: Configuration, asked: &Show) -> anyhow::Result<()> {
    let text = if asked.reveal_secrets {
        configuration.json().clone()
    } else {
        computed(move || masked(&configuration)).await.into()
    };
    if let Some(path) = &asked.output_file {
        private_file::write(path, &text).with_context(|| format!("{} was not written", path.display()))?;
        eprintln!("lifeboat: wrote {} bytes to {} (mode 0600)", text.len(), path.display());
        return Ok(());
    }
    if asked.reveal_secrets && std::io::stdout().is_terminal() {
        eprintln!("lifeboat: private keys and credentials follow in clear text, and stay in this terminal's history");
    }
    Ok(stdout::bytes(&text)?)
}
