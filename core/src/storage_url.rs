//! Where the objects live, as an operator writes it: `s3://bucket/prefix` and its relatives. Only the address; how a
//! store is reached and with which credentials is the companion's.

use std::fmt;
use std::str::FromStr;

/// The address of a store and of the prefix in it under which Lifeboat's objects lie. Prefixes with and without slashes
/// at either end are the same prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StorageUrl {
    /// Amazon S3, or with `AWS_CONFIG_STORAGE_ENDPOINT` any S3-compatible store.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// Google Cloud Storage. Kong writes `gcs://` and, since 3.13, `gs://`; an old page of its documentation `gcp://`.
    Gcs {
        /// The bucket's name.
        bucket: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// Azure Blob Storage: `azure://account/container/prefix`, as Kong has it since 3.14.
    Azure {
        /// The storage account's name.
        account: String,
        /// The container's name.
        container: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A folder of this machine.
    File {
        /// The folder's absolute path.
        path: String,
    },
    /// The memory of this process: for tests and benchmarks, gone when it ends.
    Memory,
    /// What one ticket holds. It has no URL: a ticket is a secret, and comes by a setting of its own.
    Ticket,
}

/// What is wrong with a storage URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// No `scheme://`.
    #[error("{0:?} is not a storage URL (valid: {EXAMPLES})")]
    NoScheme(String),
    /// A store of which Lifeboat knows nothing.
    #[error("{0}:// is not a store that lifeboat knows (valid: {EXAMPLES})")]
    UnknownScheme(String),
    /// `s3:///prefix`.
    #[error("{0:?} names no bucket (valid: s3://bucket/prefix, gs://bucket/prefix)")]
    NoBucket(String),
    /// A bucket name that S3 can't have.
    #[error(
        "{0:?} is not a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens (valid: s3://bucket/prefix)"
    )]
    BadBucket(String),
    /// A bucket name that Google Cloud Storage can't have.
    #[error(
        "{0:?} is not a bucket name: lower-case letters, digits, dots, hyphens and underscores, a letter or digit at \
         either end, and 3 to 63 of them between dots (valid: gs://bucket/prefix)"
    )]
    BadGcsBucket(String),
    /// `azure://account`.
    #[error("{0:?} does not name account and container (valid: azure://account/container/prefix)")]
    NoContainer(String),
    /// A name that no storage account has.
    #[error(
        "{0:?} is not a storage account: 3 to 24 lower-case letters and digits (valid: azure://account/container/prefix)"
    )]
    BadAccount(String),
    /// A name that no container has, or one of those that Azure serves to everybody.
    #[error(
        "{0:?} is not a container's name: 3 to 63 lower-case letters, digits and single hyphens, a letter or digit at \
         either end (valid: azure://account/container/prefix)"
    )]
    BadContainer(String),
    /// `file://relative`.
    #[error("{0:?} is not an absolute path: a file URL has three slashes (valid: file:///var/lib/lifeboat)")]
    RelativePath(String),
    /// A query, a fragment, or credentials in the URL.
    #[error("a storage URL holds a store's address and a prefix only: {0} (valid: {EXAMPLES})")]
    Extra(&'static str),
    /// A prefix that a file system or a proxy would take for something else.
    #[error("the prefix {0:?} has an empty, '.' or '..' segment")]
    BadPrefix(String),
    /// A character that libraries, consoles and policies of the clouds write in different ways.
    #[error(
        "the prefix {prefix:?} has the character {character:?}, which tools write in different ways, so that they would \
         not mean the same objects: use letters, digits, hyphens, dots and underscores (valid: s3://bucket/kong-backups)"
    )]
    BadCharacter {
        /// The prefix.
        prefix: String,
        /// The first such character in it.
        character: char,
    },
    /// A prefix that leaves no room for the keys below it.
    #[error(
        "the prefix has {0} bytes, and the stores' keys have at most 1,024: use at most {LONGEST_PREFIX} (valid: \
         s3://bucket/kong-backups)"
    )]
    LongPrefix(usize),
    /// A dot that Azure drops.
    #[error(
        "the prefix {0:?} has a segment that ends with a dot, which Azure drops (valid: \
         azure://account/container/kong-backups)"
    )]
    DotAtEnd(String),
}

const EXAMPLES: &str =
    "s3://bucket/prefix, gs://bucket/prefix, azure://account/container/prefix, file:///var/lib/lifeboat";

/// In bytes. The longest key below a prefix has fewer than 200.
const LONGEST_PREFIX: usize = 800;

/// What Amazon calls characters to avoid, besides all that are not ASCII, and what Google advises against: the client library
/// writes them percent-encoded into the key itself, and others don't. And the blank, which a listing's query has as `+` or
/// `%20`, so that not every server computes the same signature (moto), nor Azure's of a link.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>,
/// <https://cloud.google.com/storage/docs/objects#naming>
const TO_AVOID: &str = r##"\{}^%`[]"<>~#|*? "##;

impl StorageUrl {
    /// The prefix of all keys in the bucket or container, without slashes at its ends; empty for a folder.
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3 { prefix, .. } | Self::Gcs { prefix, .. } | Self::Azure { prefix, .. } => prefix,
            Self::File { .. } | Self::Memory | Self::Ticket => "",
        }
    }

    /// What is to be said about a URL that is accepted as it is written.
    pub fn warning(text: &str) -> Option<&'static str> {
        let (scheme, _) = text.trim().split_once("://")?;
        let is_old = scheme.eq_ignore_ascii_case("gcp");
        is_old.then_some("gcp:// is an old spelling that Kong itself does not take everywhere: write gs://")
    }
}

impl FromStr for StorageUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        // Credentials in a URL would be repeated in every message about it, so not even the error repeats them.
        if text.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
            return Err(InvalidUrl::Extra(
                "credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GCP_SERVICE_ACCOUNT or AZURE_STORAGE_KEY",
            ));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(InvalidUrl::NoScheme(text.chars().take(200).collect()));
        };

        if rest.contains(['?', '#']) {
            return Err(InvalidUrl::Extra("no '?' and no '#'"));
        }
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => s3(text, rest),
            "gs" | "gcs" | "gcp" => gcs(text, rest),
            "azure" => azure(text, rest),
            "file" if rest.starts_with('/') => Ok(Self::File { path: format!("/{}", clean_prefix(rest)?) }),
            "file" => Err(InvalidUrl::RelativePath(text.to_owned())),
            "memory" => Ok(Self::Memory),
            other => Err(InvalidUrl::UnknownScheme(other.to_owned())),
        }
    }
}

fn s3(text: &str, rest: &str) -> Result<StorageUrl, InvalidUrl> {
    let (bucket, prefix) = bucket_and_prefix(text, rest)?;
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(|b| is_plain(b) || b == b'.' || b == b'-') {
        return Err(InvalidUrl::BadBucket(bucket.to_owned()));
    }
    Ok(StorageUrl::S3 { bucket: bucket.to_owned(), prefix: key_prefix(prefix)? })
}

// <https://cloud.google.com/storage/docs/buckets#naming>: with dots up to 222 characters, each part up to 63.
fn gcs(text: &str, rest: &str) -> Result<StorageUrl, InvalidUrl> {
    let (bucket, prefix) = bucket_and_prefix(text, rest)?;
    let longest = if bucket.contains('.') { 222 } else { 63 };
    let is_one = (3..=longest).contains(&bucket.len())
        && bucket.bytes().all(|b| is_plain(b) || matches!(b, b'.' | b'-' | b'_'))
        && has_plain_ends(bucket)
        && bucket.split('.').all(|part| (1..=63).contains(&part.len()));
    if !is_one {
        return Err(InvalidUrl::BadGcsBucket(bucket.to_owned()));
    }
    Ok(StorageUrl::Gcs { bucket: bucket.to_owned(), prefix: key_prefix(prefix)? })
}

// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>. `$root`
// and `$web` are refused with the rest: what lies there may be readable by everybody.
fn azure(text: &str, rest: &str) -> Result<StorageUrl, InvalidUrl> {
    let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if account.is_empty() || container.is_empty() {
        return Err(InvalidUrl::NoContainer(text.to_owned()));
    }
    if !(3..=24).contains(&account.len()) || !account.bytes().all(is_plain) {
        return Err(InvalidUrl::BadAccount(account.to_owned()));
    }
    let is_container = (3..=63).contains(&container.len())
        && container.bytes().all(|b| is_plain(b) || b == b'-')
        && has_plain_ends(container)
        && !container.contains("--");

    if !is_container {
        return Err(InvalidUrl::BadContainer(container.to_owned()));
    }
    let (account, container, prefix) = (account.to_owned(), container.to_owned(), key_prefix(prefix)?);
    if prefix.split('/').any(|segment| segment.ends_with('.')) {
        return Err(InvalidUrl::DotAtEnd(prefix));
    }
    Ok(StorageUrl::Azure { account, container, prefix })
}

fn bucket_and_prefix<'a>(text: &str, rest: &'a str) -> Result<(&'a str, &'a str), InvalidUrl> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() { Err(InvalidUrl::NoBucket(text.to_owned())) } else { Ok((bucket, prefix)) }
}

fn is_plain(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn has_plain_ends(name: &str) -> bool {
    name.bytes().next().is_some_and(is_plain) && name.bytes().next_back().is_some_and(is_plain)
}

// One that is the same in every store, tool and link.
fn key_prefix(prefix: &str) -> Result<String, InvalidUrl> {
    let prefix = clean_prefix(prefix)?;
    let is_to_avoid = |c: &char| !c.is_ascii() || c.is_ascii_control() || TO_AVOID.contains(*c);
    if let Some(character) = prefix.chars().find(is_to_avoid) {
        return Err(InvalidUrl::BadCharacter { prefix, character });
    }
    if prefix.len() > LONGEST_PREFIX { Err(InvalidUrl::LongPrefix(prefix.len())) } else { Ok(prefix) }
}

fn clean_prefix(prefix: &str) -> Result<String, InvalidUrl> {
    let trimmed = prefix.trim_matches('/');
    if !trimmed.is_empty() && trimmed.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(InvalidUrl::BadPrefix(prefix.to_owned()));
    }
    Ok(trimmed.to_owned())
}

impl fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self {
            Self::S3 { bucket, prefix } => {
                write!(f, "s3://{bucket}")?;
                prefix
            }
            Self::Gcs { bucket, prefix } => {
                write!(f, "gs://{bucket}")?;
                prefix
            }
            Self::Azure { account, container, prefix } => {
                write!(f, "azure://{account}/{container}")?;
                prefix
            }
            Self::File { path } => return write!(f, "file://{path}"),
            Self::Memory => return f.write_str("memory://"),
            Self::Ticket => return f.write_str("the ticket"),
        };
        if prefix.is_empty() { Ok(()) } else { write!(f, "/{prefix}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_either_end_of_a_prefix_change_nothing() {
        for text in
            ["s3://backups/kong/eu", "s3://backups//kong/eu", "s3://backups/kong/eu/", " s3://backups/kong/eu// "]
        {
            assert_eq!(text.parse::<StorageUrl>().unwrap().to_string(), "s3://backups/kong/eu", "{text}");
        }
        assert_eq!("s3://backups/".parse::<StorageUrl>().unwrap().to_string(), "s3://backups");
        for text in ["gs://backups/kong/eu", "gcs://backups//kong/eu/", "GCP://backups/kong/eu"] {
            assert_eq!(text.parse::<StorageUrl>().unwrap().to_string(), "gs://backups/kong/eu", "{text}");
        }
        for text in ["azure://account/backups/kong", "azure://account/backups//kong/"] {
            assert_eq!(text.parse::<StorageUrl>().unwrap().to_string(), "azure://account/backups/kong", "{text}");
        }
        assert_eq!("azure://account/backups".parse::<StorageUrl>().unwrap().to_string(), "azure://account/backups");
        assert_eq!("file:///var/lib/lifeboat/".parse::<StorageUrl>().unwrap().to_string(), "file:///var/lib/lifeboat");
    }

    #[test]
    fn a_wrong_url_is_refused_with_a_valid_one() {
        for wrong in [
            "",
            "backups/kong",
            "s3:///kong",
            "s3://B_ad/kong",
            "s3://ab",
            "file://var/lib",
            "ftp://host/x",
            "gs:///kong",
            "gs://Backups/kong",
            "gs://_backups/kong",
            "gs://a..b",
            "azure://account",
            "azure://account//kong",
            "azure://my-account/backups",
            "azure://account/$root",
            "azure://account/$web/x",
            "azure://account/back--ups",
            "azure://account/ab",
            "s3://backups/a/../b",
            "s3://backups/kong?region=eu",
            "s3://backups/a//b",
        ] {
            let error = wrong.parse::<StorageUrl>().unwrap_err().to_string();
            assert!(error.contains("(valid: ") || error.contains("segment") || error.contains("file:///"), "{error}");
        }
    }

    #[test]
    fn characters_that_tools_write_in_different_ways_are_refused_by_name() {
        for character in TO_AVOID.chars().filter(|c| !"?#".contains(*c)).chain(['é', '日', '\t', '\u{7f}']) {
            for store in ["s3://backups", "gs://backups", "azure://account/backups"] {
                let refused = format!("{store}/a/{character}b").parse::<StorageUrl>().unwrap_err();
                assert_eq!(refused, InvalidUrl::BadCharacter { prefix: format!("a/{character}b"), character });
            }
        }
        // A file system has no such trouble.
        assert_eq!("file:///var/é~[x]".parse::<StorageUrl>().unwrap().to_string(), "file:///var/é~[x]");
    }

    #[test]
    fn a_prefix_leaves_room_for_keys_and_keeps_its_dots_in_azure() {
        let long = "a".repeat(LONGEST_PREFIX + 1);
        assert_eq!(format!("s3://backups/{long}").parse::<StorageUrl>(), Err(InvalidUrl::LongPrefix(long.len())));
        assert!(format!("s3://backups/{}", &long[1..]).parse::<StorageUrl>().is_ok());
        let refused = "azure://account/backups/v1./x".parse::<StorageUrl>();
        assert_eq!(refused, Err(InvalidUrl::DotAtEnd("v1./x".into())));
        assert!("s3://backups/v1./x".parse::<StorageUrl>().is_ok());
    }

    #[test]
    fn google_buckets_may_have_underscores_and_be_domains() {
        let domain = format!("gs://{}.{}.example.com", "a".repeat(63), "b".repeat(63));
        for text in ["gs://kong_backups", "gs://backups.example.com/kong", &domain] {
            assert_eq!(text.parse::<StorageUrl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_old_spelling_is_warned_of_and_the_others_are_not() {
        assert!(StorageUrl::warning(" gcp://backups/kong").is_some_and(|warning| warning.contains("gs://")));
        for text in ["gs://backups", "gcs://backups", "s3://backups", "file:///gcp://x", "gcp"] {
            assert_eq!(StorageUrl::warning(text), None, "{text}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let error = "s3://AKIA:wonderful-secret@backups/kong".parse::<StorageUrl>().unwrap_err().to_string();
        assert!(error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("wonderful"), "{error}");
    }
}
