//! How to get into a container of Azure Blob Storage.

use reqwest::Url;

use super::Secret;

/// How to get into a container.
#[derive(Clone, Debug)]
pub struct AzureAccess {
    /// The blob service's URL, without a slash at its end.
    pub endpoint: String,
    /// Who we are to it.
    pub credentials: AzureCredentials,
}

/// Where Azure credentials come from.
#[derive(Clone, Debug)]
pub enum AzureCredentials {
    /// A key of the storage account, in base64.
    AccountKey(Secret),
    /// A shared access signature: the query that was made for it.
    SharedAccessSignature(Secret),
    /// An application that has a secret.
    ClientSecret {
        /// The application and its directory.
        tenant: Tenant,
        /// The secret.
        secret: Secret,
    },
    /// An application that trusts another identity provider: workload identity of AKS.
    WorkloadIdentity {
        /// The application and its directory.
        tenant: Tenant,
        /// The file of that provider's token, which it replaces.
        token: Secret,
    },
    /// The identity of the machine or the app.
    Managed {
        /// Who gives the tokens.
        identity: ManagedIdentity,
        /// Which one, where there are several.
        client_id: Option<String>,
    },
}

/// An application in a directory.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The application.
    pub client_id: String,
    /// Where its tokens are made.
    pub token_url: Url,
}

/// Who gives tokens of a managed identity.
#[derive(Clone, Debug)]
pub enum ManagedIdentity {
    /// The instance metadata service of a virtual machine.
    Machine {
        /// Where it is.
        url: Url,
    },
    /// App Service, Functions, Container Apps.
    App {
        /// `IDENTITY_ENDPOINT`
        url: Url,
        /// `IDENTITY_HEADER`
        header: Secret,
    },
}
