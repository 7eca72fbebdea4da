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
    /// A folder of this machine.
    File {
        /// The folder's absolute path.
        path: String,
    },
    /// The memory of this process: for tests and benchmarks, gone when it ends.
    Memory,
}

/// What is wrong with a storage URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// No `scheme://`.
    #[error("{0:?} is not a storage URL (valid: s3://bucket/prefix, file:///var/lib/lifeboat)")]
    NoScheme(String),
    /// A store of which Lifeboat knows nothing.
    #[error("{0}:// is not a store that this version knows (valid: s3://bucket/prefix, file:///var/lib/lifeboat)")]
    UnknownScheme(String),
    /// A store that DESIGN promises and this version doesn't have yet.
    #[error("{0}:// is not supported by this version of lifeboat yet (valid: s3://bucket/prefix, file:///path)")]
    NotYet(String),
    /// `s3:///prefix`.
    #[error("{0:?} names no bucket (valid: s3://bucket/prefix)")]
    NoBucket(String),
    /// A bucket name that S3 can't have.
    #[error(
        "{0:?} is not a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens (valid: s3://bucket/prefix)"
    )]
    BadBucket(String),
    /// `file://relative`.
    #[error("{0:?} is not an absolute path: a file URL has three slashes (valid: file:///var/lib/lifeboat)")]
    RelativePath(String),
    /// A query, a fragment, or credentials in the URL.
    #[error("a storage URL holds a store's address and a prefix only: {0} (valid: s3://bucket/prefix)")]
    Extra(&'static str),
    /// A prefix that a file system or a proxy would take for something else.
    #[error("the prefix {0:?} has an empty, '.' or '..' segment")]
    BadPrefix(String),
}

impl FromStr for StorageUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        // Credentials in a URL would be repeated in every message about it, so not even the error repeats them.
        if text.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
            return Err(InvalidUrl::Extra("credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(InvalidUrl::NoScheme(text.chars().take(200).collect()));
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidUrl::Extra("no '?' and no '#'"));
        }
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => s3(text, rest),
            "file" if rest.starts_with('/') => Ok(Self::File { path: format!("/{}", clean_prefix(rest)?) }),
            "file" => Err(InvalidUrl::RelativePath(text.to_owned())),
            "memory" => Ok(Self::Memory),
            later @ ("gs" | "gcs" | "gcp" | "azure") => Err(InvalidUrl::NotYet(later.to_owned())),
            other => Err(InvalidUrl::UnknownScheme(other.to_owned())),
        }
    }
}

fn s3(text: &str, rest: &str) -> Result<StorageUrl, InvalidUrl> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    if bucket.is_empty() {
        return Err(InvalidUrl::NoBucket(text.to_owned()));
    }
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
        return Err(InvalidUrl::BadBucket(bucket.to_owned()));
    }
    Ok(StorageUrl::S3 { bucket: bucket.to_owned(), prefix: clean_prefix(prefix)? })
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
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::File { path } => write!(f, "file://{path}"),
            Self::Memory => f.write_str("memory://"),
        }
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
            "gs://backups/kong",
            "azure://account/container",
            "s3://backups/a/../b",
            "s3://backups/kong?region=eu",
            "s3://backups/a//b",
        ] {
            let error = wrong.parse::<StorageUrl>().unwrap_err().to_string();
            assert!(
                error.contains("valid: s3://") || error.contains("segment") || error.contains("file:///"),
                "{error}"
            );
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let error = "s3://AKIA:wonderful-secret@backups/kong".parse::<StorageUrl>().unwrap_err().to_string();
        assert!(error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("wonderful"), "{error}");
    }
}
