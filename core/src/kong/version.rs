//! Kong's versions, as nodes announce them and as object paths use them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of Kong Gateway: three numbers, or four for Enterprise (`3.9.1`, `3.9.0.1`). Enterprise nodes announce
/// themselves as `3.9.0.1-enterprise-edition`; object paths use the numbers alone (KONG.md section 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KongVersion {
    major: u32,
    minor: u32,
    patch: u32,
    enterprise: Option<u32>,
}

/// A text that isn't a version of Kong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version of Kong (valid: 3.9.1, 3.9.0.1, 3.9.0.1-enterprise-edition)")]
pub struct InvalidVersion(String);

/// Why Lifeboat can't serve a version of Kong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// 3.1 speaks only wRPC.
    #[error("Kong 3.1 has no /v1/outlet, only wRPC: use 3.0, or 3.2 and later")]
    OnlyWrpc,
    /// Before 2.8.
    #[error("Kong before 2.8 is too old for Lifeboat")]
    TooOld,
}

impl KongVersion {
    /// The community version with these three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, enterprise: None }
    }

    /// The first two numbers, on which compatibility of configurations hangs.
    pub fn major_minor(&self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// Whether it is Enterprise's, by its fourth number.
    pub fn is_enterprise(&self) -> bool {
        self.enterprise.is_some()
    }

    /// As a node of this version announces itself.
    pub fn announced(&self) -> String {
        let edition = if self.enterprise.is_some() { "-enterprise-edition" } else { "" };
        format!("{self}{edition}")
    }

    /// Whether this version's data planes speak a protocol that Lifeboat serves.
    pub fn check_served(&self) -> Result<(), Unserved> {
        match self.major_minor() {
            (3, 1) => Err(Unserved::OnlyWrpc),
            older if older < (2, 8) => Err(Unserved::TooOld),
            _ => Ok(()),
        }
    }
}

impl FromStr for KongVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.chars().take(80).collect());
        let numbers = text.trim().split('-').next().unwrap_or_default();
        let parts: Vec<u32> = numbers
            .split('.')
            .map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None })
            .collect::<Option<_>>()
            .ok_or_else(invalid)?;
        match parts[..] {
            [major, minor, patch] => Ok(Self { major, minor, patch, enterprise: None }),
            [major, minor, patch, digit] => Ok(Self { major, minor, patch, enterprise: Some(digit) }),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for KongVersion {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<KongVersion> for String {
    fn from(version: KongVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for KongVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.enterprise.map_or(Ok(()), |digit| write!(f, ".{digit}"))
    }
}

impl fmt::Debug for KongVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_use_the_numbers_alone() {
        for (announced, path) in [
            ("3.9.1", "3.9.1"),
            ("2.8.5", "2.8.5"),
            ("3.9.0.1-enterprise-edition", "3.9.0.1"),
            ("3.10.0.0", "3.10.0.0"),
        ] {
            assert_eq!(announced.parse::<KongVersion>().unwrap().to_string(), path);
        }
        for announced in ["3.9.1", "3.9.0.1-enterprise-edition"] {
            assert_eq!(announced.parse::<KongVersion>().unwrap().announced(), announced);
        }
    }

    #[test]
    fn what_is_not_a_version_is_refused_with_examples() {
        for wrong in ["", "3", "3.9", "3.9.x", "../3.9.1", "3.9.1.0.2", "+3.9.1", "3..1", "v3.9.1", "99999999999.1.1"] {
            assert!(wrong.parse::<KongVersion>().unwrap_err().to_string().contains("valid: 3.9.1"), "{wrong}");
        }
    }

    #[test]
    fn versions_without_the_outlet_are_named() {
        assert_eq!(KongVersion::new(3, 1, 0).check_served(), Err(Unserved::OnlyWrpc));
        assert_eq!(KongVersion::new(2, 7, 2).check_served(), Err(Unserved::TooOld));
        for served in [KongVersion::new(2, 8, 0), KongVersion::new(3, 0, 0), KongVersion::new(3, 10, 0)] {
            assert_eq!(served.check_served(), Ok(()));
        }
    }
}
