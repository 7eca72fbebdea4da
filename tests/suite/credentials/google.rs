//! Google: service accounts, users, the metadata server.

use std::time::Duration;

use lifeboat_tests::cloud::gcs::{BUCKET, GcsServer};
use lifeboat_tests::cloud::google::{
    Account, REFRESH_TOKEN, TOKEN_LIVES, Tokens, metadata_server, token_endpoint, user_json,
};
use lifeboat_tests::cloud::http::{HttpServer, plain};
use lifeboat_tests::stage::{pass, play_with_time};

use super::{Settings, assert_unlogged, open, refusal, with, write_and_read};

fn settings(store: &GcsServer) -> Settings {
    vec![
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("gs://{BUCKET}/edge")),
        ("STORAGE_EMULATOR_HOST", store.origin().to_owned()),
    ]
}

/// Works with what is handed out, and goes on with the next before the first one ends.
async fn is_used_and_renewed(settings: &Settings, tokens: &Tokens) -> lifeboat_storage::Storage {
    let storage = open(settings);
    write_and_read(&storage, "folder/object").await.unwrap();
    pass(Duration::from_secs(TOKEN_LIVES * 7 / 10)).await;
    storage.read("folder/object", 100).await.unwrap();
    assert_eq!(tokens.all().len(), 1, "nobody is asked while what is held lives long");
    pass(Duration::from_secs(TOKEN_LIVES / 10)).await;
    storage.read("folder/object", 100).await.unwrap();
    assert_eq!(tokens.all().len(), 2);
    tokens.take_back_the_oldest();
    storage.read("folder/object", 100).await.unwrap();
    storage
}

fn all<'a>(tokens: &'a [String], others: &'a [String]) -> Vec<&'a str> {
    tokens.iter().chain(others).map(String::as_str).collect()
}

#[test]
fn a_service_account_signs_for_its_tokens() {
    play_with_time(async {
        let (tokens, account, stranger) = (Tokens::default(), Account::new(), Account::new());
        let store = GcsServer::start(tokens.clone()).await;
        let endpoint = token_endpoint(&account, tokens.clone()).await;
        let uri = format!("{}/token", endpoint.origin());
        let other_key = with(&settings(&store), "GCP_SERVICE_ACCOUNT", stranger.json(&uri));
        let text = refusal(&open(&other_key)).await;
        assert!(text.contains("invalid_grant: Invalid JWT Signature."), "{text}");
        assert!(text.contains("is the service account's key still listed"), "{text}");
        // The right key with somebody else's name.
        let json = account.json(&uri).replace("lifeboat@", "somebody@");
        let text = refusal(&open(&with(&settings(&store), "GCP_SERVICE_ACCOUNT", json))).await;
        assert!(text.contains("account not found"), "{text}");

        let own = with(&settings(&store), "GCP_SERVICE_ACCOUNT", account.json(&uri));
        let storage = is_used_and_renewed(&own, &tokens).await;
        assert_unlogged(&storage, &all(&tokens.all(), &[account.secrets(), stranger.secrets()].concat()));
        let assertions = endpoint.asked();
        let assertions: Vec<&str> = assertions
            .iter()
            .map(|request| std::str::from_utf8(request.body()).unwrap().rsplit('=').next().unwrap())
            .collect();
        assert_unlogged(&storage, &assertions);
    });
}

#[test]
fn a_key_in_a_file_is_read_anew_for_each_token() {
    play_with_time(async {
        let (tokens, account) = (Tokens::default(), Account::new());
        let store = GcsServer::start(tokens.clone()).await;
        let endpoint = token_endpoint(&account, tokens.clone()).await;
        let uri = format!("{}/token", endpoint.origin());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), Account::new().json(&uri)).unwrap();
        let path = file.path().display().to_string();
        let storage = open(&with(&settings(&store), "GOOGLE_APPLICATION_CREDENTIALS", path));
        refusal(&storage).await;
        std::fs::write(file.path(), account.json(&uri)).unwrap();
        pass(Duration::from_secs(1)).await;
        write_and_read(&storage, "folder/object").await.unwrap();
    });
}

#[test]
fn a_users_refresh_token_is_exchanged() {
    play_with_time(async {
        let (tokens, account) = (Tokens::default(), Account::new());
        let store = GcsServer::start(tokens.clone()).await;
        let endpoint = token_endpoint(&account, tokens.clone()).await;
        let uri = format!("{}/token", endpoint.origin());
        let key = |refresh_token: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), user_json(refresh_token, &uri)).unwrap();
            let path = file.path().display().to_string();
            (file, with(&settings(&store), "GOOGLE_APPLICATION_CREDENTIALS", path))
        };
        let (_file, revoked) = key("1//wonderful-but-revoked");
        let text = refusal(&open(&revoked)).await;
        assert!(
            text.contains("expired or revoked") && text.contains("gcloud auth application-default login"),
            "{text}"
        );
        let (_file, own) = key(REFRESH_TOKEN);
        let storage = is_used_and_renewed(&own, &tokens).await;
        let others = [REFRESH_TOKEN, "1//wonderful-but-revoked", "d-wonderful-client-secret"].map(str::to_owned);
        assert_unlogged(&storage, &all(&tokens.all(), &others));
    });
}

#[test]
fn the_metadata_server_gives_tokens() {
    play_with_time(async {
        let tokens = Tokens::default();
        let store = GcsServer::start(tokens.clone()).await;
        let metadata = metadata_server(tokens.clone()).await;
        let own = with(&settings(&store), "GCE_METADATA_HOST", metadata.authority());
        let storage = is_used_and_renewed(&own, &tokens).await;
        assert_unlogged(&storage, &all(&tokens.all(), &[]));
    });
}

#[test]
fn what_is_not_the_metadata_server_is_not_believed() {
    play_with_time(async {
        let store = GcsServer::start(Tokens::default()).await;
        let body = r#"{"access_token":"wonderful-forged","expires_in":3600}"#;
        let portal = HttpServer::start(move |_| plain(http::StatusCode::OK, body)).await;
        let settings = with(&settings(&store), "GCE_METADATA_HOST", portal.authority());
        let text = refusal(&open(&settings)).await;
        assert!(text.contains("is not the metadata server") && text.contains("GCP_SERVICE_ACCOUNT"), "{text}");
        assert!(store.asked().is_empty());
    });
}

#[test]
fn a_token_that_the_store_does_not_accept_is_a_denial() {
    play_with_time(async {
        let (tokens, others) = (Tokens::default(), Tokens::default());
        let store = GcsServer::start(tokens).await;
        let metadata = metadata_server(others.clone()).await;
        let storage = open(&with(&settings(&store), "GCE_METADATA_HOST", metadata.authority()));
        let text = refusal(&storage).await;
        assert!(text.contains("denied") && text.contains("Authentication required"), "{text}");
        assert_unlogged(&storage, &all(&others.all(), &[]));
    });
}
