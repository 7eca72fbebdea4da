//! `lifeboat diff`: what differs between two configurations.

use std::fmt::Write;

use lifeboat_core::difference::{Change, Difference, Field, Values, What};
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_runtime::background::computed;
use serde_json::{Value, json};

use super::configuration::{configuration, printable, version};
use super::envelope::enveloped;
use super::{Failure, stdout};
use crate::archive::{ArchiveReader, PickError};
use crate::cli::{Compared, Diff, Output};
use crate::config_source::{Found, read_file};
use crate::settings::{LookSettings, Source};
use crate::terminal::{folded_lines, terminal_width};

/// How many characters of a value are shown to people.
const SHOWN: usize = 160;

/// One side of the comparison.
struct Side {
    /// As the user would name it.
    name: String,
    sequence: Option<u64>,
    hash: ConfigHash,
    configuration: Configuration,
}

/// Prints what has become of `before`.
pub async fn diff(source: &Source, asked: &Diff, now: WallTime) -> Result<(), Failure> {
    let settings = LookSettings::read(source)?;
    let archive = ArchiveReader::open_existing(&settings.store).map_err(anyhow::Error::from)?;
    let version = version(&archive, settings.version).await?;
    let reader = Reader { archive: &archive, version, max_config: settings.store.max_config, now };
    let (before, after) = (reader.read(&asked.before).await?, reader.read(&asked.after).await?);
    let (difference, before, after) = computed(move || {
        let difference = Difference::between(&before.configuration, &after.configuration);
        (difference, before, after)
    })
    .await;
    let text = match asked.output {
        Output::Json => as_json(&difference, version, &before, &after),
        Output::Table => folded_lines(&as_text(&difference, version, &before, &after), terminal_width()),
    };

    stdout::line(&text).map_err(anyhow::Error::from)?;
    if asked.exit_code && !difference.changes.is_empty() {
        return Err(Failure::Different(format!("{} and {} differ", before.name, after.name)));
    }
    Ok(())
}

struct Reader<'a> {
    archive: &'a ArchiveReader,
    version: KongVersion,
    max_config: usize,
    now: WallTime,
}

impl Reader<'_> {
    async fn read(&self, compared: &Compared) -> anyhow::Result<Side> {
        let pick = match compared {
            Compared::File(path) => {
                let Found { received: read, .. } = read_file(path, self.version, self.max_config, self.now).await?;
                let name = printable(&path.display().to_string());
                return Ok(Side { name, sequence: None, hash: read.config_hash, configuration: read.configuration });
            }
            Compared::Snapshot(pick) => *pick,
        };
        let (verified, sequence) = match self.archive.pick(self.version, pick).await {
            Ok(picked) => (self.archive.verified(&picked).await?, Some(picked.manifest.sequence)),
            Err(error @ PickError::NoBackup { .. }) => (self.archive.bare(self.version).await?.ok_or(error)?, None),
            Err(error) => return Err(error.into()),
        };
        let name = sequence.map_or_else(|| "config.json".to_owned(), |sequence| format!("snapshot {sequence}"));
        let hash = verified.config_hash();

        Ok(Side { name, sequence, hash, configuration: configuration(verified).await? })
    }
}

fn as_json(difference: &Difference, version: KongVersion, before: &Side, after: &Side) -> String {
    let side = |side: &Side| json!({ "name": side.name, "sequence": side.sequence, "config_hash": side.hash });
    let (added, removed, changed) = difference.counts();
    let counts = json!({ "added": added, "removed": removed, "changed": changed, "unchanged": difference.unchanged });
    let whole = json!({
        "kong_version": version,
        "before": side(before),
        "after": side(after),
        "counts": counts,
        "changes": difference.changes,
    });
    enveloped("diff", whole)
}

fn as_text(difference: &Difference, version: KongVersion, before: &Side, after: &Side) -> String {
    let mut text =
        format!("Kong {version}: {} ({}) compared with {} ({})\n", before.name, before.hash, after.name, after.hash);
    for change in &difference.changes {
        write_change(&mut text, change);
    }
    let (added, removed, changed) = difference.counts();
    let _ = write!(text, "{added} added, {removed} removed, {changed} changed, {} unchanged", difference.unchanged);
    text
}

fn write_change(text: &mut String, Change { kind, name, id, is_code, what }: &Change) {
    let mark = match what {
        What::Added => '+',
        What::Removed => '-',
        What::Changed { .. } => '~',
    };
    let (kind, name) = (printable(kind), printable(name));
    let _ = write!(text, "{mark} {kind}  {name}");

    if let Some(id) = id.as_deref().map(printable).filter(|id| *id != name) {
        let _ = write!(text, "  ({id})");
    }
    if *is_code {
        text.push_str("  CODE: nodes run what stands in it");
    }
    text.push('\n');
    if let What::Changed { fields } = what {
        for Field { field, values } in fields {
            let values = match values {
                Values::Shown { before, after } => format!("{} → {}", shown(before.as_ref()), shown(after.as_ref())),
                Values::Reordered { .. } => "the same elements in another order".to_owned(),
                Values::Masked { .. } => "changed (masked)".to_owned(),
                Values::NotCompared { .. } => "not compared (masked on one side)".to_owned(),
            };
            let _ = writeln!(text, "    {}: {values}", printable(field));
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(not set)".to_owned() };
    let text = printable(&value.to_string());
    let length = text.chars().count();
    if length <= SHOWN {
        return text;
    }
    let beginning: String = text.chars().take(SHOWN).collect();
    format!("{beginning}… ({length} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Pick;

    #[test]
    fn what_is_compared_is_a_number_the_published_one_or_a_file() {
        assert_eq!("41".parse::<Compared>().unwrap(), Compared::Snapshot(Pick::Sequence(41)));
        assert_eq!("published".parse::<Compared>().unwrap(), Compared::Snapshot(Pick::Published));
        assert_eq!("file:kong.yml".parse::<Compared>().unwrap(), Compared::File("kong.yml".into()));
        for wrong in ["", "-1", "newest", "file:", "kong.yml"] {
            assert!(wrong.parse::<Compared>().unwrap_err().to_string().contains("valid: 41"), "{wrong}");
        }
    }
}
