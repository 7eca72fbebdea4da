//! What a store answers, and the class and the words that follow from it.

use std::time::SystemTime;

use http::HeaderMap;

use super::*;
use crate::cloud::Issuer;
use crate::wire::ErrorBody;

const S3: &str = "s3://backups/kong";
const GOOGLE: &str = "gs://backups/kong";
const AZURE: &str = "azure://account/backups/kong";

fn answer(status: u16, code: &str) -> Answer {
    let code = Some(code.to_owned()).filter(|code| !code.is_empty());
    let error = ErrorBody { code, message: Some("in its own words".to_owned()), ..ErrorBody::default() };
    Answer { error, ..Answer::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), ErrorBody::default()) }
}

fn observed(outcome: Outcome) -> Observation {
    let origin = "http://10.0.0.9:9000".to_owned();
    Observation { origin, issuer: None, request_time: None, outcome }
}

fn diagnosed(place: &str, what: Operation, observation: &Observation) -> Failed {
    // With a secret in it, which object_store's errors may hold.
    let source = "Error performing GET http://10.0.0.9:9000/kong/x?sig=wonderful-secret in 1ms".into();
    let error = object_store::Error::Generic { store: "any", source };
    let failed = Attempt { place, key: "3.9.1/config.json", what }.diagnose(&error, Some(observation));
    assert!(!format!("{failed:?}").contains("wonderful-secret"), "{failed:?}");
    failed
}

fn on_answer(place: &str, what: Operation, status: u16, code: &str) -> Failed {
    diagnosed(place, what, &observed(Outcome::Answered(answer(status, code))))
}

#[test]
fn every_answer_has_its_class_and_its_cure() {
    use Operation::{Delete, Get, List, Put};
    for (place, what, status, code, expected, words) in [
        (S3, Get, 404, "NoSuchKey", "not_found", "3.9.1/config.json"),
        (S3, Get, 404, "", "not_found", "3.9.1/config.json"),
        (AZURE, Get, 404, "BlobNotFound", "not_found", "3.9.1/config.json"),
        (S3, Get, 404, "NoSuchBucket", "misconfigured", "the bucket does not exist: check KONG_CLUSTER_FALLBACK"),
        (S3, Put, 404, "NoSuchBucket", "misconfigured", "the bucket does not exist"),
        (S3, List, 404, "", "misconfigured", "the bucket does not exist"),
        (AZURE, Get, 404, "ContainerNotFound", "misconfigured", "the container does not exist"),
        (S3, Put, 412, "PreconditionFailed", "conflict", "someone else"),
        (S3, Put, 404, "NoSuchKey", "conflict", "someone else"),
        (GOOGLE, Put, 412, "PreconditionFailed", "conflict", "someone else"),
        (AZURE, Put, 409, "BlobAlreadyExists", "conflict", "someone else"),
        (AZURE, Put, 412, "ConditionNotMet", "conflict", "someone else"),
        (S3, Put, 409, "ConditionalRequestConflict", "unavailable", "writing 3.9.1/config.json failed"),
        (S3, Put, 409, "OperationAborted", "unavailable", "OperationAborted"),
        (S3, Get, 403, "AccessDenied", "denied", "these credentials need s3:GetObject here"),
        (S3, Put, 403, "AccessDenied", "denied", "s3:PutObject"),
        (S3, List, 403, "AccessDenied", "denied", "s3:ListBucket"),
        (S3, Delete, 403, "AccessDenied", "denied", "s3:DeleteObject"),
        (S3, Get, 403, "", "denied", "s3:GetObject"),
        (GOOGLE, Get, 403, "AccessDenied", "denied", "storage.objects.get"),
        (GOOGLE, Put, 403, "AccessDenied", "denied", "storage.objects.create"),
        (GOOGLE, Get, 401, "AuthenticationRequired", "denied", "GCP_SERVICE_ACCOUNT"),
        (AZURE, Get, 403, "AuthorizationPermissionMismatch", "denied", "Storage Blob Data Reader"),
        (AZURE, Put, 403, "AuthorizationPermissionMismatch", "denied", "Storage Blob Data Contributor"),
        (AZURE, Put, 403, "AuthorizationFailure", "denied", "firewall"),
        (AZURE, Get, 403, "AuthenticationFailed", "denied", "AZURE_STORAGE_KEY"),
        (
            S3,
            Get,
            403,
            "SignatureDoesNotMatch",
            "denied",
            "is not the secret of AWS_ACCESS_KEY_ID, or the store doesn't know",
        ),
        (S3, Get, 403, "InvalidAccessKeyId", "denied", "doesn't know AWS_ACCESS_KEY_ID"),
        (S3, Get, 400, "ExpiredToken", "denied", "AWS_SESSION_TOKEN has expired"),
        (S3, Get, 400, "InvalidToken", "denied", "AWS_SESSION_TOKEN"),
        (S3, Get, 403, "RequestTimeTooSkewed", "denied", "this host's clock is wrong"),
        (S3, Get, 403, "InvalidObjectState", "denied", "archived"),
        (AZURE, Put, 409, "BlobImmutableDueToPolicy", "denied", "an immutability policy of Azure's covers this object"),
        (AZURE, Delete, 409, "BlobImmutableDueToLegalHold", "denied", "a legal hold of Azure's"),
        (GOOGLE, Put, 403, "RetentionPolicyNotMet", "denied", "a retention policy of Google's covers this object"),
        (GOOGLE, Delete, 403, "ObjectUnderActiveHold", "denied", "a hold of Google's"),
        (S3, Get, 429, "", "unavailable", "HTTP 429"),
        (S3, Get, 500, "InternalError", "unavailable", "InternalError"),
        (S3, Put, 503, "SlowDown", "unavailable", "SlowDown: in its own words"),
        (S3, Put, 400, "RequestTimeout", "unavailable", "RequestTimeout"),
        (S3, Put, 400, "EntityTooLarge", "misconfigured", "writing 3.9.1/config.json can't be done here"),
        (S3, Put, 400, "KMS.NotFoundException", "misconfigured", "SSEKMSKeyId"),
        (S3, Put, 501, "NotImplemented", "misconfigured", "NotImplemented"),
        (S3, Get, 301, "PermanentRedirect", "misconfigured", "check AWS_REGION"),
        (S3, Get, 307, "TemporaryRedirect", "unavailable", "TemporaryRedirect"),
    ] {
        let error = on_answer(place, what, status, code).error;
        assert_eq!(error.class(), expected, "{status} {code}: {error}");
        assert!(error.to_string().starts_with(place) && error.to_string().contains(words), "{status} {code}: {error}");
    }
}

// What was seen of servers that call their reasons by others' names: rclone 1.75, fake-gcs-server, gcp-storage-emulator. The
// words of Ceph's RGW were not seen: they stand for any refusal of SSE-KMS.
#[test]
fn a_reason_that_a_server_calls_by_another_name_is_told_by_its_own_words() {
    use Operation::{Get, List, Put};
    let skewed = "The difference between the request time and the server's time exceeds the maximum allowed.";
    let kms = "Failed to retrieve the actual key, kms-keyid: backups";
    for (place, what, status, code, message, words) in [
        (S3, Get, 400, "AccessDenied", skewed, "clock is wrong: set it (NTP)"),
        (S3, Put, 403, "InvalidAccessKeyId", kms, "check SSEKMSKeyId"),
        (S3, Put, 403, "AccessDenied", kms, "check SSEKMSKeyId"),
        (S3, Put, 400, "InvalidArgument", kms, "check SSEKMSKeyId"),
        (S3, Get, 403, "InvalidAccessKeyId", "no such key", "the store doesn't know AWS_ACCESS_KEY_ID"),
        (S3, Put, 403, "AccessDenied", "user kms is not authorized to perform: s3:PutObject", "s3:PutObject"),
        (GOOGLE, Put, 400, "400", "invalid uploadType", "lacks that part of the XML API"),
        (GOOGLE, List, 501, "", "", "lacks that part of the XML API"),
        (S3, Put, 501, "NotImplemented", "", "NotImplemented"),
    ] {
        let mut answer = answer(status, code);
        answer.error.message = Some(message.to_owned()).filter(|message| !message.is_empty());
        let error = diagnosed(place, what, &observed(Outcome::Answered(answer))).error.to_string();
        assert!(error.contains(words), "{status} {code}: {error}");
        assert!(!error.contains("XML API") || place == GOOGLE, "{error}");
    }
}

#[test]
fn what_is_tried_again_is_what_may_be_answered_otherwise() {
    let again = |status, code| on_answer(S3, Operation::Put, status, code).again;
    assert_eq!(again(503, "SlowDown"), Again::Soon);
    assert_eq!(again(409, "ConditionalRequestConflict"), Again::Soon);
    assert_eq!(again(400, "ExpiredToken"), Again::Once);
    assert_eq!(again(403, "RequestTimeTooSkewed"), Again::Once);
    for (status, code) in
        [(403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (404, "NoSuchBucket"), (412, ""), (400, "")]
    {
        assert_eq!(again(status, code), Again::Never, "{status} {code}");
    }
    let mut slow_down = answer(503, "SlowDown");
    slow_down.retry_after = Some(Duration::from_secs(7));
    let failed = diagnosed(S3, Operation::Put, &observed(Outcome::Answered(slow_down)));
    assert_eq!(failed.again, Again::After(Duration::from_secs(7)));
    assert!(failed.error.to_string().contains("it asks to wait 7 s"), "{}", failed.error);
}

#[test]
fn what_may_have_happened_is_told_from_what_cannot_have() {
    let after = |failure| diagnosed(S3, Operation::Put, &observed(Outcome::Failed(failure))).is_uncertain;
    assert!(after(Failure::Reset) && after(Failure::NoAnswer(Duration::from_secs(30))));
    assert!(!after(Failure::Refused) && !after(Failure::UnknownHost));
    assert!(on_answer(S3, Operation::Put, 500, "InternalError").is_uncertain);
    assert!(!on_answer(S3, Operation::Put, 409, "OperationAborted").is_uncertain);
    assert!(!on_answer(S3, Operation::Put, 429, "").is_uncertain);
}

#[test]
fn only_a_missing_permission_to_read_may_mean_that_there_is_nothing() {
    assert!(on_answer(S3, Operation::Get, 403, "AccessDenied").may_mean_absent);
    assert!(!on_answer(S3, Operation::Get, 403, "SignatureDoesNotMatch").may_mean_absent);
    assert!(!on_answer(S3, Operation::Get, 400, "ExpiredToken").may_mean_absent);
    assert!(!on_answer(S3, Operation::Put, 403, "AccessDenied").may_mean_absent);
}

#[test]
fn no_answer_is_told_by_its_reason_with_the_address() {
    for (failure, expected, words) in [
        (Failure::UnknownHost, "unavailable", "its name can't be resolved (http://10.0.0.9:9000: is the store up"),
        (
            Failure::Refused,
            "unavailable",
            "the connection is refused (http://10.0.0.9:9000: is the store up, and are AWS_",
        ),
        (Failure::Untrusted("UnknownIssuer".into()), "misconfigured", "set LIFEBOAT_STORAGE_CA"),
        (Failure::NoAnswer(Duration::from_secs(30)), "unavailable", "no answer within 30 s (http://10.0.0.9:9000"),
        (Failure::Stalled(Duration::from_secs(30)), "unavailable", "the answer stopped for 30 s"),
        (Failure::CutOff { received: 3, announced: Some(9) }, "unavailable", "ended after 3 of 9 bytes"),
    ] {
        let error = diagnosed(S3, Operation::Get, &observed(Outcome::Failed(failure))).error;
        assert_eq!(error.class(), expected, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much_and_in_which_direction() {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    // S3 repeats the request's time; Azure doesn't, but then the request itself and the answer's date tell.
    let mut s3 = answer(403, "RequestTimeTooSkewed");
    (s3.error.request_time, s3.error.server_time) = (Some(noon), Some(noon + minutes(20)));
    let s3 = diagnosed(S3, Operation::Get, &observed(Outcome::Answered(s3))).error.to_string();
    assert!(s3.contains("this host's clock is 20m behind the store's: set it"), "{s3}");

    let mut azure = answer(403, "AuthenticationFailed");
    azure.error.detail = Some("Request date header too old: 'Fri, 15 Jan 2027 08:00:00 GMT'".to_owned());
    azure.date = Some(noon - minutes(90));
    let azure = Observation { request_time: Some(noon), ..observed(Outcome::Answered(azure)) };
    let azure = diagnosed(AZURE, Operation::Get, &azure).error.to_string();
    assert!(azure.contains("this host's clock is 1h 30m ahead of the store's: set it"), "{azure}");
}

#[test]
fn a_bucket_in_another_region_is_named_with_the_setting() {
    let by_header = Answer { bucket_region: Some("eu-west-1".into()), ..answer(301, "PermanentRedirect") };
    let mut by_body = answer(400, "AuthorizationHeaderMalformed");
    by_body.error.region = Some("eu-west-1".into());
    for answer in [by_header, by_body] {
        let error = diagnosed(S3, Operation::Put, &observed(Outcome::Answered(answer))).error;
        assert_eq!(error.class(), "misconfigured");
        assert!(error.to_string().contains("the bucket is in eu-west-1: set AWS_REGION=eu-west-1"), "{error}");
    }
}

#[test]
fn a_store_that_names_the_permission_is_believed() {
    let mut aws = answer(403, "AccessDenied");
    aws.error.message = Some(
        "User: arn:aws:iam::1:user/kong is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:x"
            .into(),
    );
    let aws = diagnosed(S3, Operation::Put, &observed(Outcome::Answered(aws))).error.to_string();
    assert!(aws.contains("these credentials need kms:GenerateDataKey here"), "{aws}");
    let mut google = answer(403, "AccessDenied");
    google.error.detail =
        Some("a@b.iam.gserviceaccount.com does not have storage.objects.delete access to the object.".into());
    let google = diagnosed(GOOGLE, Operation::Put, &observed(Outcome::Answered(google))).error.to_string();
    assert!(google.contains("storage.objects.delete"), "{google}");
}

#[test]
fn credentials_that_were_fetched_are_not_blamed_on_a_setting_that_is_not_set() {
    let observation =
        Observation { issuer: Some(Issuer::WebIdentity), ..observed(Outcome::Answered(answer(400, "ExpiredToken"))) };
    let error = diagnosed(S3, Operation::Get, &observation).error.to_string();
    assert!(
        error.contains("the credentials that AWS STS gave have expired") && !error.contains("SESSION_TOKEN"),
        "{error}"
    );
}

#[test]
fn a_session_token_is_blamed_on_who_gave_it() {
    for (issuer, code, words) in [
        (Issuer::WebIdentity, "InvalidToken", "that AWS STS gave for AWS_WEB_IDENTITY_TOKEN_FILE: let AWS_REGION"),
        (Issuer::WebIdentity, "InvalidAccessKeyId", "AWS_ENDPOINT_URL_STS"),
        (Issuer::ContainerCredentials, "InvalidTokenId", "that the container's credential endpoint gave"),
        (Issuer::InstanceMetadata, "NotSignedUp", "that the instance metadata service gave"),
    ] {
        let outcome = Outcome::Answered(answer(400, code));
        let error = diagnosed(S3, Operation::Get, &Observation { issuer: Some(issuer), ..observed(outcome) }).error;
        assert_eq!(error.class(), "denied");
        let error = error.to_string();
        assert!(error.contains(words) && !error.contains("AWS_SESSION_TOKEN"), "{code}: {error}");
    }
}

#[test]
fn an_error_that_a_provider_of_credentials_made_is_passed_on() {
    let refused = CredentialError::Misconfigured("no credentials are set".to_owned());
    let failed = Attempt { place: S3, key: "x", what: Operation::Get }.diagnose(&refused.into(), None);
    let expected = StorageError::Misconfigured { place: S3.to_owned(), reason: "no credentials are set".to_owned() };
    assert_eq!(*failed.error, expected);
}
