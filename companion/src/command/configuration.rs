//! What `show` and `diff` have in common: which Kong is meant, a snapshot's configuration, and text that a terminal can be
//! given.

use anyhow::{Context, bail};
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::Verified;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::progress::step;

use crate::archive::ArchiveReader;

/// The version that was given, or else the only one of which there are backups.
pub(super) async fn version(archive: &ArchiveReader, given: Option<KongVersion>) -> anyhow::Result<KongVersion> {
    if let Some(version) = given {
        return Ok(version);
    }
    let versions = archive.versions().await?;
    match &versions[..] {
        [] => bail!("there are no backups in {}", archive.place()),
        [only] => Ok(*only),
        several => {
            let several: Vec<String> = several.iter().map(ToString::to_string).collect();
            bail!("there are backups for Kong {}: say which with --kong-version", several.join(", "))
        }
    }
}

/// What a snapshot holds.
pub(super) async fn configuration(verified: Verified) -> anyhow::Result<Configuration> {
    let _progress = step(format_args!("reading {} bytes of configuration", verified.config_bytes()));
    computed(move || {
        let json = verified.config_json()?;
        Configuration::from_json(json.into()).context("the snapshot holds no configuration")
    })
    .await
}

/// A text from a store or a configuration without what would move a terminal's cursor or turn its writing around.
pub(super) fn printable(text: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let escaped = |c: char| if is_plain(&c) { c.to_string() } else { c.escape_unicode().to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_a_command() {
        assert_eq!(printable("café 中文 🚀"), "café 中文 🚀");
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\u{a}\\u{202e}c");
    }
}
