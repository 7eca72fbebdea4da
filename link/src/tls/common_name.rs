//! `cluster_mtls=pki_check_cn`: which names a node's certificate may have. That it is genuine was checked before.

use std::fmt;

use super::{Identity, Leaf, TlsError};

/// The names that nodes may have, compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommonNames {
    /// Those of `cluster_allowed_common_names`.
    Listed(Vec<String>),
    /// All directly below one domain, which begins with its dot (Kong's rule when no names are listed).
    Below(String),
}

impl CommonNames {
    /// Kong's rule: the names in `cluster_allowed_common_names`; when it is empty, those that have the same parent
    /// domain as our own certificate.
    ///
    /// # Errors
    /// [`TlsError::NoParentDomain`] when there is no list and our own name has no parent domain.
    pub fn new(listed: &[String], own: &Identity) -> Result<Self, TlsError> {
        if !listed.is_empty() {
            return Ok(Self::Listed(listed.to_vec()));
        }
        let name = own.leaf().name().unwrap_or_default();
        match parent_domain(name) {
            Some(domain) => Ok(Self::Below(domain.to_ascii_lowercase())),
            None => Err(TlsError::NoParentDomain { common_name: name.to_owned() }),
        }
    }

    /// Whether a node with this certificate may connect.
    ///
    /// # Errors
    /// [`CommonNameNotAllowed`] with the name and the rule.
    pub fn check(&self, peer: &Leaf) -> Result<(), CommonNameNotAllowed> {
        let allowed = peer.name().is_some_and(|name| match self {
            Self::Listed(names) => names.iter().any(|listed| listed.eq_ignore_ascii_case(name)),
            Self::Below(domain) => parent_domain(name).is_some_and(|parent| parent.eq_ignore_ascii_case(domain)),
        });
        let refusal = || CommonNameNotAllowed { name: peer.name().map(str::to_owned), allowed: self.clone() };
        allowed.then_some(()).ok_or_else(refusal)
    }
}

impl fmt::Display for CommonNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(names) => write!(f, "cluster_allowed_common_names ({})", names.join(", ")),
            Self::Below(domain) => write!(f, "*{domain}, the domain of the own certificate"),
        }
    }
}

/// The rest of a name behind its first label, with the dot.
fn parent_domain(name: &str) -> Option<&str> {
    name.find('.').filter(|dot| *dot > 0).map(|dot| &name[dot..]).filter(|domain| domain.len() > 1)
}

/// A genuine certificate with a name that may not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonNameNotAllowed {
    /// The certificate's common name, else its first DNS name; `None` when it has neither.
    pub name: Option<String>,
    /// Which names may.
    pub allowed: CommonNames,
}

impl fmt::Display for CommonNameNotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "common name {name:?} is not among {}", self.allowed),
            None => write!(f, "certificate has no name, and only some may connect: {}", self.allowed),
        }
    }
}

impl std::error::Error for CommonNameNotAllowed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_domain_is_what_follows_the_first_label() {
        assert_eq!(parent_domain("cp.kong.example"), Some(".kong.example"));
        for name in ["", "kong_clustering", ".example", "cp."] {
            assert_eq!(parent_domain(name), None, "{name}");
        }
    }
}
