//! That a prefix means the same keys in every cloud, in requests, listings and links, or is refused by its name.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use lifeboat_core::storage_url::{InvalidUrl, StorageUrl};
use lifeboat_core::time::WallTime;
use lifeboat_runtime::lock::Locked;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use reqwest::Url;
use serde_json::json;

use crate::access::{
    Access, Addressing, AmazonEndpoints, AwsCredentials, AzureAccess, AzureCredentials, GcsAccess, GoogleCredentials,
    Location, PutObject, S3Access, Secret,
};
use crate::{PresignError, Storage};

const KEY: &str = "3.9.1/lifeboat/manifest.json";
const FOLDER: &str = "3.9.1/lifeboat";

/// A store that has nothing, and remembers what it was asked for.
#[derive(Clone, Debug, Default)]
struct Empty(Arc<Mutex<Vec<Uri>>>);

impl HttpConnector for Empty {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Empty {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.0.locked().push(request.uri().clone());
        Ok(http::Response::builder().status(404).body(HttpResponseBody::from(Bytes::new())).unwrap())
    }
}

/// One way into a store: the scheme and the bucket of its URL, and what stands before the prefix in the paths of requests.
struct Way {
    url: &'static str,
    before: &'static str,
    access: fn(Signs) -> Access,
}

#[derive(Clone, Copy)]
enum Signs {
    Requests,
    Links,
}

const WAYS: [Way; 4] = [
    Way { url: "s3://backups", before: "/backups/", access: |_| s3(Addressing::Path) },
    Way { url: "s3://backups", before: "/", access: |_| s3(Addressing::VirtualHost) },
    Way { url: "gs://backups", before: "/backups/", access: gcs },
    Way { url: "azure://account/backups", before: "/backups/", access: |_| azure() },
];

fn secret(text: &str) -> Secret {
    Secret::Value(text.to_owned())
}

fn s3(addressing: Addressing) -> Access {
    let (id, key) = (secret("AKID"), secret("wonderful"));
    Access::S3(Box::new(S3Access {
        endpoint: None,
        amazon: AmazonEndpoints::new("eu-central-1"),
        addressing,
        credentials: AwsCredentials::Keys { id, secret: key, session_token: None, expires: None },
        put_object: PutObject::default(),
    }))
}

// Making one takes long.
static SERVICE_ACCOUNT: LazyLock<String> = LazyLock::new(|| {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let email = "lifeboat@project.iam.gserviceaccount.com";
    json!({
        "type": "service_account", "client_email": email, "private_key": key.serialize_pem(), "private_key_id": "1",
    })
    .to_string()
});

fn gcs(signs: Signs) -> Access {
    let credentials = match signs {
        Signs::Requests => GoogleCredentials::Anonymous,
        Signs::Links => GoogleCredentials::Key(secret(&SERVICE_ACCOUNT)),
    };
    Access::Gcs(GcsAccess { endpoint: None, credentials })
}

fn azure() -> Access {
    let endpoint = "https://account.blob.core.windows.net".to_owned();
    Access::Azure(AzureAccess { endpoint, credentials: AzureCredentials::AccountKey(secret("c2VjcmV0")) })
}

fn open(url: &StorageUrl, access: Access, server: &Empty) -> Storage {
    Storage::open_over(&Location { access, ..Location::local(url.clone()) }, Arc::new(server.clone())).unwrap()
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8().unwrap().into_owned()
}

impl Way {
    /// That what is asked for and what is listed are this key and this folder.
    async fn asks_for(&self, url: &StorageUrl, key: &str, folder: &str) {
        let server = Empty::default();
        let storage = open(url, (self.access)(Signs::Requests), &server);
        assert_eq!(storage.read_optional(KEY, 1024).await.unwrap(), None);
        let asked = server.0.locked().pop().expect("it was asked");
        assert_eq!(decoded(asked.path()), format!("{}{key}", self.before), "{url}");

        assert!(storage.list(FOLDER, None).await.is_err(), "there is no such bucket");
        let listed: Url = server.0.locked().pop().expect("it was asked").to_string().parse().unwrap();
        let prefix = listed.query_pairs().find(|(name, _)| name == "prefix").expect("a listing has a prefix");
        assert_eq!(prefix.1, format!("{folder}/"), "{url}");
    }

    /// That a link leads to this key, or is refused because of a character that stands in it.
    async fn links_to(&self, url: &StorageUrl, key: &str) {
        let storage = open(url, (self.access)(Signs::Links), &Empty::default());
        let now = WallTime::from_system(SystemTime::now());
        match storage.presign(KEY, Duration::from_secs(3600), now).await {
            Ok(link) => {
                let link: Url = link.url.parse().unwrap();
                assert_eq!(decoded(link.path()), format!("{}{key}", self.before), "{url}");
            }
            Err(PresignError::Character { character, .. }) => assert!(key.contains(character), "{url}: {character:?}"),
            Err(error) => panic!("{url}: {error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_prefix_is_the_same_everywhere_or_refused_by_its_name(prefix in "[ -~é]{1,12}(/[ -~]{1,4})?") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for way in &WAYS {
            let url = match format!("{}/{prefix}", way.url).parse::<StorageUrl>() {
                Ok(url) => url,
                Err(InvalidUrl::BadCharacter { character, .. }) => {
                    prop_assert!(prefix.contains(character));
                    continue;
                }
                Err(_) => continue,
            };
            // What the operator reads, blanks and slashes at its ends aside, is what the store is asked for.
            let (key, folder) = match url.prefix() {
                "" => (KEY.to_owned(), FOLDER.to_owned()),
                prefix => (format!("{prefix}/{KEY}"), format!("{prefix}/{FOLDER}")),
            };
            prop_assert!(prefix.contains(url.prefix()));

            runtime.block_on(async {
                way.asks_for(&url, &key, &folder).await;
                way.links_to(&url, &key).await;
            });
        }
    }
}

// Most random prefixes have a character that is refused.
#[tokio::test]
async fn every_character_that_is_accepted_gives_the_same_keys() {
    let of = |prefix: &str| (format!("{prefix}/{KEY}"), format!("{prefix}/{FOLDER}"));
    for way in &WAYS {
        let is_accepted = |c: &char| format!("{}/a{c}b", way.url).parse::<StorageUrl>().is_ok();
        let accepted: String = (' '..='~').filter(is_accepted).filter(|c| *c != '/').collect();
        assert_eq!(accepted.len(), 2 * 26 + 10 + "!$&'()+,-.:;=@_".len(), "{}: {accepted}", way.url);
        let url: StorageUrl = format!("{}/a{accepted}b/c{accepted}d", way.url).parse().unwrap();
        let (key, folder) = of(url.prefix());
        way.asks_for(&url, &key, &folder).await;

        for unusual in accepted.chars().filter(|c| !c.is_ascii_alphanumeric()) {
            let url: StorageUrl = format!("{}/a{unusual}b", way.url).parse().unwrap();
            way.links_to(&url, &of(url.prefix()).0).await;
        }
    }
}
