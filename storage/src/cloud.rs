//! The kinds of stores, and the places that hand out credentials for them. What to do when one of them refuses something is
//! in `denial`.

/// The kinds of stores that have words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    /// Amazon S3 and what is compatible with it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// A folder, or memory.
    Local,
}

/// A place that hands out credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// EC2's instance metadata.
    InstanceMetadata,
    /// The credentials of a container, of ECS or EKS.
    ContainerCredentials,
    /// STS, which changes a web identity's token for credentials.
    WebIdentity,
    /// The metadata server of Google Cloud.
    GoogleMetadata,
    /// Google's token endpoint.
    GoogleToken,
    /// Azure's managed identity.
    ManagedIdentity,
    /// Microsoft Entra ID.
    EntraId,
}

impl Cloud {
    /// The cloud of a store, by the scheme of its URL.
    pub(super) fn of(place: &str) -> Self {
        match place.split_once("://").map_or(place, |(scheme, _)| scheme) {
            "s3" => Self::S3,
            "gs" | "gcs" | "gcp" => Self::Google,
            "azure" => Self::Azure,
            _ => Self::Local,
        }
    }

    /// What to look at when nobody answers at the store's address.
    pub(super) fn whereabouts(self) -> &'static str {
        match self {
            Self::S3 => "is the store up, and are AWS_CONFIG_STORAGE_ENDPOINT and AWS_REGION right",
            Self::Google => "is Google Cloud Storage reachable from here (firewall, private access)",
            Self::Azure => "is the account in KONG_CLUSTER_FALLBACK_CONFIG_STORAGE right and reachable from here",
            Self::Local => "is KONG_CLUSTER_FALLBACK_CONFIG_STORAGE right",
        }
    }

    /// What this cloud calls the outermost part of a storage URL.
    pub(super) fn container(self) -> &'static str {
        match self {
            Self::Azure => "container",
            _ => "bucket",
        }
    }
}
