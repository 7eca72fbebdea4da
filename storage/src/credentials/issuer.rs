//! Who a request goes to: the store, or one of the places that hand out credentials. Known by the form that the clouds
//! prescribe for each, since addresses can be set to anything.

use http::Method;
use object_store::client::HttpRequest;

use crate::cloud::Cloud;

/// Who is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The store itself.
    Store,
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

impl Endpoint {
    pub(super) fn of(cloud: Cloud, request: &HttpRequest) -> Self {
        let (headers, path) = (request.headers(), request.uri().path());
        match cloud {
            Cloud::S3 => {
                let signed = headers.get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
                match request.uri().query() {
                    _ if signed => Self::Store,
                    Some(query) if query.contains("Action=AssumeRoleWithWebIdentity") => Self::WebIdentity,
                    _ if path.starts_with("/latest/") => Self::InstanceMetadata,
                    _ => Self::ContainerCredentials,
                }
            }
            Cloud::Google if headers.contains_key("metadata-flavor") => Self::GoogleMetadata,
            // Objects are written with PUT.
            Cloud::Google if request.method() == Method::POST => Self::GoogleToken,
            Cloud::Azure if headers.contains_key("x-ms-version") => Self::Store,
            Cloud::Azure if path.ends_with("/oauth2/v2.0/token") => Self::EntraId,
            Cloud::Azure => Self::ManagedIdentity,
            Cloud::Google | Cloud::Local => Self::Store,
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Store => "the store",
            Self::InstanceMetadata => "the instance metadata service",
            Self::ContainerCredentials => "the container's credential endpoint",
            Self::WebIdentity => "AWS STS",
            Self::GoogleMetadata => "Google's metadata server",
            Self::GoogleToken => "Google's token endpoint",
            Self::ManagedIdentity => "Azure's managed identity endpoint",
            Self::EntraId => "Microsoft Entra ID",
        }
    }

    /// What to look at when it gives no credentials.
    pub(crate) fn cure(self) -> &'static str {
        match self {
            Self::Store => "check the credentials",
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

#[cfg(test)]
mod tests {
    use object_store::client::HttpRequestBody;

    use super::*;

    fn endpoint(cloud: Cloud, method: Method, uri: &str, header: (&str, &str)) -> Endpoint {
        let request = http::Request::builder().method(method).uri(uri).header(header.0, header.1);
        Endpoint::of(cloud, &request.body(HttpRequestBody::empty()).unwrap())
    }

    #[test]
    fn requests_for_credentials_are_told_from_those_to_the_store() {
        use Endpoint as E;
        let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
        let none = ("accept", "*/*");
        for (cloud, method, uri, header, expected) in [
            (Cloud::S3, &get, "http://a:1/latest/x", ("authorization", "AWS4-HMAC-SHA256 Credential=.."), E::Store),
            (Cloud::S3, &put, "http://169.254.169.254/latest/api/token", none, E::InstanceMetadata),
            (Cloud::S3, &get, "http://169.254.170.2/v2/credentials/x", none, E::ContainerCredentials),
            (
                Cloud::S3,
                &get,
                "http://169.254.170.23/v1/credentials",
                ("authorization", "ey.."),
                E::ContainerCredentials,
            ),
            (Cloud::S3, &post, "https://sts/?Action=AssumeRoleWithWebIdentity&RoleArn=r", none, E::WebIdentity),
            (Cloud::Google, &get, "https://storage.googleapis.com/b/k", ("authorization", "Bearer x"), E::Store),
            (
                Cloud::Google,
                &get,
                "http://metadata/computeMetadata/v1/x",
                ("metadata-flavor", "Google"),
                E::GoogleMetadata,
            ),
            (Cloud::Google, &post, "https://oauth2.googleapis.com/token", none, E::GoogleToken),
            (Cloud::Azure, &put, "https://a.blob.core.windows.net/c/k", ("x-ms-version", "2023-11-03"), E::Store),
            (Cloud::Azure, &post, "https://login/t/oauth2/v2.0/token", none, E::EntraId),
            (Cloud::Azure, &get, "http://169.254.169.254/metadata/identity/oauth2/token", none, E::ManagedIdentity),
        ] {
            assert_eq!(endpoint(cloud, method.clone(), uri, header), expected, "{uri}");
        }
    }
}
