//! `lifeboat presign`: a ticket, with which a node without cloud credentials restores one snapshot.

use std::time::Duration;

use lifeboat_core::ticket::Ticket;
use lifeboat_core::time::WallTime;
use serde_json::json;

use super::configuration::version;
use super::envelope::enveloped;
use super::{Failure, stdout};
use crate::archive::{ArchiveReader, Issued, Pick};
use crate::cli::Output;
use crate::settings::{LookSettings, Source};

/// Prints a ticket for the published snapshot, or for the one with this sequence; on standard error, what it is good for.
pub async fn presign(
    source: &Source,
    sequence: Option<u64>,
    lifetime: Duration,
    output: Output,
    now: WallTime,
) -> Result<(), Failure> {
    let settings = LookSettings::read(source)?;
    let archive = ArchiveReader::open_existing(&settings.store).map_err(anyhow::Error::from)?;
    let version = version(&archive, settings.version).await?;
    let pick = sequence.map_or(Pick::Published, Pick::Sequence);
    let issued = archive.issue(version, pick, lifetime, now).await.map_err(anyhow::Error::from)?;
    let text = issued.ticket.encode().map_err(anyhow::Error::from)?;
    match output {
        Output::Json => stdout::line(&as_json(&issued, &text)).map_err(anyhow::Error::from)?,
        Output::Table => {
            stdout::line(&text).map_err(anyhow::Error::from)?;
            say(&issued, lifetime, now);
        }
    }
    Ok(())
}

fn as_json(issued: &Issued, text: &str) -> String {
    let json = json!({
        "ticket": text,
        "kong_version": issued.manifest.kong_version,
        "sequence": issued.manifest.sequence,
        "config_hash": issued.manifest.config_hash,
        "expires": issued.ticket.expires,
        "may_end_sooner": issued.may_end_sooner,
    });
    enveloped("presign", json)
}

fn say(issued: &Issued, wanted: Duration, now: WallTime) {
    let Issued { manifest, ticket, may_end_sooner } = issued;
    eprintln!(
        "This ticket restores snapshot {} of Kong {}, configuration {}, until {}{}.",
        manifest.sequence,
        manifest.kong_version,
        manifest.config_hash,
        ticket.expires,
        shorter(ticket, wanted, now)
    );
    if *may_end_sooner {
        eprintln!(
            "It may stop working sooner: it is signed by temporary credentials (AWS_SESSION_TOKEN), whose end is not known \
             here (AWS_CREDENTIAL_EXPIRATION would tell) and ends the ticket too."
        );
    }

    eprintln!(
        "It is a secret: anyone who has it can read this configuration, private keys included. Give it to a node as \
         LIFEBOAT_TICKET, or in a file that LIFEBOAT_TICKET_FILE names."
    );
}

fn shorter(ticket: &Ticket, wanted: Duration, now: WallTime) -> String {
    let lives = ticket.expires.since(now);
    if wanted <= lives + Duration::from_secs(1) {
        return String::new();
    }
    let lives = humantime::format_duration(Duration::from_secs(lives.as_secs()));
    format!(", which is {lives} and all that the store and the credentials allow")
}
