//! The program with its log at the finest level, that of its libraries too: what it is given stands nowhere in what it
//! says.

use lifeboat_tests::cloud::azure::{ACCOUNT, CONTAINER, SIGNATURE, blob_service};
use lifeboat_tests::cloud::gcs::{BUCKET, GcsServer};
use lifeboat_tests::cloud::google::{Account, Tokens, token_endpoint};
use lifeboat_tests::program::{Invocation, lifeboat};
use lifeboat_tests::stage::play;

// One that is right, so that there is something to be logged, and one that is refused.
async fn says_none_of(invocation: Invocation, code: i32, secrets: &[String]) {
    // A bare level would be for Lifeboat alone.
    let finished = invocation.with("LIFEBOAT_LOG", "trace,lifeboat=trace").finish().await;
    assert_eq!(finished.code, Some(code), "{finished}");
    assert!(finished.stderr.contains("TRACE"), "what is searched is not everything: {finished}");
    assert!(!secrets.is_empty());
    for secret in secrets {
        assert!(
            !finished.stderr.contains(secret) && !finished.stdout.contains(secret),
            "{secret} stands in {finished}"
        );
    }
}

#[test]
fn no_google_key_and_no_token_is_logged_at_the_finest_level() {
    play(async {
        let (tokens, account) = (Tokens::default(), Account::new());
        let store = GcsServer::start(tokens.clone()).await;
        let endpoint = token_endpoint(&account, tokens.clone()).await;
        let uri = format!("{}/token", endpoint.origin());
        for (key, code) in [(&account, 0), (&Account::new(), 1)] {
            let list = lifeboat(["list", "--storage", &format!("gs://{BUCKET}/edge")])
                .with("STORAGE_EMULATOR_HOST", store.origin())
                .with("GCP_SERVICE_ACCOUNT", key.json(&uri));
            says_none_of(list, code, &key.secrets()).await;
            let again = lifeboat(["list", "--storage", &format!("gcp://{BUCKET}/edge")])
                .with("STORAGE_EMULATOR_HOST", store.origin())
                .with("GCP_SERVICE_ACCOUNT", key.json(&uri));
            says_none_of(again, code, &["ya29.wonderful-token".to_owned()]).await;
        }
        assert_eq!(tokens.all().len(), 2);
    });
}

#[test]
fn no_shared_access_signature_is_logged_at_the_finest_level() {
    play(async {
        let blobs = blob_service(Tokens::default()).await;
        let encoded = SIGNATURE.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for (signature, code) in [(encoded.as_str(), 0), ("wonderful-but-wrong", 1)] {
            let list = lifeboat(["list", "--storage", &format!("azure://{ACCOUNT}/{CONTAINER}/edge")])
                .with("AZURE_STORAGE_ENDPOINT", blobs.origin())
                .with("AZURE_STORAGE_SAS_TOKEN", format!("sv=2023-11-03&sp=racwl&sig={signature}"));
            says_none_of(list, code, &["wonderful".to_owned()]).await;
        }
    });
}
