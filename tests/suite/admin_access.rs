//! Admin APIs that let in only those who have the right authority, certificate and token, and say which of them is missing.

use std::time::{Duration, SystemTime};

use http::{Request, StatusCode};
use lifeboat::admin::{Admin, AdminError};
use lifeboat::settings::{ReadableSettings, Source};
use lifeboat_fakes::certificate::{Authority, Credentials};
use lifeboat_tests::cloud::http::{HttpServer, header, json};
use lifeboat_tests::tls::server_that_asks;
use serde_json::json as value;

const TOKEN: &str = "wonderful-token";

fn issued(authority: &Authority) -> Credentials {
    let day = Duration::from_secs(24 * 60 * 60);
    authority.issue("127.0.0.1", &["127.0.0.1"], SystemTime::now() - day..SystemTime::now() + day)
}

fn answer<T>(request: &Request<T>) -> http::Response<bytes::Bytes> {
    match header(request, "kong-admin-token") {
        TOKEN => json(StatusCode::OK, &value!({ "data": [], "next": null })),
        "elsewhere" => {
            let mut away = json(StatusCode::FOUND, &value!({}));
            away.headers_mut().insert("location", http::HeaderValue::from_static("https://elsewhere.example.com/"));
            away
        }
        _ => json(StatusCode::UNAUTHORIZED, &value!({ "message": "Invalid RBAC credentials" })),
    }
}

async fn asked_with(pairs: &[(&str, &str)]) -> Result<(), AdminError> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let admin = ReadableSettings::read(&Source::from_environment(pairs)).admin.expect("it can be read");
    Admin::new(&admin)?.data_planes().await.map(drop)
}

#[tokio::test]
async fn an_admin_api_is_got_into_by_authority_certificate_and_token_and_says_which_is_missing() {
    let authority = Authority::new("a private authority");
    let (server, own) = (issued(&authority), issued(&authority));
    let api = HttpServer::start_tls(server_that_asks(&server, &authority), answer).await;
    let pem = authority.certificate_pem();
    let all = [
        ("LIFEBOAT_ADMIN_URL", api.origin()),
        ("LIFEBOAT_ADMIN_CA", &pem),
        ("LIFEBOAT_ADMIN_CERT", &own.certificate_pem),
        ("LIFEBOAT_ADMIN_CERT_KEY", &own.key_pem),
        ("LIFEBOAT_ADMIN_TOKEN", TOKEN),
    ];
    asked_with(&all).await.unwrap();

    for (without, cure) in [
        (&["LIFEBOAT_ADMIN_CA"][..], "set LIFEBOAT_ADMIN_CA"),
        (&["LIFEBOAT_ADMIN_CERT", "LIFEBOAT_ADMIN_CERT_KEY"], "set LIFEBOAT_ADMIN_CERT and LIFEBOAT_ADMIN_CERT_KEY"),
        (&["LIFEBOAT_ADMIN_TOKEN"], "(Invalid RBAC credentials): it wants a token: set LIFEBOAT_ADMIN_TOKEN"),
    ] {
        let some: Vec<_> = all.into_iter().filter(|(name, _)| !without.contains(name)).collect();
        let refused = asked_with(&some).await.unwrap_err().to_string();
        assert!(refused.contains(cure), "{cure:?} is missing in {refused:?}");
    }
    let wrong = [&all[..4], &[("LIFEBOAT_ADMIN_TOKEN", "another")]].concat();
    let refused = asked_with(&wrong).await.unwrap_err().to_string();
    assert!(refused.contains("does not accept LIFEBOAT_ADMIN_TOKEN"), "{refused}");
}

#[tokio::test]
async fn a_token_is_not_taken_along_to_another_host() {
    let api = HttpServer::start(answer).await;
    let settings = [("LIFEBOAT_ADMIN_URL", api.origin()), ("LIFEBOAT_ADMIN_TOKEN", "elsewhere")];
    let refused = asked_with(&settings).await.unwrap_err().to_string();
    assert!(refused.contains("https://elsewhere.example.com/") && refused.contains("is not shown"), "{refused}");
    assert_eq!(api.asked().len(), 1);
}
