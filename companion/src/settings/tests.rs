//! Whole sets of settings.

use lifeboat_fakes::certificate::{ClusterCertificate, Credentials};

use super::*;

fn cluster() -> Credentials {
    ClusterCertificate::version_1(std::time::SystemTime::now())
}

fn source(pairs: &[(&str, &str)]) -> Source {
    Source::from_environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn complete(certificate: &Credentials) -> Vec<(&'static str, String)> {
    vec![
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "file:///var/lib/lifeboat".into()),
        ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on".into()),
        ("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "on".into()),
        ("KONG_VERSION", "3.9.1".into()),
        ("KONG_CLUSTER_CONTROL_PLANE", "cp.example.com:8005".into()),
        ("KONG_CLUSTER_CERT", certificate.certificate_pem.clone()),
        ("KONG_CLUSTER_CERT_KEY", certificate.key_pem.clone()),
    ]
}

fn read(pairs: &[(&'static str, String)]) -> Result<RunSettings, Problems> {
    let borrowed: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    RunSettings::read(&source(&borrowed))
}

#[test]
fn kongs_own_settings_are_enough() {
    let settings = read(&complete(&cluster())).unwrap();
    assert_eq!(settings.cluster.control_plane.to_string(), "cp.example.com:8005");
    assert_eq!(settings.relay.unwrap().listen.to_string(), "127.0.0.1:8005");
    assert_eq!(settings.keep[0].version.to_string(), "3.9.1");
}

#[test]
fn all_mistakes_of_a_start_are_reported_at_once() {
    let problems = RunSettings::read(&source(&[
        ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on"),
        ("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "maybe"),
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/kong"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG", "{\"Key\":\"x\"}"),
        ("LIFEBOAT_STORAGE_CA", "/no/such/authority"),
        ("KONG_CLUSTER_CONTROL_PLANE", "cp"),
        ("KONG_CLUSTER_CERT", "/no/such/certificate"),
        ("KONG_VERSION", "3.1.0"),
        ("LIFEBOAT_SIGNING_KEY", "x"),
        ("KONG_CLUSTER_OCSP", "sometimes"),
    ]))
    .unwrap_err();
    for name in [
        "KONG_CLUSTER_FALLBACK_CONFIG_IMPORT",
        "AWS_SECRET_ACCESS_KEY",
        "KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG",
        "LIFEBOAT_STORAGE_CA",
        "KONG_CLUSTER_CONTROL_PLANE",
        "KONG_CLUSTER_CERT_KEY",
        "KONG_VERSION",
        "LIFEBOAT_SIGNING_KEY",
        "KONG_CLUSTER_OCSP",
    ] {
        assert!(problems.mention(name), "{name} is missing in {problems}");
    }
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_named() {
    let mut settings = complete(&cluster());
    settings[6].1 = cluster().key_pem;
    let problems = read(&settings).unwrap_err().to_string();
    assert!(
        problems.contains("KONG_CLUSTER_CERT (--cluster-cert) and KONG_CLUSTER_CERT_KEY (--cluster-cert-key)")
            && problems.contains("not a pair")
    );
}

#[test]
fn a_relay_told_to_use_itself_as_its_control_plane_is_refused() {
    for (listen, control_plane) in [
        ("127.0.0.1:8005", "127.0.0.1:8005"),
        ("127.0.0.1:8005", "localhost:8005"),
        ("0.0.0.0:8005", "127.0.0.1:8005"),
        ("[::1]:8005", "[::1]:8005"),
    ] {
        let mut settings = complete(&cluster());
        settings[4].1 = control_plane.into();
        settings.push(("LIFEBOAT_RELAY_LISTEN", listen.into()));
        let problems = read(&settings).unwrap_err().to_string();
        assert!(problems.contains("is this relay itself"), "{problems}");
        settings.push(("LIFEBOAT_CONTROL_PLANE", "cp.example.com:8005".into()));
        read(&settings).unwrap();
    }
}

#[test]
fn no_secret_is_printed() {
    let settings = source(&[
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/kong"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wonderful-secret"),
        ("AWS_SESSION_TOKEN", "wonderful-token"),
    ]);
    let printed = format!("{:?} {settings:?}", StoreSettings::read_alone(&settings).unwrap());
    assert!(!printed.contains("wonderful"), "{printed}");
}
