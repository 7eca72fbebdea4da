//! Why a store refuses these credentials and what to do: a permission that is missing, a credential that is wrong or too
//! old, a clock that is off. By the codes of each cloud, and in its words.

use super::cloud::{Cloud, Issuer};
use super::skew::Skew;
use super::wire::{Answer, Observation};
use super::{Operation, StorageError};

/// What helps where a store can't encrypt as it is asked to.
pub(super) const KMS_KEY: &str = "the store can't encrypt with this KMS key: check SSEKMSKeyId in \
                                  KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG, whether the store has a key server that has this \
                                  key, and whether these credentials may use it";

/// What helps where a folder can't be read or written.
pub(super) const FOLDER: &str = "let the user that runs lifeboat read and write this folder";

/// What is wrong with credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// They are good and may not do this.
    Permission(String),
    /// They are not good.
    Credential(String),
    /// They have run out: fresh ones may do.
    Expired(String),
    /// The request's time is too far from the store's.
    Clock(String),
}

impl Denial {
    /// What to do.
    pub(super) fn cure(self) -> String {
        let (Self::Permission(cure) | Self::Credential(cure) | Self::Expired(cure) | Self::Clock(cure)) = self;
        cure
    }

    /// What an answer of the store's means for the credentials; `None` if it is no word on them.
    pub(super) fn of(cloud: Cloud, what: Operation, observation: &Observation, answer: &Answer) -> Option<Self> {
        let code = answer.error.code.as_deref().unwrap_or_default();
        let text =
            [&answer.error.message, &answer.error.detail].map(|text| text.as_deref().unwrap_or_default()).join(" ");

        if is_about_time(code, &text) {
            return Some(Self::Clock(clock(observation, answer)));
        }
        if is_about_a_kms_key(what, code, &text) {
            return Some(Self::Credential(KMS_KEY.to_owned()));
        }
        if is_expired(code, &text) {
            return Some(Self::Expired(expired(cloud, observation.issuer)));
        }

        if let Some(cure) = immutable(code, &text) {
            return Some(Self::Credential(cure));
        }
        if let Some(cure) = wrong_credential(cloud, code, observation.issuer) {
            return Some(Self::Credential(cure));
        }
        let is_refusal =
            matches!(answer.status.as_u16(), 401 | 403) || code == "AccessDenied" || code == "AllAccessDisabled";
        if !is_refusal {
            return None;
        }

        // Azurite's word for a wrong key, and Azure's for a firewall; the message tells which.
        let is_signature = code == "AuthorizationFailure" && text.contains("including the signature");
        Some(match other_hindrance(code) {
            _ if is_signature => Self::Credential(not_accepted(cloud, observation.issuer)),
            Some(cure) => Self::Credential(cure.to_owned()),
            None if answer.status == 401 => Self::Credential(not_accepted(cloud, observation.issuer)),
            None => Self::Permission(missing(cloud, what, &text)),
        })
    }
}

impl Cloud {
    /// What this kind of access needs, in the cloud's own words.
    pub(super) fn permission(self, what: Operation) -> &'static str {
        match (self, what) {
            (Self::S3, Operation::Get | Operation::Head) => "s3:GetObject",
            (Self::S3, Operation::Put) => "s3:PutObject",
            (Self::S3, Operation::List) => "s3:ListBucket",
            (Self::S3, Operation::Delete) => "s3:DeleteObject",
            (Self::Google, Operation::Get | Operation::Head) => {
                "storage.objects.get (roles/storage.objectViewer has it)"
            }
            // https://cloud.google.com/storage/docs/access-control/iam-permissions: replacing an object is deleting it.
            (Self::Google, Operation::Put) => {
                "storage.objects.create, and storage.objects.delete to replace an object (roles/storage.objectUser has both)"
            }
            (Self::Google, Operation::List) => "storage.objects.list (roles/storage.objectViewer has it)",
            (Self::Google, Operation::Delete) => "storage.objects.delete (roles/storage.objectUser has it)",
            (Self::Azure, Operation::Get | Operation::Head | Operation::List) => "the role Storage Blob Data Reader",
            (Self::Azure, Operation::Put | Operation::Delete) => "the role Storage Blob Data Contributor",
            // Only a store's answers are asked about; what helps with a folder is `FOLDER`.
            (Self::Local, _) => "the right to read and write this folder",
        }
    }
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

// S3's error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, Azure's:
// https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes, Google's:
// https://cloud.google.com/storage/docs/xml-api/reference-status.
fn is_about_time(code: &str, text: &str) -> bool {
    code == "RequestTimeTooSkewed"
        || code == "RequestExpired"
        || text.contains("Request date header too old")
        // rclone calls it AccessDenied.
        || text.contains("difference between the request time and the server's time")
}

// Ceph's RGW answers InvalidAccessKeyId or InvalidArgument where it has no key server, or that one has no such key.
fn is_about_a_kms_key(what: Operation, code: &str, text: &str) -> bool {
    let is_named = |word| text.to_ascii_lowercase().contains(word);
    what == Operation::Put
        && (code == "InvalidAccessKeyId" && is_named("kms") || code == "AccessDenied" && is_named("kms-keyid"))
}

fn is_expired(code: &str, text: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired")
        || text.contains("Signature not valid in the specified time frame")
        || text.contains("token is expired")
}

fn wrong_credential(cloud: Cloud, code: &str, issuer: Option<Issuer>) -> Option<String> {
    // The credentials are good for the service that made them, but that belongs to another region, partition or store.
    if let (Some(Issuer::WebIdentity), "InvalidToken" | "InvalidTokenId" | "InvalidAccessKeyId") = (issuer, code) {
        return Some(format!(
            "the store does not accept the session token that AWS STS gave for AWS_WEB_IDENTITY_TOKEN_FILE: let AWS_REGION, or \
             AWS_ENDPOINT_URL_STS, name the security token service that belongs to this store; and {}",
            Issuer::WebIdentity.cure()
        ));
    }
    let is_unknown = matches!(
        code,
        "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "NotSignedUp" | "InvalidToken" | "InvalidTokenId"
    );
    if let Some(issuer) = issuer.filter(|_| is_unknown) {
        return Some(format!(
            "the store does not accept the credentials that {} gave: {}",
            issuer.name(),
            issuer.cure()
        ));
    }

    match (cloud, code) {
        // Swift says this of a key that it doesn't know, too.
        (Cloud::S3, "SignatureDoesNotMatch") => Some(
            "AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID, or the store doesn't know that key and does \
             not say so"
                .into(),
        ),
        // The second is what stores built on s3s answer to a key that they don't know.
        (Cloud::S3, "InvalidAccessKeyId" | "NotSignedUp") => Some("the store doesn't know AWS_ACCESS_KEY_ID".into()),
        (Cloud::S3, "InvalidToken" | "InvalidTokenId") => {
            Some("AWS_SESSION_TOKEN does not belong to AWS_ACCESS_KEY_ID".into())
        }
        (_, "AuthenticationFailed" | "InvalidAuthenticationInfo" | "SignatureDoesNotMatch") => {
            Some(not_accepted(cloud, issuer))
        }
        _ => None,
    }
}

fn not_accepted(cloud: Cloud, issuer: Option<Issuer>) -> String {
    if let Some(issuer) = issuer {
        return format!("the store does not accept the token that {} gave: {}", issuer.name(), issuer.cure());
    }
    match cloud {
        Cloud::Azure => "AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN is not of this account".to_owned(),
        Cloud::Google => "set GCP_SERVICE_ACCOUNT, or give this machine a service account".to_owned(),
        Cloud::S3 | Cloud::Local => "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
    }
}

fn expired(cloud: Cloud, issuer: Option<Issuer>) -> String {
    match (issuer, cloud) {
        (Some(issuer), _) => format!("the credentials that {} gave have expired: {}", issuer.name(), issuer.cure()),
        (None, Cloud::Azure) => "AZURE_STORAGE_SAS_TOKEN has expired: make a new one".to_owned(),
        (None, Cloud::Google) => "the token has expired: check this host's clock".to_owned(),
        (None, Cloud::S3 | Cloud::Local) => "AWS_SESSION_TOKEN has expired: set new temporary credentials".to_owned(),
    }
}

// Refusals that no permission cures.
fn other_hindrance(code: &str) -> Option<&'static str> {
    match code {
        "AuthorizationFailure" => Some("the storage account's firewall does not let this host in"),
        "KeyBasedAuthenticationNotPermitted" => {
            Some("the storage account allows no shared keys: use a managed or workload identity or AZURE_CLIENT_SECRET")
        }
        "PublicAccessNotPermitted" => Some("the storage account allows no anonymous access: set credentials"),
        "AccountIsDisabled"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "BillingDisabled"
        | "UserProjectAccountProblem" => Some("the account itself is disabled: see its owner's notices and bills"),
        "InvalidObjectState" => Some("the object is archived: restore it, and keep the prefix out of archiving rules"),
        _ => None,
    }
}

/// Objects that may not be replaced or deleted, whoever asks. Azure answers 409, which would look like somebody else's write.
/// Azure: <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>; Google:
/// <https://cloud.google.com/storage/docs/bucket-lock>, <https://cloud.google.com/storage/docs/object-holds>; S3:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>.
fn immutable(code: &str, text: &str) -> Option<String> {
    let what = match code {
        "BlobImmutableDueToPolicy" => "an immutability policy of Azure's covers this object",
        "BlobImmutableDueToLegalHold" => "a legal hold of Azure's covers this object",
        "RetentionPolicyNotMet" => "a retention policy of Google's covers this object",
        "ObjectUnderActiveHold" => "a hold of Google's is on this object",
        _ if text.contains("retention policy or object retention") => {
            "a retention policy of Google's covers this object"
        }
        _ if text.contains("under active") && text.contains("hold") => "a hold of Google's is on this object",
        _ if text.contains("protected by object lock") => "S3's Object Lock covers this version of the object",
        _ => return None,
    };
    Some(format!(
        "{what}, so it can't be replaced or deleted, and Lifeboat replaces manifest.json, config.json and what is in election/: \
         keep versions in this place, or use another for it (docs/store.md, \"A store that keeps every version\")"
    ))
}

/// "User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObject on resource: …", "… does not have
/// storage.objects.get access …": the store may know better than we which permission it is.
fn missing(cloud: Cloud, what: Operation, text: &str) -> String {
    let aws = text.split_once("not authorized to perform: ").map(|(_, rest)| rest);
    let google = text.split_once("does not have ").map(|(_, rest)| rest).filter(|rest| rest.starts_with("storage."));
    let named = aws.or(google).and_then(|rest| rest.split_whitespace().next()).filter(|word| word.contains(['.', ':']));
    let permission = cloud.permission(what);
    match named.filter(|named| !permission.contains(named)) {
        Some(named) => format!("these credentials need {named} here"),
        None => format!("these credentials need {permission} here"),
    }
}

/// A denial that may hide that there is no such object, with the permission that would tell.
pub(super) fn hidden(denial: StorageError) -> StorageError {
    let StorageError::Denied { place, key, what, concerns, cure, reason } = denial else { return denial };
    let listing = Cloud::of(&place).permission(Operation::List);
    let cure = format!("{cure}, and {listing} for the store to say whether there is such an object");
    StorageError::Denied { place, key, what, concerns, cure, reason }
}

fn clock(observation: &Observation, answer: &Answer) -> String {
    let own = answer.error.request_time.or(observation.request_time);
    let store = answer.error.server_time.or(answer.date);
    match (own, store) {
        (Some(own), Some(store)) => format!("{}: set it (NTP)", Skew::new(store, own)),
        _ => "this host's clock is wrong: set it (NTP)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The permissions that a role for Google names.
    fn of_role(yaml: &str) -> Vec<&str> {
        yaml.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect()
    }

    // Those that a message about these kinds of access names.
    fn asked_for(access: &[Operation]) -> Vec<&'static str> {
        let words = access.iter().flat_map(|access| Cloud::Google.permission(*access).split([' ', ',']));
        let mut names: Vec<_> = words.filter(|word| word.starts_with("storage.")).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn the_roles_that_are_shipped_for_google_have_what_messages_ask_for_and_nothing_else() {
        let importer = include_str!("../../deploy/iam/gcs-importer.role.yaml");
        assert_eq!(of_role(importer), asked_for(&[Operation::Get, Operation::List]));
        let exporter = include_str!("../../deploy/iam/gcs-exporter.role.yaml");
        let replacing = include_str!("../../deploy/iam/gcs-replacing.role.yaml");
        let mut both = [of_role(exporter), of_role(replacing)].concat();
        both.sort_unstable();
        assert_eq!(both, asked_for(&[Operation::Get, Operation::Put, Operation::List]));
        assert_eq!(of_role(replacing), asked_for(&[Operation::Delete]));
    }
}
