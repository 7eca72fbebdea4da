//! The last lines of what a data plane logged, for people: without the secrets that its configuration has.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::masking::SecretTexts;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;

use super::scratch::Scratch;
use crate::archive::Stores;
use crate::settings::names::{self, Name};
use crate::settings::{DrillSettings, Reader};

const LINES: usize = 12;
/// In characters: nginx' lines about Lua errors run to thousands.
const LONGEST: usize = 400;
const TAIL: u64 = 32 << 10;

/// What `kong start` printed and Kong logged last, each line below the one before; nothing, if there is nothing to show.
pub(super) async fn last_lines(
    scratch: &Scratch,
    settings: &DrillSettings,
    sources: &Stores,
    version: KongVersion,
    clock: Clock,
) -> String {
    // What can't be covered isn't shown.
    let Some(secrets) = secrets(settings, sources, version, clock).await else {
        return "; what it logged is not shown, since its secrets can't be told".to_owned();
    };

    let (started, logged) = (tail(&scratch.start_log()), tail(&scratch.error_log()));
    let lines: Vec<&str> = started.lines().chain(logged.lines()).filter(|line| !line.trim().is_empty()).collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(LINES)).map(|line| {
        let covered = secrets.cover(line);
        let mut short: String = covered.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
        if covered.chars().count() > LONGEST {
            short.push_str(" …");
        }
        format!("\n  | {short}")
    });
    shown.collect()
}

async fn secrets(
    settings: &DrillSettings,
    sources: &Stores,
    version: KongVersion,
    clock: Clock,
) -> Option<SecretTexts> {
    let chosen = sources.restore(version, clock.wall()).await.ok()?;
    let texts = computed(move || {
        let json = chosen.verified.config_json().ok()?;
        SecretTexts::of(&Configuration::from_json(Bytes::from(json)).ok()?)
    });
    let given = [Name::of_others("KONG_LICENSE_DATA"), names::KONG_CLUSTER_CERT_KEY]
        .map(|name| Reader::new(&settings.kong.source).text(name));
    let covered = given.into_iter().flatten().fold(texts.await?, |texts, given| texts.and(&given.value));
    Some(covered)
}

fn tail(path: &Path) -> String {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
