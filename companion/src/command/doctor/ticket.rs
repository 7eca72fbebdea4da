//! Checks of a ticket, where there is one in place of a store: until when, and whether its snapshot would be restored.

use std::time::Duration;

use lifeboat_core::manifest::Manifest;
use lifeboat_core::room::NodeLimits;
use lifeboat_core::ticket::Ticket;
use lifeboat_runtime::clock::Clock;

use super::backup;
use super::check::{Check, in_words};
use crate::archive::ArchiveReader;
use crate::settings::{RestoreRules, Role};

const TICKET: &str = "ticket";

pub(super) async fn checks(
    ticket: &Ticket,
    archive: &ArchiveReader,
    role: Role,
    limits: NodeLimits,
    rules: RestoreRules,
    clock: Clock,
) -> Vec<Check> {
    let mut checks = vec![validity(ticket, clock)];
    // Of which version it is; whether that is to be believed is decided when it is restored.
    match Manifest::decode(&ticket.manifest) {
        Ok(claims) => checks.push(backup::newest(archive, claims.kong_version, role, limits, rules, clock).await),
        Err(error) => checks.push(Check::fail(TICKET, error.to_string(), "make another one with lifeboat presign")),
    }
    checks
}

fn validity(ticket: &Ticket, clock: Clock) -> Check {
    let left = ticket.expires.since(clock.wall());
    if left == Duration::ZERO {
        let cure = "make another one with lifeboat presign, where there are credentials";
        return Check::fail(TICKET, format!("it has expired at {}", ticket.expires), cure);
    }
    Check::pass(TICKET, format!("it works for {} more, until {}", in_words(left), ticket.expires))
}
