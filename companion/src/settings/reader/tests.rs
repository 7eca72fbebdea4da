//! How settings are read, from wherever they stand, and what is said of mistakes.

use super::*;

fn source(pairs: &[(&str, &str)]) -> Source {
    Source::from_environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn a_certificate_may_be_a_path_or_pem_or_base64_of_pem() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    for value in [pem.to_owned(), STANDARD.encode(pem), file.path().display().to_string()] {
        let source = source(&[("KONG_CLUSTER_CERT", &value)]);
        let mut reader = Reader::new(&source);
        let given = reader.text(names::KONG_CLUSTER_CERT).unwrap();
        assert_eq!(reader.pem(&given).unwrap(), pem.as_bytes());
    }
}

#[test]
fn a_vault_reference_says_so_and_a_missing_file_is_named() {
    let source = source(&[("KONG_CLUSTER_CERT", "{vault://aws/cert}"), ("KONG_CLUSTER_CERT_KEY", "/no/such/key")]);
    let mut reader = Reader::new(&source);
    // It isn't said to be missing, too.
    assert_eq!(reader.required(names::KONG_CLUSTER_CERT, "it is needed", "cluster.crt"), None);
    let given = reader.text(names::KONG_CLUSTER_CERT_KEY).unwrap();
    assert_eq!(reader.pem(&given), None);
    let problems = reader.into_problems();
    assert_eq!(problems.list().len(), 2, "{problems}");
    assert!(problems.list()[0].contains("KONG_CLUSTER_CERT (--cluster-cert): {vault://aws/cert}"), "{problems}");
    assert!(problems.list()[1].contains("KONG_CLUSTER_CERT_KEY (--cluster-cert-key): /no/such/key"), "{problems}");
}

#[test]
fn a_private_key_is_not_taken_from_an_argument() {
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----".to_owned();
    let source = Source::default().with_flag("KONG_CLUSTER_CERT_KEY", key);
    let mut reader = Reader::new(&source);
    let given = reader.text(names::KONG_CLUSTER_CERT_KEY).unwrap();
    assert_eq!(reader.pem(&given), None);
    let problems = reader.into_problems().to_string();
    assert!(problems.contains("--cluster-cert-key takes a path only") && !problems.contains("c2Vjc"), "{problems}");
}

#[test]
fn what_may_be_a_secret_is_repeated_by_no_mistake_about_any_setting() {
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----";
    for setting in crate::settings::names::SETTINGS {
        let source = Source::default().with_flag(setting.variable, key.into());
        let given = source.get(setting.variable);
        let mut reader = Reader::new(&source);
        if let Some(given) = given {
            reader.wrong(format!("{}: {:?} is wrong", given.name, given.value));
            reader.wrong(format!("{}: {} can't be read", given.name, given.value));
        }
        reader.switch(setting.name());
        reader.number(setting.name(), 1, 1..=1);
        reader.duration(setting.name(), Duration::from_secs(1));
        let problems = reader.into_problems().to_string();
        assert!(!problems.contains("c2VjcmV0"), "{}: {problems}", setting.variable);
    }
}

#[test]
fn a_secret_may_stand_in_a_file_but_not_in_both_places() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file\n").unwrap();
    let path = file.path().display().to_string();
    let in_file = source(&[("AWS_SECRET_ACCESS_KEY_FILE", &path)]);
    assert_eq!(Reader::new(&in_file).secret(names::AWS_SECRET_ACCESS_KEY), Ok(Some("from a file".to_owned())));
    let in_both = source(&[("AWS_SECRET_ACCESS_KEY_FILE", &path), ("AWS_SECRET_ACCESS_KEY", "x")]);
    let mut reader = Reader::new(&in_both);
    assert_eq!(reader.secret(names::AWS_SECRET_ACCESS_KEY), Err(Noted));
    assert!(reader.into_problems().to_string().contains("both set"));
}

#[test]
fn what_is_kongs_may_be_a_reference_or_stand_in_a_file_whatever_it_is() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{vault://env/the-mode/mtls}\n").unwrap();
    let path = file.path().display().to_string();
    let source = source(&[
        ("KONG_CLUSTER_MTLS_FILE", &path),
        ("SECURE_THE_MODE", r#"{"mtls":"pki"}"#),
        ("KONG_VAULT_ENV_PREFIX", "secure_"),
        ("KONG_CLUSTER_USE_PROXY", "{vault://env/switch}"),
        ("SECURE_SWITCH", "on"),
        ("KONG_LUA_SSL_TRUSTED_CERTIFICATE", "system,{vault://env/authority}"),
        ("SECURE_AUTHORITY", "/etc/ca.crt"),
        ("KONG_PROXY_SERVER", "{vault://env/switch}"),
    ]);
    let mut reader = Reader::new(&source);
    let mode = reader.text(names::KONG_CLUSTER_MTLS).unwrap();
    assert_eq!((mode.value.as_str(), mode.name.as_str()), ("pki", "KONG_CLUSTER_MTLS_FILE"));
    assert!(reader.switch(names::KONG_CLUSTER_USE_PROXY));
    assert_eq!(reader.list(names::KONG_LUA_SSL_TRUSTED_CERTIFICATE), ["system", "/etc/ca.crt"]);
    assert_eq!(reader.secret(names::KONG_PROXY_SERVER), Ok(Some("on".to_owned())));
    assert_eq!(reader.problems().list(), [""; 0]);
    assert!(reader.into_files().contains(file.path()), "the file is not looked at again");
}

#[test]
fn both_forms_of_one_of_kongs_settings_an_empty_file_and_none_are_errors_and_a_flag_wins() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let path = empty.path().display().to_string();
    for (pairs, said) in [
        ([("KONG_CLUSTER_CERT", "x"), ("KONG_CLUSTER_CERT_FILE", "/y")], "are both set"),
        ([("KONG_CLUSTER_CERT", ""), ("KONG_CLUSTER_CERT_FILE", &path)], "is empty"),
        ([("KONG_CLUSTER_CERT", " "), ("KONG_CLUSTER_CERT_FILE", "/no/such")], "/no/such can't be read"),
    ] {
        let source = source(&pairs);
        let mut reader = Reader::new(&source);
        assert_eq!(reader.required(names::KONG_CLUSTER_CERT, "it is needed", "cluster.crt"), None);
        let problems = reader.into_problems();
        assert!(problems.list().len() == 1 && problems.list()[0].contains(said), "{problems}");
        let source = source.with_flag("KONG_CLUSTER_CERT", "/z".into());
        assert_eq!(Reader::new(&source).text(names::KONG_CLUSTER_CERT).unwrap().value, "/z");
    }
}

#[test]
fn durations_and_numbers_outside_their_bounds_are_refused_with_a_valid_one() {
    let source = source(&[("LIFEBOAT_CP_CONFIG_TIMEOUT", "soon"), ("LIFEBOAT_MAX_CONFIG", "-1")]);
    let mut reader = Reader::new(&source);
    assert_eq!(reader.duration(names::LIFEBOAT_CP_CONFIG_TIMEOUT, Duration::from_secs(10)), Duration::from_secs(10));
    reader.size(names::LIFEBOAT_MAX_CONFIG, 512, 1..=1024);
    let problems = reader.into_problems();
    assert!(problems.list()[0].contains("valid: 10s"), "{problems}");
    assert!(problems.list()[1].contains("from 1 to 1024 bytes"), "{problems}");
}

#[test]
fn the_export_delay_counts_seconds_unless_it_says_otherwise() {
    for (value, delay) in [("60", Some(60)), ("0", Some(0)), ("2m", Some(120)), ("86400", Some(86_400)), ("2d", None)] {
        let source = source(&[("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", value)]);
        let mut reader = Reader::new(&source);
        let read = reader.export_delay();
        match delay {
            Some(delay) => {
                assert_eq!((read, reader.problems().list().len()), (Duration::from_secs(delay), 0), "{value}")
            }
            None => assert!(reader.into_problems().to_string().contains("valid: 60, 2m"), "{value}"),
        }
    }
}

#[test]
fn a_secret_in_a_file_is_read_again_each_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let path = file.path().display().to_string();
    let source = source(&[("AWS_SESSION_TOKEN_FILE", &path)]);
    let secret = Reader::new(&source).rereadable_secret(names::AWS_SESSION_TOKEN).unwrap().unwrap();
    assert_eq!(secret.reveal().unwrap(), "first");
    std::fs::write(file.path(), "second\n").unwrap();
    assert_eq!(secret.reveal().unwrap(), "second");
    drop(file);
    assert!(secret.reveal().unwrap_err().to_string().contains(&path));
}

#[test]
fn an_empty_file_of_a_secret_is_a_problem() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = source(&[("AWS_SESSION_TOKEN_FILE", &file.path().display().to_string())]);
    let mut reader = Reader::new(&source);
    assert_eq!(reader.rereadable_secret(names::AWS_SESSION_TOKEN), Err(Noted));
    assert!(reader.problems().mention("AWS_SESSION_TOKEN_FILE"));
}
