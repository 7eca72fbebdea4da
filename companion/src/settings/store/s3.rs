//! How to get into an S3 bucket. Which form of credentials is used follows AWS's documented order: access key, web
//! identity, container, instance.

use lifeboat_core::time::WallTime;
use lifeboat_storage::access::{
    Addressing, AmazonEndpoints, AwsCredentials, PutObject, S3Access, Secret, profiles_are_not_read,
};
use reqwest::Url;

use super::{endpoint, is_https_or_own};
use crate::settings::Reader;
use crate::settings::names::{self, Name};

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>
const INSTANCE_METADATA: &str = "http://169.254.169.254";
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html>
const TASK_ENDPOINT: &str = "http://169.254.170.2";
/// Where plain http stays on the host, by
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>.
const CONTAINER_HOSTS: &[&str] = &["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Access to a bucket, by the settings.
pub(super) fn read(reader: &mut Reader<'_>, bucket: &str, put_object: Option<PutObject>) -> Option<S3Access> {
    let endpoint = endpoint(reader, names::AWS_CONFIG_STORAGE_ENDPOINT, "https://minio.example.com:9000");
    let amazon = amazon(reader, matches!(endpoint, Ok(Some(_))));
    let addressing = addressing(reader, bucket, endpoint.as_ref().ok().and_then(Option::as_ref));
    let credentials = amazon.as_ref().and_then(|amazon| credentials(reader, amazon));
    Some(S3Access {
        endpoint: endpoint.ok()?,
        amazon: amazon?,
        addressing: addressing?,
        credentials: credentials?,
        put_object: put_object?,
    })
}

fn amazon(reader: &mut Reader<'_>, has_endpoint: bool) -> Option<AmazonEndpoints> {
    let mut amazon = AmazonEndpoints::new(&region(reader)?);
    let forms = [names::AWS_USE_DUALSTACK_ENDPOINT, names::AWS_USE_FIPS_ENDPOINT];
    let [dual_stack, fips] = forms.map(|name| reader.switch(name));

    // Amazon's tools refuse both together, too: neither says anything of an endpoint that is given as a whole.
    let contradicting = forms.into_iter().zip([dual_stack, fips]).find(|(_, is_on)| *is_on && has_endpoint);
    if let Some((name, _)) = contradicting {
        reader.wrong(format!(
            "{name}: it chooses one of Amazon's own endpoints, and AWS_CONFIG_STORAGE_ENDPOINT names another: unset one \
             of them"
        ));
        return None;
    }
    if dual_stack {
        amazon = amazon.with_dual_stack();
    }
    if fips {
        match amazon.with_fips() {
            Ok(validated) => amazon = validated,
            Err(error) => {
                reader.wrong(format!("AWS_USE_FIPS_ENDPOINT: {error}: unset it, or set another AWS_REGION"));
                return None;
            }
        }
    }
    Some(amazon)
}

fn addressing(reader: &mut Reader<'_>, bucket: &str, endpoint: Option<&Url>) -> Option<Addressing> {
    let Some(given) = reader.text(names::LIFEBOAT_STORAGE_ADDRESSING) else { return Some(Addressing::Usual) };
    let problem = match (given.value.trim(), endpoint) {
        ("path", _) => return Some(Addressing::Path),
        ("virtual", Some(endpoint)) if endpoint.domain().is_none() => {
            "\"virtual\" puts the bucket's name before the host name, and AWS_CONFIG_STORAGE_ENDPOINT has an IP \
             address: name the store by its host name, or set path"
                .to_owned()
        }
        ("virtual", None) if bucket.contains('.') => format!(
            "Amazon's certificate doesn't fit a host name that begins with {bucket:?}, because of its dots: set path"
        ),
        ("virtual", _) => return Some(Addressing::VirtualHost),
        (other, _) => format!(
            "{other:?} is neither path (https://store/bucket/key) nor virtual (https://bucket.store/key) (valid: path)"
        ),
    };
    reader.wrong(format!("{}: {problem}", given.name));
    None
}

// It becomes a part of host names.
fn region(reader: &mut Reader<'_>) -> Option<String> {
    let given = reader.text(names::AWS_REGION).or_else(|| reader.text(names::AWS_DEFAULT_REGION));
    let Some(given) = given else { return Some("us-east-1".to_owned()) };
    let region = given.value.trim();
    if region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Some(region.to_owned());
    }
    reader.wrong(format!("{}: {region:?} is not a region (valid: eu-central-1)", given.name));
    None
}

fn credentials(reader: &mut Reader<'_>, amazon: &AmazonEndpoints) -> Option<AwsCredentials> {
    if reader.is_given(names::AWS_ACCESS_KEY_ID) || reader.is_given(names::AWS_SECRET_ACCESS_KEY) {
        keys(reader)
    } else if let Some(file) = reader.text(names::AWS_WEB_IDENTITY_TOKEN_FILE) {
        web_identity(reader, file.value.trim(), amazon)
    } else if let Some(given) = reader.text(names::AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) {
        let url = format!("{TASK_ENDPOINT}{}", given.value.trim()).parse().ok();
        let url = url.filter(|url: &Url| url.host_str() == Some("169.254.170.2"));
        if url.is_none() {
            let valid = "valid: /v2/credentials/4f1b…";
            reader.wrong(format!("{}: it must be a path that begins with a slash ({valid})", given.name));
        }
        container(reader, url?)
    } else if reader.text(names::AWS_CONTAINER_CREDENTIALS_FULL_URI).is_some() {
        let name = names::AWS_CONTAINER_CREDENTIALS_FULL_URI;
        let url = endpoint(reader, name, "http://169.254.170.23/v1/credentials").ok()??;
        if !is_https_or_own(&url, CONTAINER_HOSTS) {
            let allowed = CONTAINER_HOSTS.join(", ");
            reader.wrong(format!("{name}: plain http is only for this host and {allowed}: use https"));
            return None;
        }
        container(reader, url)
    } else {
        instance(reader)
    }
}

fn keys(reader: &mut Reader<'_>) -> Option<AwsCredentials> {
    let why = "an access key has a name and a secret";
    let mut both = [names::AWS_ACCESS_KEY_ID, names::AWS_SECRET_ACCESS_KEY].map(|name| {
        let value = reader.rereadable_secret(name);
        if let Ok(None) = value {
            reader.wrong(format!("{name} is not set: {why} (or {name}_FILE, a file that holds it)"));
        }
        value.ok().flatten()
    });
    let session_token = reader.rereadable_secret(names::AWS_SESSION_TOKEN).ok();
    let expires = match reader.text(names::AWS_CREDENTIAL_EXPIRATION) {
        None => None,
        Some(given) => match WallTime::try_from(given.value.trim().replace("+00:00", "Z")) {
            Ok(expires) => Some(expires),
            Err(error) => {
                reader.wrong(format!("{}: {error} (valid: 2026-11-21T17:00:00Z)", given.name));
                return None;
            }
        },
    };
    let (id, secret) = (both[0].take(), both[1].take());

    Some(AwsCredentials::Keys { id: id?, secret: secret?, session_token: session_token?, expires })
}

fn web_identity(reader: &mut Reader<'_>, file: &str, amazon: &AmazonEndpoints) -> Option<AwsCredentials> {
    let why = "AWS_WEB_IDENTITY_TOKEN_FILE is for a role";
    let role = reader.required(names::AWS_ROLE_ARN, why, "arn:aws:iam::123456789012:role/lifeboat");
    let token = Secret::File(file.into());

    if let Err(error) = token.reveal() {
        reader.wrong(format!("AWS_WEB_IDENTITY_TOKEN_FILE: {error}"));
    }
    let session_name = reader.text(names::AWS_ROLE_SESSION_NAME);
    let session_name = session_name.map_or("lifeboat".to_owned(), |given| given.value.trim().to_owned());
    let sts = endpoint(reader, names::AWS_ENDPOINT_URL_STS, "https://sts.eu-central-1.amazonaws.com").ok()?;
    let sts = sts.unwrap_or_else(|| amazon.sts());
    Some(AwsCredentials::WebIdentity { token, role_arn: role?.value.trim().to_owned(), session_name, sts })
}

fn container(reader: &mut Reader<'_>, url: Url) -> Option<AwsCredentials> {
    let authorization = reader.rereadable_secret(names::AWS_CONTAINER_AUTHORIZATION_TOKEN).ok()?;
    Some(AwsCredentials::Container { url, authorization })
}

/// What people set for AWS's own tools, whose profiles are not read here.
const PROFILES: [&str; 4] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"];

fn instance(reader: &mut Reader<'_>) -> Option<AwsCredentials> {
    let unread: Vec<_> = PROFILES.into_iter().filter(|name| reader.is_given(Name::of_others(name))).collect();
    if reader.switch(names::AWS_EC2_METADATA_DISABLED) {
        reader.wrong(format!(
            "there are no credentials for S3: none of AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE, \
             AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI is set, and \
             AWS_EC2_METADATA_DISABLED forbids to ask the instance: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{}",
            profiles_are_not_read(&unread)
        ));
        return None;
    }
    let endpoint = endpoint(reader, names::AWS_EC2_METADATA_SERVICE_ENDPOINT, INSTANCE_METADATA).ok()?;
    let endpoint = endpoint.unwrap_or_else(|| INSTANCE_METADATA.parse().expect("it is a URL"));
    Some(AwsCredentials::Instance { endpoint, unread })
}
