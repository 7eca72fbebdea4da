//! Each kind of store holds what Lifeboat keeps: published, restored, listed, over HTTP as the clouds speak it.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use lifeboat::settings::{Source, StoreSettings};
use lifeboat_fakes::certificate::Authority;
use lifeboat_storage::{Storage, StorageError, Write};
use lifeboat_tests::archive_contract::archive_contract;
use lifeboat_tests::cloud::azure::{ACCOUNT, CONTAINER, SIGNATURE, blob_service};
use lifeboat_tests::cloud::gcs::{BUCKET, GcsServer};
use lifeboat_tests::cloud::google::{Tokens, metadata_server};
use lifeboat_tests::cloud::http::{HttpServer, header, plain};
use lifeboat_tests::stage::play;

fn settings(pairs: &[(&str, &str)]) -> StoreSettings {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    StoreSettings::read_alone(&Source::from_environment(pairs)).unwrap_or_else(|problems| panic!("{problems}"))
}

async fn google() -> (GcsServer, HttpServer, StoreSettings) {
    let tokens = Tokens::default();
    let (store, metadata) = (GcsServer::start(tokens.clone()).await, metadata_server(tokens).await);
    let url = format!("gs://{BUCKET}//edge/eu/");
    let settings = settings(&[
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url),
        ("STORAGE_EMULATOR_HOST", store.origin()),
        ("GCE_METADATA_HOST", metadata.authority()),
    ]);
    (store, metadata, settings)
}

#[test]
fn google_cloud_storage_holds_an_archive() {
    play(async {
        let (store, _metadata, settings) = google().await;
        archive_contract(&Storage::open(&settings.location()).unwrap()).await;
        let keys = store.keys();
        assert!(keys.contains(&"edge/eu/3.9.1/config.json".to_owned()), "{keys:?}");
        assert!(keys.iter().all(|key| key.starts_with("edge/eu/3.9.1/")), "{keys:?}");
    });
}

#[test]
fn azure_holds_an_archive() {
    play(async {
        let blobs = blob_service(Tokens::default()).await;
        let signature = SIGNATURE.replace('+', "%2B");
        let settings = settings(&[
            ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &format!("azure://{ACCOUNT}/{CONTAINER}/edge")),
            ("AZURE_STORAGE_ENDPOINT", blobs.origin()),
            ("AZURE_STORAGE_SAS_TOKEN", &format!("sv=2023-11-03&sig={signature}")),
        ]);
        archive_contract(&Storage::open(&settings.location()).unwrap()).await;
    });
}

#[test]
fn google_generations_are_compared_and_swapped() {
    play(async {
        let (_store, _metadata, settings) = google().await;
        let storage = Storage::open(&settings.location()).unwrap();
        let write = |text: &'static str, write| storage.write("object", Bytes::from_static(text.as_bytes()), write);
        let first = write("first", Write::Create).await.unwrap();
        assert!(matches!(write("other", Write::Create).await, Err(StorageError::Conflict { .. })));
        let second = write("second", Write::Update(first.clone())).await.unwrap();
        assert!(matches!(write("stale", Write::Update(first)).await, Err(StorageError::Conflict { .. })));
        let (read, tag) = storage.read("object", 100).await.unwrap();
        assert_eq!((&read[..], tag), (&b"second"[..], second));
    });
}

// The conditions of <https://cloud.google.com/storage/docs/xml-api/put-object> on
// <https://cloud.google.com/storage/docs/request-preconditions>: 0 for none, otherwise the generation; 412 where it
// doesn't hold. This asks the test's own server, with the header as those pages write it.
#[test]
fn the_google_server_keeps_the_published_conditions() {
    play(async {
        let tokens = Tokens::default();
        let store = GcsServer::start(tokens.clone()).await;
        let url = format!("{}/{BUCKET}/paris.jpg", store.origin());
        let token = tokens.hand_out();
        let put = |generation: Option<String>, token: String| {
            let mut request = reqwest::Client::new().put(&url).bearer_auth(token).body("x");
            if let Some(generation) = generation {
                request = request.header("x-goog-if-generation-match", generation);
            }
            async { request.send().await.unwrap() }
        };
        assert_eq!(put(None, "forged".into()).await.status(), 401);
        assert_eq!(put(Some("1360887759327000".into()), token.clone()).await.status(), 412);
        let created = put(Some("0".into()), token.clone()).await;
        assert_eq!(created.status(), 200);
        let generation = created.headers()["x-goog-generation"].to_str().unwrap().to_owned();
        assert_eq!(put(Some("0".into()), token.clone()).await.status(), 412);
        assert_eq!(put(Some("new".into()), token.clone()).await.status(), 400);
        assert_eq!(put(Some(generation.clone()), token.clone()).await.status(), 200);
        assert_eq!(put(Some(generation), token.clone()).await.status(), 412);
        assert_eq!(put(None, token).await.status(), 200);
    });
}

/// An S3 that only remembers what it was asked, and gives the body of the last PUT back.
async fn remembering_s3() -> HttpServer {
    let last: std::sync::Mutex<Bytes> = std::sync::Mutex::default();
    HttpServer::start(move |request| {
        let mut last = last.lock().unwrap();
        if request.method() == Method::PUT {
            *last = request.body().clone();
        }
        let body = if request.uri().query().is_some() { "<ListBucketResult/>".into() } else { last.clone() };
        let mut response = plain(http::StatusCode::OK, "");
        response.headers_mut().insert("etag", "\"1\"".parse().unwrap());
        response.headers_mut().insert("last-modified", "Fri, 15 Feb 2013 00:22:39 GMT".parse().unwrap());
        *response.body_mut() = body;
        response
    })
    .await
}

async fn written_and_read(config: &str) -> Vec<http::Request<Bytes>> {
    let store = remembering_s3().await;
    let settings = settings(&[
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/kong"),
        ("AWS_CONFIG_STORAGE_ENDPOINT", store.origin()),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG", config),
    ]);
    let storage = Storage::open(&settings.location()).unwrap();
    storage.write("object", Bytes::from_static(b"x"), Write::Create).await.unwrap();
    storage.read("object", 100).await.unwrap();
    storage.list("folder", None).await.unwrap();
    store.asked()
}

fn is_signed(request: &http::Request<Bytes>, name: &str) -> bool {
    let signed = header(request, "authorization").split_once("SignedHeaders=").unwrap().1;
    signed.split(',').next().unwrap().split(';').any(|signed| signed == name)
}

#[test]
fn what_put_object_takes_goes_signed_with_writes_and_with_nothing_else() {
    play(async {
        let asked = written_and_read(
            r#"{"ServerSideEncryption":"aws:kms","SSEKMSKeyId":"arn:aws:kms:eu-central-1:1:key/x","BucketKeyEnabled":true,
                "ACL":"bucket-owner-full-control","StorageClass":"STANDARD_IA","Tagging":"team=edge",
                "Metadata":{"Team":"edge"},"CacheControl":"no-store","ContentType":"application/json",
                "ChecksumAlgorithm":"SHA256"}"#,
        )
        .await;
        let [put, get, list] = &asked[..] else { panic!("{asked:?}") };
        for (name, value) in [
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-central-1:1:key/x"),
            ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-tagging", "team=edge"),
            ("x-amz-meta-team", "edge"),
            ("x-amz-checksum-sha256", "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="),
            ("cache-control", "no-store"),
            ("content-type", "application/json"),
        ] {
            let values: Vec<_> = put.headers().get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
            assert!(is_signed(put, name), "{name}");
            assert!(header(get, name).is_empty() && header(list, name).is_empty(), "{name}");
        }
    });
}

#[test]
fn a_key_that_the_store_does_not_keep_goes_with_writes_and_reads() {
    play(async {
        let key = STANDARD.encode([7_u8; 32]);
        let asked = written_and_read(&format!(r#"{{"SSECustomerAlgorithm":"AES256","SSECustomerKey":"{key}"}}"#)).await;
        let [put, get, list] = &asked[..] else { panic!("{asked:?}") };
        let name = "x-amz-server-side-encryption-customer-key";
        for request in [put, get] {
            assert_eq!(header(request, name), key);
            assert_eq!(header(request, "x-amz-server-side-encryption-customer-algorithm"), "AES256");
            assert!(is_signed(request, name));
        }
        assert!(header(list, name).is_empty());
        let log = lifeboat_tests::log::Log::current();
        assert_eq!(log.lines_with(&key), Vec::<String>::new());
    });
}

#[test]
fn who_pays_says_so_with_each_request() {
    play(async {
        let asked = written_and_read(r#"{"RequestPayer":"requester"}"#).await;
        assert!(asked.len() == 3 && asked.iter().all(|request| header(request, "x-amz-request-payer") == "requester"));
    });
}

#[test]
fn a_store_with_a_certificate_of_ones_own_authority_is_trusted_with_that_authority_alone() {
    play(async {
        let authority = Authority::new("a private authority");
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        let validity = SystemTime::now() - day..SystemTime::now() + day;
        let issued = authority.issue("127.0.0.1", &["127.0.0.1"], validity);
        let store = HttpServer::start_tls(lifeboat_tests::tls::server(&issued), |_| {
            plain(http::StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>")
        })
        .await;
        let pem = authority.certificate_pem();
        let open = |pem: &str| {
            Storage::open(
                &settings(&[
                    ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/kong"),
                    ("AWS_CONFIG_STORAGE_ENDPOINT", store.origin()),
                    ("AWS_ACCESS_KEY_ID", "AKID"),
                    ("AWS_SECRET_ACCESS_KEY", "secret"),
                    ("LIFEBOAT_STORAGE_CA", pem),
                ])
                .location(),
            )
            .unwrap()
        };
        assert_eq!(open(&pem).read_optional("object", 1).await.unwrap(), None);
        assert!(open(&STANDARD.encode(&pem)).read_optional("object", 1).await.unwrap().is_none());
        let other = Authority::new("somebody else's authority").certificate_pem();
        let error = open(&other).read_optional("object", 1).await.unwrap_err().to_string();
        assert!(error.contains("certificate") && error.contains(store.origin()), "{error}");
    });
}

#[test]
fn that_authority_is_trusted_where_credentials_come_from_too() {
    play(async {
        let authority = Authority::new("a private authority");
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        let validity = SystemTime::now() - day..SystemTime::now() + day;
        let issued = authority.issue("127.0.0.1", &["127.0.0.1"], validity);
        let endpoint =
            HttpServer::start_tls(lifeboat_tests::tls::server(&issued), |_| plain(http::StatusCode::FORBIDDEN, ""))
                .await;
        for (pem, expected) in [
            (authority.certificate_pem(), "answered 403"),
            (Authority::new("another").certificate_pem(), "certificate"),
        ] {
            let storage = Storage::open(
                &settings(&[
                    ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/kong"),
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", endpoint.origin())),
                    ("LIFEBOAT_STORAGE_CA", &pem),
                ])
                .location(),
            );
            let error = storage.unwrap().read_optional("object", 1).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    });
}
