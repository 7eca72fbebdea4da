//! How to get into a bucket of Google Cloud Storage.

use super::Secret;

/// How to get into a bucket of Google Cloud Storage.
#[derive(Clone, Debug)]
pub struct GcsAccess {
    /// Another endpoint than Google's public one; without a slash at its end.
    pub endpoint: Option<String>,
    /// Who we are to it.
    pub credentials: GoogleCredentials,
}

/// Where Google credentials come from, in the order in which they are looked for.
#[derive(Clone, Debug)]
pub enum GoogleCredentials {
    /// A key, of which this is the JSON: of a service account or a user. It was read and understood once.
    Key(Secret),
    /// The metadata server of the machine, the pod or the function.
    Metadata {
        /// Its host, with a port or without.
        host: String,
    },
    /// None: what Google's own clients take for an emulator.
    Anonymous,
}
