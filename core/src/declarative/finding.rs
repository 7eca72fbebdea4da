//! What there is to say of a configuration that a person wrote: what nodes would refuse or take for something else, and
//! what somebody should look at. What was changed against the published configuration is judged in `judgement`.

use std::fmt;

use serde::Serialize;

/// How Kong begins to say that something stands twice.
pub(super) const TWICE: &str = "uniqueness violation";

/// What becomes of a configuration that has the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is published, and somebody should look at it.
    Warning,
    /// It is published only if an operator says so with `--accept`.
    Refused,
}

/// Something about one entity, or about what stands beside the entities.
///
/// It never holds a secret: a reason names what is wrong and shows values only of fields that hold none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What becomes of the configuration.
    pub severity: Severity,
    /// The entity's kind (`services`), or the name of what stands beside the entities (`_workspace`).
    pub kind: String,
    /// What people call the entity; empty for what is no entity.
    pub name: String,
    /// What tells the entity from others of its kind, whatever else changes in it: its id, where it has one.
    pub identity: String,
    /// The field, of one inside of others `config.minute`; empty where it is about the entity as a whole.
    pub field: String,
    /// What is wrong, and the cure.
    pub reason: String,
    /// Whose word it is.
    pub authority: Authority,
}

/// Whose word a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Kong's, by its schemas.
    Kong,
    /// Lifeboat's: mostly Kong says nothing of it, and should.
    Lifeboat,
}

impl Finding {
    /// About what stands beside the entities.
    pub(super) fn of_member(severity: Severity, member: &str, reason: impl Into<String>) -> Self {
        let nothing = String::new;
        let kind = member.to_owned();
        let (name, identity, field, authority) = (nothing(), nothing(), nothing(), Authority::Lifeboat);
        Self { severity, kind, name, identity, field, reason: reason.into(), authority }
    }

    /// Whether Kong's schemas say so.
    pub fn is_kongs_word(&self) -> bool {
        self.authority == Authority::Kong
    }

    /// Whether it is about what no two entities may have: of what a node loads from its own store, it doesn't look at that.
    pub fn is_about_twins(&self) -> bool {
        self.reason.starts_with(TWICE)
    }

    /// What makes it the same finding in another configuration.
    pub(super) fn key(&self) -> (&str, &str, &str, &str) {
        (&self.kind, &self.identity, &self.field, &self.reason)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.name.is_empty() {
            write!(f, " {:?}", self.name)?;
        }
        if !self.field.is_empty() {
            write!(f, ", {}", self.field)?;
        }
        write!(f, ": {}", self.reason)
    }
}
