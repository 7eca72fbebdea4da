//! What a failed request means: its class and its cure. They follow from what was observed on the wire, or, if nothing
//! was, from object_store's own words. Which failures are worth another try is in `retry`.

use std::error::Error as _;
use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use http::StatusCode;
use rustix::io::Errno;

use super::cloud::Cloud;
use super::credentials::CredentialError;
use super::denial::{Denial, FOLDER, KMS_KEY};
use super::error::IN_THE_WAY;
use super::retry::{Again, is_transient};
use super::wire::{Answer, Failure, Observation, Outcome};
use super::{Concerns, Operation, StorageError};
use crate::RequestOutcome;

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// What callers are told if no other try succeeds.
    pub(super) error: Box<StorageError>,
    /// Whether there should be another.
    pub(super) again: Again,
    /// Whether the store may have done what was asked all the same.
    pub(super) is_uncertain: bool,
    /// Whether a store gives the same answer for a missing object if the right to list is missing.
    pub(super) may_mean_absent: bool,
    /// Whether the store has said that it can't do such a thing at all.
    pub(super) is_not_implemented: bool,
}

/// Which try of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) place: &'a str,
    pub(super) key: &'a str,
    pub(super) what: Operation,
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        let again = Again::after_error(&error);
        Self { error: Box::new(error), again, is_uncertain: false, may_mean_absent: false, is_not_implemented: false }
    }
}

impl From<Failed> for StorageError {
    fn from(failed: Failed) -> Self {
        *failed.error
    }
}

impl Failed {
    /// Whether there is no such object.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(*self.error, StorageError::NotFound { .. })
    }

    /// The outcome as which it is counted.
    pub(super) fn outcome(&self) -> RequestOutcome {
        RequestOutcome::Failed(self.error.class())
    }

    /// After a time, but only if trying again makes sense at all.
    fn after(self, wait: Option<Duration>) -> Self {
        Self { again: wait.map_or(self.again, Again::After), ..self }
    }
}

impl Attempt<'_> {
    /// What it means that this try ended with `error`, after this `observation`.
    pub(super) fn diagnose(self, error: &object_store::Error, observation: Option<&Observation>) -> Failed {
        // The code that fetches credentials knows better than the wire why there are none.
        if let Some(error) = CredentialError::behind(error) {
            return self.without_credentials(error).into();
        }

        match observation {
            Some(observation @ Observation { outcome: Outcome::Failed(failure), .. }) => {
                self.unanswered(&observation.origin, failure)
            }
            Some(observation @ Observation { outcome: Outcome::Answered(answer), .. })
                if !answer.status.is_success() =>
            {
                self.refused(observation, answer)
            }
            _ => self.said(error),
        }
    }

    fn without_credentials(self, error: &CredentialError) -> StorageError {
        match error.clone() {
            CredentialError::Refused(reason) => {
                self.denied(Concerns::Requester, "there are no credentials".to_owned(), reason)
            }
            CredentialError::Misconfigured(reason) => self.misconfigured(reason),
            CredentialError::Unavailable(reason) => self.unavailable(reason),
        }
    }

    fn unanswered(self, origin: &str, failure: &Failure) -> Failed {
        if let Failure::Untrusted(_) = failure {
            return self
                .misconfigured(format!(
                    "{origin}: {failure}: set LIFEBOAT_STORAGE_CA to the certificate of its authority if that is one of \
                     your own, and check the name and the dates of the certificate"
                ))
                .into();
        }

        let whereabouts = Cloud::of(self.place).whereabouts();
        if let Failure::WebPage = failure {
            return self.misconfigured(format!("{origin}: {failure}: {whereabouts}, or what stands in between")).into();
        }
        let cure = if failure.is_of_a_server() { "is the store well, or a proxy in between" } else { whereabouts };
        let mut failed = Failed::from(self.unavailable(format!("{failure} ({origin}: {cure})")));
        failed.is_uncertain = !failure.is_before_sending();
        failed
    }

    fn refused(self, observation: &Observation, answer: &Answer) -> Failed {
        let cloud = Cloud::of(self.place);
        let code = answer.error.code.as_deref().unwrap_or_default();

        if let Some(denial) = Denial::of(cloud, self.what, observation, answer) {
            let again = Again::after_denial(&denial);
            let may_mean_absent = self.what.is_reading() && matches!(denial, Denial::Permission(_));
            let concerns = match denial {
                Denial::Expired(_) | Denial::Clock(_) => Concerns::Requester,
                Denial::Permission(_) | Denial::Credential(_) => Concerns::Object,
            };
            let failed = Failed::from(self.denied(concerns, denial.cure(), said_by(answer)));
            return Failed { again, may_mean_absent, ..failed };
        }

        if let Some(reason) = self.elsewhere(&observation.origin, answer) {
            return self.misconfigured(reason).into();
        }
        if is_transient(answer) {
            let mut failed = Failed::from(self.unavailable(said_by(answer))).after(answer.retry_after);
            // A server that answers 4xx has not done it.
            failed.is_uncertain = answer.status.is_server_error();
            return failed;
        }

        let (place, key) = (self.place.to_owned(), self.key.to_owned());
        match answer.status.as_u16() {
            404 if is_absent_object(self.what, code) => match self.what {
                Operation::Put => StorageError::Conflict { place, key }.into(),
                _ => StorageError::NotFound { place, key }.into(),
            },
            304 | 409 | 412 if self.what == Operation::Put => StorageError::Conflict { place, key }.into(),
            404 => {
                let container = cloud.container();
                let region = if cloud == Cloud::S3 { " and the region" } else { "" };
                self.misconfigured(format!(
                    "the {container} does not exist: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE{region} ({})",
                    said_by(answer)
                ))
                .into()
            }
            status => {
                let reason = format!("{} {} can't be done here: {}", self.what, self.key, said_by(answer));
                let is_not_implemented = status == 501 || code == "NotImplemented";
                Failed { is_not_implemented, ..self.misconfigured(with_hint(cloud, answer, reason)).into() }
            }
        }
    }

    // The bucket is somewhere else than the settings say.
    fn elsewhere(self, origin: &str, answer: &Answer) -> Option<String> {
        let code = answer.error.code.as_deref().unwrap_or_default();
        let is_region =
            matches!(code, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException");
        let is_redirect = answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED;

        if !is_region && !is_redirect || code == "TemporaryRedirect" {
            return None;
        }
        let region = answer.bucket_region.as_ref().or(answer.error.region.as_ref());
        Some(match region {
            Some(region) => format!("the bucket is in {region}: set AWS_REGION={region} ({})", said_by(answer)),
            None => format!(
                "{} sends requests elsewhere: check AWS_REGION and AWS_CONFIG_STORAGE_ENDPOINT ({})",
                origin,
                said_by(answer)
            ),
        })
    }

    // Nothing was observed, or nothing bad: a folder, memory, or an answer that object_store can't read.
    fn said(self, error: &object_store::Error) -> Failed {
        use object_store::Error as E;
        let (place, key) = (self.place.to_owned(), self.key.to_owned());
        let reason = deepest(error);
        match error {
            E::NotFound { .. } if self.what != Operation::List => StorageError::NotFound { place, key }.into(),
            E::AlreadyExists { .. } | E::Precondition { .. } => StorageError::Conflict { place, key }.into(),
            E::NotImplemented { .. } | E::NotSupported { .. } => {
                Failed { is_not_implemented: true, ..self.misconfigured(reason).into() }
            }
            E::InvalidPath { .. } => self.misconfigured(reason).into(),
            _ => self.said_of_a_file(file_error(error), reason),
        }
    }

    fn said_of_a_file(self, error: Option<&IoError>, reason: String) -> Failed {
        let key = self.key;
        // A FIFO or a device, which `open::folder` doesn't open; a link that leads to itself.
        let is_no_file = |error: &IoError| {
            error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
        };

        match error.map(IoError::kind) {
            _ if error.is_some_and(is_no_file) => {
                let text = format!("{} {key} can't be done here ({reason}): move away what lies there", self.what);
                self.misconfigured(text).into()
            }
            Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                self.denied(Concerns::Object, FOLDER.to_owned(), reason).into()
            }
            Some(ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {
                self.misconfigured(format!("{key} can't be used ({reason}): {IN_THE_WAY}")).into()
            }
            _ => Failed { is_uncertain: true, ..self.unavailable(reason).into() },
        }
    }

    fn denied(self, concerns: Concerns, cure: String, reason: String) -> StorageError {
        let (place, key) = (self.place.to_owned(), self.key.to_owned());
        StorageError::Denied { place, key, what: self.what, concerns, cure, reason }
    }

    fn misconfigured(self, reason: String) -> StorageError {
        StorageError::Misconfigured { place: self.place.to_owned(), reason }
    }

    fn unavailable(self, reason: String) -> StorageError {
        let (place, key) = (self.place.to_owned(), self.key.to_owned());
        StorageError::Unavailable { place, key, what: self.what, reason }
    }
}

fn is_absent_object(what: Operation, code: &str) -> bool {
    match what {
        Operation::List => false,
        Operation::Get | Operation::Head | Operation::Delete => {
            matches!(code, "" | "NoSuchKey" | "BlobNotFound" | "NoSuchVersion")
        }
        // A compare-and-swap of an object that is gone.
        Operation::Put => matches!(code, "NoSuchKey" | "BlobNotFound"),
    }
}

fn with_hint(cloud: Cloud, answer: &Answer, reason: String) -> String {
    let code = answer.error.code.as_deref().unwrap_or_default();
    let message = answer.error.message.as_deref().unwrap_or_default();
    // Emulators of Google's store have its JSON API, and of the other one a part.
    let lacks_an_api = answer.status == StatusCode::NOT_IMPLEMENTED || message.contains("uploadType");
    if code.starts_with("KMS.") || message.to_ascii_lowercase().contains("kms") {
        format!("{reason}: {KMS_KEY}")
    } else if cloud == Cloud::Google && lacks_an_api {
        format!(
            "{reason}: this server lacks that part of the XML API of Google Cloud Storage, by which Lifeboat lists, reads and \
             writes. Google's own has it; of emulators, those with the JSON API alone can't be used"
        )
    } else {
        reason
    }
}

/// `AccessDenied: Access Denied`, or at least the status.
fn said_by(answer: &Answer) -> String {
    let mut text = match (&answer.error.code, &answer.error.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.clone(),
        (None, Some(message)) => format!("HTTP {}: {message}", answer.status),
        (None, None) => format!("HTTP {}", answer.status),
    };
    if let Some(wait) = answer.retry_after {
        text.push_str(&format!("; it asks to wait {} s", wait.as_secs()));
    }
    text
}

// The error of a folder's file. An error of the network is no reason to give up.
fn file_error(error: &object_store::Error) -> Option<&IoError> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<IoError>() {
            return Some(io);
        }
        source = error.source();
    }
    None
}

// The innermost reason without the layers around it, on one line. URLs are in the outer ones.
pub(super) fn deepest(error: &object_store::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

#[cfg(test)]
mod tests;
