//! AWS: access keys, web identity, containers, instances.

use std::time::Duration;

use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use lifeboat_tests::cloud::aws::{
    AUTHORIZATION, LIVES, Mint, ROLE, WEB_IDENTITY, container_endpoint, instance_metadata, security_token_service,
};
use lifeboat_tests::cloud::http::{HttpServer, plain};
use lifeboat_tests::stage::{pass, play_with_time};
use tempfile::TempDir;

use super::{Settings, assert_unlogged, open, refusal, with, write_and_read};

struct Bucket {
    store: S3Store,
    mint: Mint,
    folder: TempDir,
}

impl Bucket {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = S3StoreOptions {
            folder: folder.path().join("store"),
            bucket: "kong".to_owned(),
            access_key: "AKIDSTATIC".to_owned(),
            secret_key: "wonderful-static-secret".to_owned(),
        };
        let store = S3Store::start(&options).await.unwrap();
        let mint = Mint::new(store.keys());
        Self { store, mint, folder }
    }

    fn settings(&self) -> Settings {
        vec![
            ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong/edge".to_owned()),
            ("AWS_CONFIG_STORAGE_ENDPOINT", self.store.endpoint()),
        ]
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Works with what the mint hands out, and goes on with the next before the first one ends.
    async fn is_used_and_renewed(&self, settings: &Settings) -> lifeboat_storage::Storage {
        let storage = open(settings);
        write_and_read(&storage, "folder/object").await.unwrap();
        pass(LIVES * 7 / 10).await;
        storage.read("folder/object", 100).await.unwrap();
        assert_eq!(self.mint.made(), 1, "nobody is asked while what is held lives long");
        pass(LIVES / 10).await;
        storage.read("folder/object", 100).await.unwrap();
        assert_eq!(self.mint.made(), 2);
        // The first one has ended.
        self.store.keys().remove(&Mint::id(1));
        storage.read("folder/object", 100).await.unwrap();
        assert_eq!(self.mint.made(), 2);
        storage
    }
}

const HANDED_OUT: [&str; 3] = ["wonderful-secret", "wonderful/session", "wonderful%2Fsession"];

#[test]
fn a_key_that_is_rotated_in_its_files_is_used_at_once() {
    play_with_time(async {
        let bucket = Bucket::start().await;
        let secret = bucket.file("secret", "wonderful-static-secret\n");
        let settings = with(&bucket.settings(), "AWS_ACCESS_KEY_ID_FILE", bucket.file("id", "AKIDSTATIC"));
        let settings = with(&settings, "AWS_SECRET_ACCESS_KEY_FILE", secret);
        let storage = open(&settings);
        write_and_read(&storage, "folder/object").await.unwrap();
        bucket.store.keys().add("AKIDNEXT", "wonderful-next-secret", None);
        bucket.store.keys().remove("AKIDSTATIC");
        assert!(refusal(&storage).await.contains("doesn't know AWS_ACCESS_KEY_ID"));
        bucket.file("id", "AKIDNEXT");
        assert!(refusal(&storage).await.contains("not the secret of AWS_ACCESS_KEY_ID"));
        bucket.file("secret", "wonderful-next-secret");
        storage.read("folder/object", 100).await.unwrap();
        bucket.store.keys().add("AKIDNEXT", "wonderful-next-secret", Some("wonderful-next-token"));
        assert!(refusal(&storage).await.contains("The session token is not the key's"));
        let storage = open(&with(&settings, "AWS_SESSION_TOKEN", "wonderful-next-token"));
        storage.read("folder/object", 100).await.unwrap();
        assert_unlogged(&storage, &["wonderful-static-secret", "wonderful-next-secret", "wonderful-next-token"]);
    });
}

#[test]
fn a_role_is_taken_for_a_web_identity() {
    play_with_time(async {
        let bucket = Bucket::start().await;
        let sts = security_token_service(bucket.mint.clone()).await;
        let settings = with(&bucket.settings(), "AWS_ENDPOINT_URL_STS", sts.origin());
        let settings = with(&settings, "AWS_ROLE_ARN", ROLE);
        let token = bucket.file("token", "wonderful-but-other-identity");
        let settings = with(&settings, "AWS_WEB_IDENTITY_TOKEN_FILE", token);

        let text = refusal(&open(&settings)).await;
        assert!(text.contains("InvalidIdentityToken: .. could not be validated"), "{text}");
        assert!(text.contains("an identity provider for the issuer and the audience"), "{text}");
        let text = refusal(&open(&with(&settings, "AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/other"))).await;
        assert!(text.contains("AccessDenied") && text.contains("let the trust policy of AWS_ROLE_ARN"), "{text}");

        bucket.file("token", &format!("{WEB_IDENTITY}\n"));
        let storage = bucket.is_used_and_renewed(&settings).await;
        assert!(sts.asked().iter().all(|request| request.uri().query().is_none()));
        assert_unlogged(&storage, &[&HANDED_OUT[..], &[WEB_IDENTITY, "wonderful-but-other-identity"]].concat());
    });
}

#[test]
fn a_container_shows_its_token_and_reads_it_anew_for_each_renewal() {
    play_with_time(async {
        let bucket = Bucket::start().await;
        let endpoint = container_endpoint(bucket.mint.clone()).await;
        let url = format!("{}/v1/credentials", endpoint.origin());
        let settings = with(&bucket.settings(), "AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        let wrong = with(&settings, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "wonderful-but-wrong");
        for settings in [&settings, &wrong] {
            let text = refusal(&open(settings)).await;
            assert!(text.contains("The authorization token is not valid"), "{text}");
            assert!(text.contains("AWS_CONTAINER_AUTHORIZATION_TOKEN"), "{text}");
        }
        let token = bucket.file("token", AUTHORIZATION);
        let settings = with(&settings, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token);
        let storage = bucket.is_used_and_renewed(&settings).await;
        // Until its end what is held is used, though nothing new can be had.
        bucket.file("token", "wonderful-but-wrong");
        pass(LIVES * 9 / 10).await;
        storage.read("folder/object", 100).await.unwrap();
        pass(LIVES / 5).await;
        assert!(refusal(&storage).await.contains("The authorization token is not valid"));
        assert_eq!(bucket.mint.made(), 2);
        bucket.file("token", AUTHORIZATION);
        pass(Duration::from_secs(1)).await;
        storage.read("folder/object", 100).await.unwrap();
        assert_unlogged(&storage, &[&HANDED_OUT[..], &[AUTHORIZATION, "wonderful-but-wrong"]].concat());
    });
}

#[test]
fn an_instance_is_asked_by_version_2_of_its_metadata_alone() {
    play_with_time(async {
        let bucket = Bucket::start().await;
        let metadata = instance_metadata(bucket.mint.clone()).await;
        let settings = with(&bucket.settings(), "AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.origin());
        let storage = bucket.is_used_and_renewed(&settings).await;
        assert_unlogged(&storage, &[&HANDED_OUT[..], &["wonderful-metadata-token"]].concat());

        // A service that gives no token is not asked in the old way.
        let only_version_1 = HttpServer::start(|request| match *request.method() {
            http::Method::PUT => plain(http::StatusCode::FORBIDDEN, ""),
            _ => plain(http::StatusCode::OK, "lifeboat"),
        })
        .await;
        let settings = with(&settings, "AWS_EC2_METADATA_SERVICE_ENDPOINT", only_version_1.origin());
        let text = refusal(&open(&settings)).await;
        assert!(text.contains("403"), "{text}");
        assert!(only_version_1.asked().iter().all(|request| request.method() == http::Method::PUT));
    });
}

#[test]
fn without_any_credentials_what_was_looked_for_is_listed_at_once() {
    play_with_time(async {
        let bucket = Bucket::start().await;
        // Nobody listens there.
        let gone = HttpServer::start(|_| plain(http::StatusCode::OK, "")).await.origin().to_owned();
        let settings = with(&bucket.settings(), "AWS_EC2_METADATA_SERVICE_ENDPOINT", gone);
        let storage = open(&settings);
        let started = std::time::Instant::now();
        let text = refusal(&storage).await;
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        for part in ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "instance metadata", "AWS_SECRET_ACCESS_KEY"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    });
}
