//! Why a store refuses these credentials and what to do: a permission that is missing, a credential that is wrong or too
//! old, a clock that is off. By the codes of each cloud.

use super::Operation;
use super::cloud::Cloud;
use super::issuer::Issuer;
use super::skew::Skew;
use super::wire::{Answer, Observation};

/// What helps where a store can't encrypt as it is asked to.
pub(super) const KMS_KEY: &str = "the store can't encrypt with this KMS key: check SSEKMSKeyId in \
                                  KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG, whether the store has a key server that has this \
                                  key, and whether these credentials may use it";

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

fn clock(observation: &Observation, answer: &Answer) -> String {
    let own = answer.error.request_time.or(observation.request_time);
    let store = answer.error.server_time.or(answer.date);
    match (own, store) {
        (Some(own), Some(store)) => format!("{}: set it (NTP)", Skew::new(store, own)),
        _ => "this host's clock is wrong: set it (NTP)".to_owned(),
    }
}
