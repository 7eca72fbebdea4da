//! Where a configuration can come from besides the link to a control plane: a file, or the Admin API of a node without a
//! database. What a file may contain is in `core`; the link is in `export`.

mod dbless;
mod file;

use std::path::PathBuf;
use std::str::FromStr;

use lifeboat_core::declarative::{self, Finding, Refused, Written};
use lifeboat_core::export::Received;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Source, SourceKind};
use lifeboat_core::time::WallTime;
use lifeboat_runtime::background::computed;
use reqwest::Url;

pub(crate) use dbless::Errors;
pub use dbless::{Dbless, DblessError};
pub use file::{FileError, read_file};

/// What `--from` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// `cp`: the control plane.
    ControlPlane,
    /// `file:PATH`.
    File(PathBuf),
    /// `dbless:URL`: the Admin API of a node without a database.
    Dbless(Url),
}

/// A text that names no source of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfigSource {
    /// It is none of the forms.
    #[error("it is none of cp, file:PATH, dbless:URL (valid: file:kong.yml, dbless:http://127.0.0.1:8001)")]
    Unknown,
    /// The Admin API's URL isn't one.
    #[error(
        "it is not the URL of an Admin API, of http or https (valid: http://127.0.0.1:8001; with --from: \
         dbless:http://127.0.0.1:8001)"
    )]
    Url,
    /// It holds a password.
    #[error("a URL in an argument can be read by anybody on this host: take the user and password out of it")]
    Password,
}

impl FromStr for ConfigSource {
    type Err = InvalidConfigSource;

    fn from_str(text: &str) -> Result<Self, InvalidConfigSource> {
        match text.split_once(':') {
            None if text == "cp" => Ok(Self::ControlPlane),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.strip_prefix("//").unwrap_or(path).into())),
            Some(("dbless", url)) => admin_url(url).map(Self::Dbless),
            _ => Err(InvalidConfigSource::Unknown),
        }
    }
}

/// The URL of a node's Admin API, without a password: it is an argument.
///
/// # Errors
/// It is none, or holds one.
pub fn admin_url(text: &str) -> Result<Url, InvalidConfigSource> {
    let url: Url = text.parse().map_err(|_| InvalidConfigSource::Url)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(InvalidConfigSource::Url);
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err(InvalidConfigSource::Password);
    }
    Ok(url)
}

/// A configuration that was read, and what was noticed meanwhile.
#[derive(Debug)]
pub struct Found {
    /// The configuration.
    pub received: Received,
    /// What was noticed while it was read.
    pub findings: Vec<Finding>,
}

/// Reads a text as a declarative configuration, with Kong's own hash, as an exporter takes it.
async fn found(
    text: bytes::Bytes,
    version: KongVersion,
    max_config: usize,
    from: SourceKind,
    at: WallTime,
) -> Result<Found, Refused> {
    let (Written { configuration, findings }, hashes) = computed(move || {
        let written = declarative::read(&text, version, max_config)?;
        let hashes = written.configuration.hashes();
        Ok::<_, Refused>((written, hashes))
    })
    .await?;
    let source = Some(Source { from, accepted: None });
    let received = Received { configuration, config_hash: hashes.config, hashes: Some(hashes), at, source };
    Ok(Found { received, findings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_of_three() {
        assert_eq!("cp".parse::<ConfigSource>().unwrap(), ConfigSource::ControlPlane);
        assert_eq!("file:kong.yml".parse::<ConfigSource>().unwrap(), ConfigSource::File("kong.yml".into()));
        for text in ["file:/etc/kong/kong.yml", "file:///etc/kong/kong.yml"] {
            assert_eq!(text.parse::<ConfigSource>().unwrap(), ConfigSource::File("/etc/kong/kong.yml".into()));
        }
        let url = "http://127.0.0.1:8001/admin".parse().unwrap();
        assert_eq!("dbless:http://127.0.0.1:8001/admin".parse::<ConfigSource>().unwrap(), ConfigSource::Dbless(url));
    }

    #[test]
    fn what_is_none_is_refused_with_a_valid_one_and_without_its_password() {
        for wrong in ["", "kong.yml", "file:", "db:http://a", "dbless:", "dbless:127.0.0.1:8001", "dbless:ftp://a"] {
            assert!(wrong.parse::<ConfigSource>().unwrap_err().to_string().contains("valid:"), "{wrong}");
        }
        let refusal = "dbless:http://me:wonderful@a:8001".parse::<ConfigSource>().unwrap_err().to_string();
        assert!(refusal.contains("anybody") && !refusal.contains("wonderful"), "{refusal}");
    }
}
