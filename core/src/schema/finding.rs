//! What a check finds: what Kong would refuse, and what nobody has looked at.

use std::fmt;

/// No file by hand has more mistakes than a person reads; one of a program has the same one everywhere.
const MOST_FINDINGS: usize = 1000;

/// All that a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What Kong refuses, in the order of the configuration.
    pub violations: Vec<Violation>,
    /// What could not be checked, each once.
    pub unchecked: Vec<Unchecked>,
    /// How many more violations there are than are listed.
    pub further: usize,
}

/// Something for which Kong refuses the whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The kind of entity: `services`. Empty for the configuration's own members.
    pub kind: String,
    /// What people call the entity. Empty where it is about no single one.
    pub entity: String,
    /// Where in the entity: `config.add.headers[1]`. Empty where it is about the entity as a whole.
    pub field: String,
    /// Why, in Kong's words. Never the value of a secret field.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.entity.as_str()) {
            ("", _) => {}
            (kind, "") => write!(f, "{kind}: ")?,
            (kind, entity) => write!(f, "{kind} {entity:?}: ")?,
        }
        match self.field.as_str() {
            "" => f.write_str(&self.reason),
            field => write!(f, "{field}: {}", self.reason),
        }
    }
}

/// Something that nobody has looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Unchecked {
    /// There is no schema of this plugin: its configuration may be anything, and nodes that don't have the plugin refuse
    /// all.
    Plugin(String),
    /// There is no schema of this kind of entity, which may be one of a custom plugin.
    Kind(String),
    /// What is written in this plugin's field is code, which Kong compiles when it loads it.
    Code {
        /// The plugin.
        plugin: String,
        /// Its field: `config.access`.
        field: String,
    },
    /// Kong checks this by code of its own that its schema doesn't show.
    Rule {
        /// The kind of entity, or `plugins/NAME`.
        of: String,
        /// Which rule: `custom_entity_check of config.proxy_url`.
        rule: String,
    },
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(name) => write!(f, "plugin {name}: there is no schema of it"),
            Self::Kind(kind) => write!(f, "{kind}: there is no schema of it"),
            Self::Code { plugin, field } => write!(f, "plugin {plugin}: the code in {field}"),
            Self::Rule { of, rule } => write!(f, "{of}: {rule}"),
        }
    }
}

impl Findings {
    /// Whether Kong would take it, as far as anyone has looked.
    pub fn is_accepted(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn violate(&mut self, violation: Violation) {
        if self.violations.len() < MOST_FINDINGS {
            self.violations.push(violation);
        } else {
            self.further += 1;
        }
    }

    pub(super) fn leave(&mut self, unchecked: Unchecked) {
        if self.unchecked.len() < MOST_FINDINGS
            && let Err(at) = self.unchecked.binary_search(&unchecked)
        {
            self.unchecked.insert(at, unchecked);
        }
    }
}
