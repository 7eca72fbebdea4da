//! Why a configuration is given to no node with incremental sync.

/// What is wrong. Such a node applies what it gets without a check, and a part that is missing can block its router until
/// Kong is restarted, so only what is known to be complete is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsyncable {
    /// There are no schemas of this version of Kong.
    #[error("there are no schemas of this version of Kong, neither the control plane's own nor in this program")]
    NoSchemas,
    /// A kind of entities that the schemas don't have.
    #[error(
        "it has entities of the kind {0}, of which no schema is known: give the exporter LIFEBOAT_ADMIN_URL, and it keeps the \
         control plane's own schemas"
    )]
    UnknownKind(String),
    /// It doesn't say to which workspace everything belongs.
    #[error("it has no workspace named default, as a control plane sends it: was it written by hand?")]
    NoWorkspace,
    /// More workspaces than open-source Kong has.
    #[error("it has {0} workspaces, and open-source Kong has one")]
    Workspaces(usize),
    /// Something is left out that a control plane always sends.
    #[error("{kind} {entity} has no {field}, as a control plane sends it: was it written by hand?")]
    Incomplete {
        /// The kind of the entity.
        kind: String,
        /// What people call it.
        entity: String,
        /// What is missing.
        field: String,
    },
    /// An entity refers to one that is not there.
    #[error("{kind} {entity} refers by {field} to an entity that is not in it")]
    Dangling {
        /// The kind of the entity.
        kind: String,
        /// What people call it.
        entity: String,
        /// The field that refers.
        field: String,
    },
    /// An operator published what Kong's schemas refuse.
    #[error("it was published with --accept, so it was not checked")]
    Accepted,
    /// It can't be read as it must.
    #[error("it can't be read: {0}")]
    Unreadable(String),
}
