//! Whether a report may be taken: its size, its signature, its form and its time. Not here: what was taken before.

use std::time::{Duration, SystemTime};

use super::{MAX_REPORT, Refusal, TIME_WINDOW};
use crate::report::{FORMAT, Report, ReportKey};
use crate::time::WallTime;

/// Whether it is known who has sent a report.
pub(super) enum Authenticity {
    /// Somebody who has the key.
    Proved,
    /// Nobody can tell, since there are no keys.
    Unknown,
}

/// So many problems are kept of a report, and so many characters of each.
const PROBLEMS: usize = 8;
const PROBLEM: usize = 400;
/// No name, id or version is longer, in bytes.
const LONGEST_TEXT: usize = 128;

pub(super) fn authenticate(body: &[u8], signature: Option<&[u8]>, keys: &[ReportKey]) -> Result<Authenticity, Refusal> {
    if body.len() > MAX_REPORT {
        return Err(Refusal::TooLarge);
    }
    match signature {
        _ if keys.is_empty() => Ok(Authenticity::Unknown),
        None => Err(Refusal::Unsigned),
        Some(signature) if keys.iter().any(|key| key.has_signed(body, signature)) => Ok(Authenticity::Proved),
        Some(_) => Err(Refusal::BadSignature),
    }
}

/// The report that these bytes are, cut to what is kept of it.
pub(super) fn read(body: &[u8]) -> Result<Report, Refusal> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let malformed = |error: serde_json::Error| Refusal::Malformed(error.to_string().chars().take(200).collect());
    // The format first: a later one may lack whatever this one demands.
    let Format { format } = serde_json::from_slice(body).map_err(malformed)?;
    if format != FORMAT {
        return Err(Refusal::UnknownFormat(format));
    }
    let mut report: Report = serde_json::from_slice(body).map_err(malformed)?;

    check_texts(&report)?;
    report.problems.truncate(PROBLEMS);
    for problem in &mut report.problems {
        *problem = problem.chars().filter(|c| !c.is_control()).take(PROBLEM).collect();
    }
    Ok(report)
}

fn check_texts(report: &Report) -> Result<(), Refusal> {
    let optional = [&report.node, &report.kong_node_id, &report.kong_version].into_iter().flatten();
    let texts = optional.chain([&report.filter_version, &report.worker]);

    for text in texts {
        if text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            let start: String = text.chars().take(40).collect();
            return Err(Refusal::Malformed(format!("{start:?}... is too long or holds control characters")));
        }
    }
    if report.worker.len() != 16 || !report.worker.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::Malformed("worker must be 16 hexadecimal digits".to_owned()));
    }
    if !(1..=3600).contains(&report.interval_s) {
        return Err(Refusal::Malformed("interval_s must be from 1 to 3600".to_owned()));
    }
    Ok(())
}

pub(super) fn check_time(report: &Report, wall: WallTime) -> Result<(), Refusal> {
    let sent = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(report.sent_at_ms));
    let difference = sent.map_or(Duration::MAX, |sent| match sent.duration_since(wall.to_system()) {
        Ok(ahead) => ahead,
        Err(behind) => behind.duration(),
    });
    if difference > TIME_WINDOW { Err(Refusal::WrongTime(difference)) } else { Ok(()) }
}
