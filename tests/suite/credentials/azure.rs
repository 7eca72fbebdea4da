//! Azure: applications with a secret or another provider's token, managed identities, shared access signatures. An
//! account's key is for Azurite, which checks its signatures.

use std::time::Duration;

use lifeboat_storage::Storage;
use lifeboat_tests::cloud::azure::{
    ACCOUNT, ASSERTION, CLIENT, CONTAINER, IDENTITY_HEADER, SECRET, SIGNATURE, TENANT, TOKEN_LIVES, blob_service,
    managed_identity, token_endpoint,
};
use lifeboat_tests::cloud::google::Tokens;
use lifeboat_tests::cloud::http::HttpServer;
use lifeboat_tests::stage::{pass, play_with_time};

use super::{Settings, assert_unlogged, open, refusal, with, write_and_read};

fn settings(blobs: &HttpServer) -> Settings {
    vec![
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("azure://{ACCOUNT}/{CONTAINER}/edge")),
        ("AZURE_STORAGE_ENDPOINT", blobs.origin().to_owned()),
    ]
}

fn application(blobs: &HttpServer, endpoint: &HttpServer) -> Settings {
    let settings = with(&settings(blobs), "AZURE_AUTHORITY_HOST", endpoint.origin());
    with(&with(&settings, "AZURE_TENANT_ID", TENANT), "AZURE_CLIENT_ID", CLIENT)
}

/// Works with what is handed out, and goes on with the next before the first one ends.
async fn is_used_and_renewed(settings: &Settings, tokens: &Tokens) -> Storage {
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

fn assert_no_token_logged(storage: &Storage, tokens: &Tokens, others: &[&str]) {
    let tokens = tokens.all();
    let all: Vec<&str> = tokens.iter().map(String::as_str).chain(others.iter().copied()).collect();
    assert_unlogged(storage, &all);
}

#[test]
fn an_application_shows_its_secret() {
    play_with_time(async {
        let tokens = Tokens::default();
        let (blobs, endpoint) = (blob_service(tokens.clone()).await, token_endpoint(tokens.clone()).await);
        let settings = application(&blobs, &endpoint);
        let wrong = with(&settings, "AZURE_CLIENT_SECRET", "wonderful-but-wrong");
        let text = refusal(&open(&wrong)).await;
        assert!(text.contains("Invalid client secret provided: ..") && text.contains("AZURE_CLIENT_SECRET"), "{text}");
        let elsewhere = with(&with(&wrong, "AZURE_TENANT_ID", "contoso.example.com"), "AZURE_CLIENT_SECRET", SECRET);
        assert!(refusal(&open(&elsewhere)).await.contains("Tenant not found"));
        let storage = is_used_and_renewed(&with(&settings, "AZURE_CLIENT_SECRET", SECRET), &tokens).await;
        assert_no_token_logged(&storage, &tokens, &[SECRET, "wonderful-but-wrong"]);
    });
}

#[test]
fn an_application_shows_the_token_of_another_provider() {
    play_with_time(async {
        let tokens = Tokens::default();
        let (blobs, endpoint) = (blob_service(tokens.clone()).await, token_endpoint(tokens.clone()).await);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "wonderful-but-wrong").unwrap();
        let path = file.path().display().to_string();
        let settings = with(&application(&blobs, &endpoint), "AZURE_FEDERATED_TOKEN_FILE", path);
        let text = refusal(&open(&settings)).await;
        assert!(text.contains("AZURE_FEDERATED_TOKEN_FILE") && text.contains("federated credential"), "{text}");
        std::fs::write(file.path(), ASSERTION).unwrap();
        let storage = is_used_and_renewed(&settings, &tokens).await;
        assert_no_token_logged(&storage, &tokens, &[ASSERTION, "wonderful-but-wrong"]);
    });
}

#[test]
fn a_machines_identity_is_asked_of_its_metadata() {
    play_with_time(async {
        let tokens = Tokens::default();
        let (blobs, identity) = (blob_service(tokens.clone()).await, managed_identity(tokens.clone()).await);
        let settings = with(&settings(&blobs), "AZURE_POD_IDENTITY_AUTHORITY_HOST", identity.origin());
        let text = refusal(&open(&with(&settings, "AZURE_CLIENT_ID", "somebody"))).await;
        assert!(text.contains("Identity not found") && text.contains("AZURE_CLIENT_ID"), "{text}");
        let storage = is_used_and_renewed(&with(&settings, "AZURE_CLIENT_ID", CLIENT), &tokens).await;
        assert_no_token_logged(&storage, &tokens, &[]);
    });
}

#[test]
fn an_apps_identity_is_asked_with_its_header() {
    play_with_time(async {
        let tokens = Tokens::default();
        let (blobs, identity) = (blob_service(tokens.clone()).await, managed_identity(tokens.clone()).await);
        let endpoint = format!("{}/msi/token", identity.origin());
        let settings = with(&settings(&blobs), "IDENTITY_ENDPOINT", endpoint);
        let text = refusal(&open(&with(&settings, "IDENTITY_HEADER", "wonderful-but-wrong"))).await;
        assert!(text.contains("Required metadata header"), "{text}");
        let storage = is_used_and_renewed(&with(&settings, "IDENTITY_HEADER", IDENTITY_HEADER), &tokens).await;
        assert_no_token_logged(&storage, &tokens, &[IDENTITY_HEADER, "wonderful-but-wrong"]);
    });
}

#[test]
fn a_shared_access_signature_goes_with_each_request_and_into_no_log() {
    play_with_time(async {
        let blobs = blob_service(Tokens::default()).await;
        let query = |signature: &str| format!("?sv=2023-11-03&sp=racwl&sig={signature}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), query("wonderful-but-wrong")).unwrap();
        let path = file.path().display().to_string();
        let storage = open(&with(&settings(&blobs), "AZURE_STORAGE_SAS_TOKEN_FILE", path));
        assert!(refusal(&storage).await.contains("AuthenticationFailed"));
        // One that is replaced in its file is used at once.
        let encoded = SIGNATURE.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        std::fs::write(file.path(), query(&encoded)).unwrap();
        write_and_read(&storage, "folder/object").await.unwrap();
        assert_unlogged(&storage, &["wonderful-but-wrong", SIGNATURE, &encoded]);
    });
}

#[test]
fn without_any_credentials_what_was_looked_for_is_listed() {
    play_with_time(async {
        let blobs = blob_service(Tokens::default()).await;
        let gone = blob_service(Tokens::default()).await.origin().to_owned();
        let text = refusal(&open(&with(&settings(&blobs), "AZURE_POD_IDENTITY_AUTHORITY_HOST", gone))).await;
        for part in ["AZURE_STORAGE_KEY", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "managed identity"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    });
}
