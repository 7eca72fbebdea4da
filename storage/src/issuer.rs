//! The places that hand out credentials: what messages call them, and what to check when the store does not accept what they gave.

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

impl Issuer {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InstanceMetadata => "the instance metadata service",
            Self::ContainerCredentials => "the container's credential endpoint",
            Self::WebIdentity => "AWS STS",
            Self::GoogleMetadata => "Google's metadata server",
            Self::GoogleToken => "Google's token endpoint",
            Self::ManagedIdentity => "Azure's managed identity endpoint",
            Self::EntraId => "Microsoft Entra ID",
        }
    }

    /// What to check when its credentials are of no use.
    pub(crate) fn cure(self) -> &'static str {
        match self {
            Self::InstanceMetadata => {
                "give this instance a role (and a hop limit of 2 for containers), or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY"
            }
            Self::ContainerCredentials => {
                "check AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI, \
                 AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE and the task's or service account's role"
            }
            Self::WebIdentity => {
                "check AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE and the role's trust in this service account"
            }
            Self::GoogleMetadata => "give this machine or service account a role, or set GCP_SERVICE_ACCOUNT",
            Self::GoogleToken => "check GCP_SERVICE_ACCOUNT (is its key still valid) and this host's clock",
            Self::ManagedIdentity => {
                "give this machine a managed identity, and check AZURE_CLIENT_ID where it has several"
            }
            Self::EntraId => {
                "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or AZURE_FEDERATED_TOKEN_FILE)"
            }
        }
    }
}
