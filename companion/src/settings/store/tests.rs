//! Whole sets of a store's settings.

use lifeboat_storage::access::{
    AwsCredentials, AzureCredentials, GcsAccess, GoogleCredentials, ManagedIdentity, S3Access,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use super::*;
use crate::settings::names::SETTINGS;
use crate::settings::{Problems, Source};

const S3: (&str, &str) = ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/kong");
const GCS: (&str, &str) = ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "gs://backups/kong");
const AZURE: (&str, &str) = ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "azure://account/backups/kong");

fn read(pairs: &[(&str, &str)]) -> Result<StoreSettings, Problems> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    StoreSettings::read_alone(&Source::from_environment(pairs))
}

fn aws(pairs: &[(&str, &str)]) -> AwsCredentials {
    match read(&[&[S3], pairs].concat()).unwrap().access {
        Access::S3(access) => access.credentials,
        other => panic!("{other:?}"),
    }
}

fn azure(pairs: &[(&str, &str)]) -> AzureCredentials {
    match read(&[&[AZURE], pairs].concat()).unwrap().access {
        Access::Azure(access) => access.credentials,
        other => panic!("{other:?}"),
    }
}

fn google(pairs: &[(&str, &str)]) -> GcsAccess {
    match read(&[&[GCS], pairs].concat()).unwrap().access {
        Access::Gcs(access) => access,
        other => panic!("{other:?}"),
    }
}

fn file_with(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().display().to_string();
    (file, path)
}

fn service_account() -> String {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let (kind, email) = ("service_account", "lifeboat@project.iam.gserviceaccount.com");
    json!({ "type": kind, "client_email": email, "private_key": key.serialize_pem(), "private_key_id": "1" })
        .to_string()
}

#[test]
fn each_setting_of_a_cloud_is_among_those_that_say_how_to_get_in() {
    for setting in SETTINGS {
        let is_a_clouds = !setting.variable.starts_with("KONG_") && !setting.variable.starts_with("LIFEBOAT_");
        assert!(!is_a_clouds || StoreSettings::ACCESS.contains(&setting.name()), "{}", setting.variable);
    }
}

#[test]
fn aws_credentials_are_chosen_in_awss_own_order() {
    let (_file, token) = file_with("a token");
    let keys = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "wonderful")];
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", &*token), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")];
    let container = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x")];
    let all = [&keys[..], &web, &container].concat();
    assert!(matches!(aws(&all), AwsCredentials::Keys { .. }));
    let AwsCredentials::WebIdentity { sts, session_name, .. } = aws(&all[2..]) else { panic!() };
    assert_eq!((sts.as_str(), session_name.as_str()), ("https://sts.us-east-1.amazonaws.com/", "lifeboat"));
    let AwsCredentials::Container { url, .. } = aws(&all[4..]) else { panic!() };
    assert_eq!(url.as_str(), "http://169.254.170.2/v2/credentials/x");
    let AwsCredentials::Instance { endpoint, .. } = aws(&[]) else { panic!() };
    assert_eq!(endpoint.as_str(), "http://169.254.169.254/");
}

#[test]
fn aws_region_wins_over_the_default_region() {
    let region = |pairs: &[(&str, &str)]| match read(&[&[S3], pairs].concat()).unwrap().access {
        Access::S3(access) => access.amazon.region().to_owned(),
        other => panic!("{other:?}"),
    };
    let both = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")];
    assert_eq!(region(&both), "eu-west-1");
    assert_eq!(region(&both[1..]), "eu-west-2");
    assert_eq!(region(&[]), "us-east-1");
    assert!(read(&[S3, ("AWS_REGION", "eu.evil/x")]).unwrap_err().mention("AWS_REGION"));
}

fn s3_access(pairs: &[(&str, &str)]) -> Box<S3Access> {
    match read(&[&[S3], pairs].concat()).unwrap().access {
        Access::S3(access) => access,
        other => panic!("{other:?}"),
    }
}

const MINIO: (&str, &str) = ("AWS_CONFIG_STORAGE_ENDPOINT", "https://minio.example.com:9000");

#[test]
fn the_bucket_stands_where_the_store_usually_has_it_or_where_the_setting_says() {
    let in_host = |pairs: &[(&str, &str)]| s3_access(pairs).is_in_host("backups");
    assert!(in_host(&[]) && !in_host(&[MINIO]));
    assert!(!s3_access(&[]).is_in_host("backups.example.com"));
    assert!(!in_host(&[("LIFEBOAT_STORAGE_ADDRESSING", "path")]));
    assert!(in_host(&[("LIFEBOAT_STORAGE_ADDRESSING", "virtual"), MINIO]));
}

#[test]
fn a_bucket_that_can_not_stand_in_the_host_name_is_refused() {
    let virtual_host = ("LIFEBOAT_STORAGE_ADDRESSING", "virtual");
    let dotted = ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups.example.com/kong");
    for (pairs, said) in [
        ([S3, virtual_host, ("AWS_CONFIG_STORAGE_ENDPOINT", "http://10.0.0.7:9000")], "has an IP address"),
        ([dotted, virtual_host, ("AWS_REGION", "eu-west-1")], "because of its dots"),
        ([S3, ("LIFEBOAT_STORAGE_ADDRESSING", "vhost"), MINIO], "\"vhost\" is neither path"),
    ] {
        let problems = read(&pairs).unwrap_err();
        assert!(problems.mention("LIFEBOAT_STORAGE_ADDRESSING (--storage-addressing)"), "{problems}");
        assert!(problems.mention(said), "{said} is missing in {problems}");
    }
}

#[test]
fn amazons_endpoints_are_chosen_by_amazons_own_settings() {
    let region = ("AWS_REGION", "us-gov-west-1");
    let both = [region, ("AWS_USE_DUALSTACK_ENDPOINT", "true"), ("AWS_USE_FIPS_ENDPOINT", "TRUE")];
    assert_eq!(s3_access(&both).host(), "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com");
    assert_eq!(s3_access(&[region]).host(), "https://s3.us-gov-west-1.amazonaws.com");
    assert_eq!(s3_access(&[MINIO]).host(), "https://minio.example.com:9000");

    let (_file, token) = file_with("a token");
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", &*token), ("AWS_ROLE_ARN", "arn:aws-us-gov:iam::1:role/x")];
    let AwsCredentials::WebIdentity { sts, .. } = aws(&[&both[..], &web].concat()) else { panic!() };
    assert_eq!(sts.as_str(), "https://sts-fips.us-gov-west-1.api.aws/");
}

#[test]
fn an_endpoint_that_amazon_does_not_have_is_refused() {
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    let problems = read(&[S3, fips, ("AWS_REGION", "cn-north-1")]).unwrap_err();
    assert!(problems.mention("AWS_USE_FIPS_ENDPOINT") && problems.mention("no FIPS endpoints"), "{problems}");
    for name in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
        let problems = read(&[S3, (name, "true"), MINIO]).unwrap_err();
        assert!(problems.mention(name) && problems.mention("AWS_CONFIG_STORAGE_ENDPOINT"), "{problems}");
    }
}

#[test]
fn half_of_aws_credentials_is_a_mistake() {
    for (pairs, named) in [
        (&[("AWS_ACCESS_KEY_ID", "AKID")][..], "AWS_SECRET_ACCESS_KEY"),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")],
            "AWS_WEB_IDENTITY_TOKEN_FILE (--aws-web-identity-token-file): /no/such/token",
        ),
        (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")], "AWS_ROLE_ARN"),
        (&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example.com/x")], "begins with a slash"),
        (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example.com/x")], "plain http is only for"),
        (&[("AWS_EC2_METADATA_DISABLED", "true")], "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (&[("AWS_EC2_METADATA_DISABLED", "true")], "lifeboat does not read the AWS CLI's files (~/.aws)"),
        (
            &[("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_PROFILE", "prod"), ("AWS_CONFIG_FILE", "/etc/aws")],
            "AWS_PROFILE and AWS_CONFIG_FILE are set, but lifeboat does not read the AWS CLI's files",
        ),
    ] {
        let problems = read(&[&[S3], pairs].concat()).unwrap_err();
        assert!(problems.mention(named), "{named} is missing in {problems}");
    }
}

#[test]
fn a_google_key_may_be_its_json_a_path_or_stand_in_a_file() {
    let json = service_account();
    let (_file, path) = file_with(&json);
    for given in [
        ("GCP_SERVICE_ACCOUNT", json.as_str()),
        ("GCP_SERVICE_ACCOUNT", &path),
        ("GCP_SERVICE_ACCOUNT_FILE", &path),
        ("GOOGLE_APPLICATION_CREDENTIALS", &path),
    ] {
        assert!(matches!(google(&[given]).credentials, GoogleCredentials::Key(_)), "{}", given.0);
    }
}

#[test]
fn a_rotten_google_key_is_a_mistake_and_not_repeated() {
    let cut = service_account().replace("-----END PRIVATE KEY-----", "wonderful");
    let refresh = json!({ "type": "authorized_user", "client_id": "x", "refresh_token": "wonderful" }).to_string();
    for (json, named) in [
        ("{\"wonderful\"", "it is not JSON"),
        ("{\"private_key\":\"wonderful\"}", "client_email"),
        ("{\"client_email\":\"x\",\"private_key\":\"wonderful\"}", "private_key"),
        (&cut, "private_key"),
        ("{\"type\":\"external_account\",\"credential_source\":\"wonderful\"}", "external_account"),
        (&refresh, "client_secret"),
        ("wonderful", "neither the JSON of a key nor a path"),
    ] {
        let problems = read(&[GCS, ("GCP_SERVICE_ACCOUNT", json)]).unwrap_err();
        let named = if json == "wonderful" { "can't be read" } else { named };
        assert!(problems.mention("GCP_SERVICE_ACCOUNT") && problems.mention(named), "{problems}");
        assert!(json == "wonderful" || !problems.to_string().contains("wonderful"), "{problems}");
    }
}

#[test]
fn without_a_google_key_the_metadata_server_is_asked_and_an_emulator_is_not_shown_any() {
    let GoogleCredentials::Metadata { host } = google(&[]).credentials else { panic!() };
    assert_eq!(host, "metadata.google.internal");
    let GoogleCredentials::Metadata { host } = google(&[("GCE_METADATA_HOST", "127.0.0.1:8080")]).credentials else {
        panic!()
    };
    assert_eq!(host, "127.0.0.1:8080");
    for text in ["127.0.0.1:4443", "http://127.0.0.1:4443/"] {
        let access = google(&[("STORAGE_EMULATOR_HOST", text)]);
        assert_eq!(access.endpoint.as_deref(), Some("http://127.0.0.1:4443"));
        assert!(matches!(access.credentials, GoogleCredentials::Anonymous));
    }
    for wrong in [("GCE_METADATA_HOST", "http://host/x"), ("STORAGE_EMULATOR_HOST", "ftp://host")] {
        assert!(read(&[GCS, wrong]).unwrap_err().mention(wrong.0));
    }
}

#[test]
fn azure_credentials_are_chosen_by_what_is_set() {
    let (_file, token) = file_with("a token");
    let application = [("AZURE_CLIENT_ID", "client"), ("AZURE_TENANT_ID", "contoso.example.com")];
    let key = [("AZURE_STORAGE_KEY", "d29uZGVyZnVs")];
    let signature = [("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=wonderful")];
    let secret = [("AZURE_CLIENT_SECRET", "wonderful")];
    let federated = [("AZURE_FEDERATED_TOKEN_FILE", &*token)];
    let all = [&key[..], &signature, &secret, &federated, &application].concat();
    assert!(matches!(azure(&all), AzureCredentials::AccountKey(_)));
    assert!(matches!(azure(&[("AZURE_STORAGE_ACCOUNT_KEY", "d29uZGVyZnVs")]), AzureCredentials::AccountKey(_)));
    assert!(matches!(azure(&all[1..]), AzureCredentials::SharedAccessSignature(_)));
    let AzureCredentials::ClientSecret { tenant, .. } = azure(&all[2..]) else { panic!() };
    let token_url = "https://login.microsoftonline.com/contoso.example.com/oauth2/v2.0/token";
    assert_eq!((tenant.token_url.as_str(), tenant.client_id.as_str()), (token_url, "client"));
    assert!(matches!(azure(&all[3..]), AzureCredentials::WorkloadIdentity { .. }));
    let AzureCredentials::Managed { client_id, identity: ManagedIdentity::Machine { url } } = azure(&all[4..]) else {
        panic!()
    };
    assert_eq!(client_id.as_deref(), Some("client"));
    assert_eq!(url.as_str(), "http://169.254.169.254/metadata/identity/oauth2/token");
    let app = [("IDENTITY_ENDPOINT", "http://169.254.130.2:8081/msi/token"), ("IDENTITY_HEADER", "wonderful")];
    assert!(matches!(azure(&app), AzureCredentials::Managed { identity: ManagedIdentity::App { .. }, .. }));
    for pairs in [&all[..1], &all[1..], &all[2..], &app] {
        let printed = format!("{:?}", azure(pairs));
        assert!(!printed.contains("wonderful") && !printed.contains("d29uZGVyZnVs"), "{printed}");
    }
}

#[test]
fn half_of_azure_credentials_is_a_mistake() {
    for (pairs, named) in [
        (&[("AZURE_STORAGE_KEY", "wonderful secret")][..], "AZURE_STORAGE_KEY"),
        (&[("AZURE_STORAGE_SAS_TOKEN", "wonderful")], "AZURE_STORAGE_SAS_TOKEN"),
        (&[("AZURE_CLIENT_SECRET", "wonderful")], "AZURE_CLIENT_ID"),
        (&[("AZURE_CLIENT_SECRET", "wonderful"), ("AZURE_CLIENT_ID", "x")], "AZURE_TENANT_ID"),
        (&[("AZURE_FEDERATED_TOKEN_FILE", "/no/such/token")], "/no/such/token"),
        (&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/x")], "IDENTITY_HEADER"),
        (&[("IDENTITY_ENDPOINT", "http://evil.example.com/x"), ("IDENTITY_HEADER", "wonderful")], "plain http"),
    ] {
        let problems = read(&[&[AZURE], pairs].concat()).unwrap_err();
        assert!(problems.mention(named), "{named} is missing in {problems}");
        assert!(!problems.to_string().contains("wonderful"), "{problems}");
    }
}

#[test]
fn an_extra_authority_is_checked_at_the_start() {
    let authority = lifeboat_fakes::certificate::Authority::new("an authority");
    let (_file, path) = file_with(&authority.certificate_pem());
    let settings = read(&[S3, ("LIFEBOAT_STORAGE_CA", &path)]).unwrap();
    assert_eq!(settings.authorities.0, authority.certificate_pem().as_bytes());
    let (_file, path) = file_with("no certificate");
    for wrong in [path.as_str(), "/no/such/file"] {
        assert!(read(&[S3, ("LIFEBOAT_STORAGE_CA", wrong)]).unwrap_err().mention("LIFEBOAT_STORAGE_CA"));
    }
}

#[test]
fn what_s3_config_holds_must_not_be_an_argument_when_it_is_secret() {
    let key = json!({ "SSECustomerKey": "d29uZGVyZnVsd29uZGVyZnVsd29uZGVyZnVsd29uZGU=" }).to_string();
    let environment = [(S3.0.to_owned(), S3.1.to_owned())];
    let source = Source::from_environment(environment).with_flag("KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG", key);
    let problems = StoreSettings::read_alone(&source).unwrap_err().to_string();
    assert!(problems.contains("arguments are public") && !problems.contains("d29uZGVy"), "{problems}");
}

#[test]
fn credentials_in_an_endpoint_are_refused_and_not_repeated() {
    let problems = read(&[S3, ("AWS_CONFIG_STORAGE_ENDPOINT", "https://id:wonderful@minio:9000")]).unwrap_err();
    assert!(problems.mention("AWS_CONFIG_STORAGE_ENDPOINT") && !problems.to_string().contains("wonderful"));
}
