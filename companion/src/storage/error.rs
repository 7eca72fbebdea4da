//! What can go wrong with a store, in the few classes that a caller acts on, each with place, key and cure.

use std::error::Error as _;
use std::io::ErrorKind;

use super::credentials::CredentialError;

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("{place}: there is no {key}")]
    NotFound {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
    /// Somebody else wrote this object meanwhile.
    #[error("{place}: {key} was written by somebody else meanwhile")]
    Conflict {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
    /// The credentials don't allow it.
    #[error("{place}: {what} {key} is denied: {cure} ({reason})")]
    Denied {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
        /// Reading, writing or listing.
        what: Access,
        /// What to do.
        cure: String,
        /// What the store says.
        reason: String,
    },
    /// The store can't be used as it is set up; trying again won't help.
    #[error("{place}: {reason}")]
    Misconfigured {
        /// The store.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The store can't be reached or fails; trying again may help.
    #[error("{place}: {what} {key} failed: {reason}")]
    Unavailable {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
        /// Reading, writing or listing.
        what: Access,
        /// What the store or the network says.
        reason: String,
    },
    /// The store gave other bytes back than it was given.
    #[error("{place}: {key} was read back with other bytes than were written: nothing was published")]
    ReadBackDiffers {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A GET.
    Reading,
    /// A PUT.
    Writing,
    /// A listing.
    Listing,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Listing => "listing",
        })
    }
}

impl Access {
    fn permission(self) -> &'static str {
        match self {
            Self::Reading => "s3:GetObject",
            Self::Writing => "s3:PutObject",
            Self::Listing => "s3:ListBucket",
        }
    }
}

impl StorageError {
    /// Whether the same may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    fn from_credentials(place: String, key: String, what: Access, error: CredentialError) -> Self {
        match error {
            CredentialError::Refused(reason) => {
                let cure = "there are no credentials".to_owned();
                Self::Denied { place, key, what, cure, reason }
            }
            CredentialError::Misconfigured(reason) => Self::Misconfigured { place, reason },
            CredentialError::Unavailable(reason) => Self::Unavailable { place, key, what, reason },
        }
    }

    pub(super) fn from_store(place: &str, key: &str, what: Access, error: object_store::Error) -> Self {
        use object_store::Error as E;
        let (place, key) = (place.to_owned(), key.to_owned());
        if let Some(error) = CredentialError::behind(&error) {
            return Self::from_credentials(place, key, what, error.clone());
        }
        let reason = reason(&error);
        match error {
            _ if reason.contains("NoSuchBucket") => {
                let reason =
                    "the bucket does not exist: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE and the region".into();
                Self::Misconfigured { place, reason }
            }
            // A listing that is denied comes as an error without a class.
            _ if DENIALS.iter().any(|code| reason.starts_with(code)) => {
                let cure = cure(&place, what, &reason);
                Self::Denied { place, key, what, cure, reason }
            }
            E::NotFound { .. } if what == Access::Reading => Self::NotFound { place, key },
            E::AlreadyExists { .. } | E::Precondition { .. } => Self::Conflict { place, key },
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
                let cure = cure(&place, what, &reason);
                Self::Denied { place, key, what, cure, reason }
            }
            E::NotImplemented { .. } | E::NotSupported { .. } | E::InvalidPath { .. } => {
                Self::Misconfigured { place, reason }
            }
            other => match file_error(&other) {
                Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                    let cure = cure(&place, what, &reason);
                    Self::Denied { place, key, what, cure, reason }
                }
                Some(ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {
                    let reason = format!("{key} can't be used ({reason}): {IN_THE_WAY}");
                    Self::Misconfigured { place, reason }
                }
                _ => Self::Unavailable { place, key, what, reason },
            },
        }
    }
}

/// Whether a store says that it can't do what was asked: object_store's own word for it, or HTTP 501.
pub(super) fn says_not_implemented(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => true,
        object_store::Error::Generic { .. } => {
            let text = error.to_string();
            text.contains("501 Not Implemented") || text.contains("<Code>NotImplemented</Code>")
        }
        _ => false,
    }
}

/// What helps where something else has the name of a folder that is needed.
pub(super) const IN_THE_WAY: &str =
    "a file is where a folder must be. Move it away, or set KONG_CLUSTER_FALLBACK_CONFIG_STORAGE to another folder";

/// The codes with which an S3 store says that these credentials won't do, however often they are tried.
const DENIALS: &[&str] = &[
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

// Of a folder's store; what the network reports is no reason to give up.
fn file_error(error: &object_store::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = error.source();
    }
    None
}

fn cure(place: &str, what: Access, reason: &str) -> String {
    if place.starts_with("file://") {
        return "let the user that runs lifeboat read and write this folder".to_owned();
    }
    for (code, cure) in [
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID"),
        ("InvalidAccessKeyId", "the store doesn't know AWS_ACCESS_KEY_ID"),
        // What stores built on s3s answer to a key that they don't know.
        ("NotSignedUp", "the store doesn't know AWS_ACCESS_KEY_ID"),
        ("ExpiredToken", "AWS_SESSION_TOKEN has expired"),
        ("RequestTimeTooSkewed", "this host's clock is wrong"),
    ] {
        if reason.contains(code) {
            return cure.to_owned();
        }
    }
    format!("the access key needs {} here", what.permission())
}

// The store's own words without the layers around them, on one line.
fn reason(error: &object_store::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let whole = error.to_string();
    let deepest = deepest.to_string();
    // An HTTP error's body stands in the outer text, an IO error's reason in the innermost.
    let text = match origin(&whole) {
        _ if whole.contains("<Code>") => code_and_message(&whole),
        Some(origin) => {
            format!("{deepest} ({origin}: is the store up, and are AWS_CONFIG_STORAGE_ENDPOINT and AWS_REGION right)")
        }
        None => deepest,
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

// Scheme, host and port of the request that failed.
fn origin(whole: &str) -> Option<&str> {
    let start = whole.find("http://").or_else(|| whole.find("https://"))?;
    let host = start + whole[start..].find("://")? + 3;
    let end = whole[host..].find(['/', ' ', '?']).map_or(whole.len(), |length| host + length);
    Some(&whole[start..end])
}

fn code_and_message(body: &str) -> String {
    let between = |open: &str, close: &str| {
        let start = body.find(open)? + open.len();
        Some(&body[start..start + body[start..].find(close)?])
    };
    let code = between("<Code>", "</Code>").unwrap_or("?");
    match between("<Message>", "</Message>") {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> StorageError {
        let error = object_store::Error::PermissionDenied { path: "x".into(), source: body.into() };
        StorageError::from_store("s3://backups", "3.9.1/config.json", Access::Writing, error)
    }

    #[test]
    fn a_denial_names_the_missing_permission_or_the_wrong_credential() {
        let plain = denied("403 <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>").to_string();
        assert!(plain.contains("s3:PutObject") && plain.contains("3.9.1/config.json"), "{plain}");
        let wrong = denied("<Error><Code>SignatureDoesNotMatch</Code></Error>").to_string();
        assert!(wrong.contains("AWS_SECRET_ACCESS_KEY"), "{wrong}");
    }

    #[test]
    fn a_listing_that_is_denied_is_known_by_its_code() {
        let source = "403 <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".into();
        let error = object_store::Error::Generic { store: "S3", source };
        let error = StorageError::from_store("s3://backups", "3.9.1", Access::Listing, error);
        assert!(!error.is_transient() && error.to_string().contains("s3:ListBucket"), "{error}");
    }

    #[test]
    fn a_store_that_cannot_be_reached_is_named_with_its_address() {
        let source = "Error performing GET http://10.0.0.9:9000/kong/x?list-type=2 in 1ms - refused".into();
        let error = object_store::Error::Generic { store: "S3", source };
        let error = StorageError::from_store("s3://kong", "x", Access::Reading, error).to_string();
        assert!(error.contains("(http://10.0.0.9:9000: is the store up"), "{error}");
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_object() {
        let source = "404 <Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>".into();
        let error = object_store::Error::NotFound { path: "x".into(), source };
        let error = StorageError::from_store("s3://backups", "x", Access::Reading, error);
        assert!(matches!(error, StorageError::Misconfigured { .. }) && !error.is_transient());
    }
}
