//! An S3 store at the socket that checks signatures, on a folder: s3s and s3s-fs behind hyper. It can be stopped and
//! come back.
//!
//! s3s-fs has `If-None-Match: *` and `If-Match: <tag>` on `PutObject`, but checks first and writes later, and writes an
//! object before its tag. Here requests for the same key take turns (readers together), so that both are as atomic as
//! on AWS.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use async_trait::async_trait;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpStream;
use tokio::sync::RwLock;

use super::listening::Listening;

/// How many requests of each kind have arrived, also those that were refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Writes of an object.
    pub put: u64,
    /// Reads of an object.
    pub get: u64,
    /// Questions about an object.
    pub head: u64,
    /// Listings of a bucket.
    pub list: u64,
    /// Deletions.
    pub delete: u64,
    /// Anything else.
    pub other: u64,
}

impl RequestCounts {
    /// How many of them came after it was `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            put: self.put - earlier.put,
            get: self.get - earlier.get,
            head: self.head - earlier.head,
            list: self.list - earlier.list,
            delete: self.delete - earlier.delete,
            other: self.other - earlier.other,
        }
    }
}

/// What a store is started with.
#[derive(Clone)]
pub struct S3StoreOptions {
    /// Where it keeps its objects; must exist.
    pub folder: PathBuf,
    /// Its one bucket, made when it is missing.
    pub bucket: String,
    /// The access key that it knows from the beginning.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

impl fmt::Debug for S3StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, bucket, access_key, .. } = self;
        write!(f, "S3StoreOptions {{ {folder:?}, {bucket:?}, {access_key:?}, secret_key: .. }}")
    }
}

/// The access keys that a store knows, which may change while it runs.
#[derive(Clone, Default)]
pub struct Keyring(Arc<Mutex<BTreeMap<String, Key>>>);

#[derive(Clone)]
struct Key {
    secret: String,
    session_token: Option<String>,
}

impl Keyring {
    /// From now on the store knows this key; a temporary one only together with its session token.
    pub fn add(&self, access_key: &str, secret: &str, session_token: Option<&str>) {
        let key = Key { secret: secret.to_owned(), session_token: session_token.map(str::to_owned) };
        self.0.lock().expect("nothing panics while it is locked").insert(access_key.to_owned(), key);
    }

    /// From now on the store doesn't know this key.
    pub fn remove(&self, access_key: &str) {
        self.0.lock().expect("nothing panics while it is locked").remove(access_key);
    }

    fn find(&self, access_key: &str) -> Option<Key> {
        self.0.lock().expect("nothing panics while it is locked").get(access_key).cloned()
    }

    /// Whether the request has the session token of its key. Whether it is signed with it is checked elsewhere.
    fn accepts_token_of<T>(&self, request: &Request<T>) -> bool {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let access_key = header("authorization").and_then(|text| text.split_once("Credential=")?.1.split('/').next());
        let expected = access_key.and_then(|access_key| self.find(access_key)).and_then(|key| key.session_token);
        expected.is_none_or(|expected| header("x-amz-security-token") == Some(&expected))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

#[async_trait]
impl S3Auth for Keyring {
    async fn get_secret_key(&self, access_key: &str) -> s3s::S3Result<SecretKey> {
        match self.find(access_key) {
            Some(key) => Ok(SecretKey::from(key.secret)),
            None => Err(s3s::s3_error!(InvalidAccessKeyId, "The access key id is not known here")),
        }
    }
}

/// A running store. Dropping it closes everything abruptly; the objects stay in the folder.
pub struct S3Store {
    listening: Listening,
    shared: Arc<Shared>,
}

struct Shared {
    service: S3Service,
    keys: Keyring,
    counts: Mutex<RequestCounts>,
    /// The paths of the objects that were read, one for each read.
    read: Mutex<Vec<String>>,
    turns: [RwLock<()>; 64],
}

impl S3Store {
    /// Starts a store on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the folder can't be used or no port is free.
    pub async fn start(options: &S3StoreOptions) -> io::Result<Self> {
        let turns = std::array::from_fn(|_| RwLock::new(()));
        let keys = Keyring::default();
        keys.add(&options.access_key, &options.secret_key, None);
        let service = service(options, keys.clone())?;
        let shared = Arc::new(Shared { service, keys, counts: Mutex::default(), read: Mutex::default(), turns });
        let served = shared.clone();
        let serve = move |stream| -> BoxFuture<'static, ()> { Box::pin(serve(stream, served.clone())) };
        let listening = Listening::start(SocketAddr::from(([127, 0, 0, 1], 0)), serve).await?;
        Ok(Self { listening, shared })
    }

    /// For `AWS_CONFIG_STORAGE_ENDPOINT`: `http://127.0.0.1:<port>`. Buckets are in the path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listening.address())
    }

    /// The keys that it knows.
    pub fn keys(&self) -> &Keyring {
        &self.shared.keys
    }

    /// The requests so far.
    pub fn counts(&self) -> RequestCounts {
        *self.shared.counts.lock().expect("nothing panics while it is locked")
    }

    /// How many reads there were so far of objects whose key has `part` in it.
    pub fn reads_of(&self, part: &str) -> usize {
        let read = self.shared.read.lock().expect("nothing panics while it is locked");
        read.iter().filter(|path| path.contains(part)).count()
    }

    /// Goes away: stops listening and drops all connections. Returns when all of it is gone.
    pub async fn stop(&self) {
        self.listening.stop().await;
    }

    /// Comes back at the same address after [`stop`](Self::stop), with the same objects.
    ///
    /// # Errors
    /// When the address is in use.
    pub async fn come_back(&self) -> io::Result<()> {
        self.listening.come_back().await
    }
}

impl Shared {
    /// One key has one turn; that others may share it costs a little time only.
    fn turn(&self, path: &str) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        &self.turns[(hasher.finish() % self.turns.len() as u64) as usize]
    }
}

fn service(options: &S3StoreOptions, keys: Keyring) -> io::Result<S3Service> {
    // s3s-fs keeps a bucket as a folder.
    std::fs::create_dir_all(options.folder.join(&options.bucket))?;
    let files = s3s_fs::FileSystem::new(&options.folder).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(keys);
    Ok(builder.build())
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Otherwise an answer's body waits 40 ms for the other side to acknowledge its head.
    let _ = stream.set_nodelay(true);
    // A connection that breaks is the client's to report.
    let service = service_fn(|request| answer(request, shared.clone()));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<s3s::Body>, s3s::HttpError> {
    let of_object = request.uri().path().trim_matches('/').contains('/');
    count(&mut shared.counts.lock().expect("nothing panics while it is locked"), request.method(), of_object);
    if of_object && request.method() == Method::GET {
        shared.read.lock().expect("nothing panics while it is locked").push(request.uri().path().to_owned());
    }
    if !shared.keys.accepts_token_of(&request) {
        let refusal = "<Error><Code>InvalidToken</Code><Message>The session token is not the key's</Message></Error>";
        let refusal = Response::builder().status(hyper::StatusCode::BAD_REQUEST).body(refusal.to_owned().into());
        return Ok(refusal.expect("it is complete"));
    }

    let turn = shared.turn(request.uri().path());
    // Held until the answer's head is ready: a read has opened its file by then, and a file is replaced, not changed.
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let _reading = turn.read().await;
        shared.service.call(request.map(s3s::Body::from)).await
    } else {
        let _writing = turn.write().await;
        shared.service.call(request.map(s3s::Body::from)).await
    }
}

fn count(counts: &mut RequestCounts, method: &Method, of_object: bool) {
    let counter = match (method, of_object) {
        (&Method::PUT, true) => &mut counts.put,
        (&Method::GET, true) => &mut counts.get,
        (&Method::HEAD, true) => &mut counts.head,
        (&Method::GET, false) => &mut counts.list,
        (&Method::DELETE, true) => &mut counts.delete,
        _ => &mut counts.other,
    };
    *counter += 1;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::TryStreamExt;
    use object_store::aws::{AmazonS3, AmazonS3Builder};
    use object_store::path::Path;
    use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig, UpdateVersion};

    use super::*;

    async fn store() -> (tempfile::TempDir, S3Store) {
        let folder = tempfile::tempdir().unwrap();
        let (access_key, secret_key) = ("rehearsal".to_owned(), "not a secret".to_owned());
        let options =
            S3StoreOptions { folder: folder.path().to_owned(), bucket: "kong".to_owned(), access_key, secret_key };
        let store = S3Store::start(&options).await.unwrap();
        (folder, store)
    }

    fn client(store: &S3Store, access_key: &str, secret_key: &str) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(store.endpoint())
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("kong")
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .with_retry(RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..Default::default() })
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn what_was_put_is_got_listed_and_counted() {
        let (_folder, store) = store().await;
        let client = client(&store, "rehearsal", "not a secret");
        let key = Path::from("prefix/3.9.1/config.json");
        client.put(&key, PutPayload::from_static(b"{}")).await.unwrap();
        assert_eq!(client.get(&key).await.unwrap().bytes().await.unwrap(), "{}");
        assert_eq!(client.head(&key).await.unwrap().size, 2);
        let listed: Vec<_> = client.list(Some(&Path::from("prefix"))).try_collect().await.unwrap();
        assert_eq!(listed.iter().map(|object| &object.location).collect::<Vec<_>>(), [&key]);
        assert!(matches!(client.get(&Path::from("missing")).await, Err(Error::NotFound { .. })));
        assert_eq!(store.counts(), RequestCounts { put: 1, get: 2, head: 1, list: 1, delete: 0, other: 0 });
        assert_eq!(
            (store.reads_of("prefix/3.9.1"), store.reads_of("missing"), store.reads_of("prefix/3.8")),
            (1, 1, 0)
        );
    }

    #[tokio::test]
    async fn a_wrong_signature_is_refused() {
        let (_folder, store) = store().await;
        let key = Path::from("config.json");
        for client in [client(&store, "rehearsal", "wrong"), client(&store, "unknown", "not a secret")] {
            for error in [
                client.put(&key, PutPayload::from_static(b"{}")).await.unwrap_err(),
                client.get(&key).await.unwrap_err(),
            ] {
                assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_that_create_an_object_at_once_one_succeeds() {
        let (_folder, store) = store().await;
        let client = Arc::new(client(&store, "rehearsal", "not a secret"));
        for round in 0..10 {
            let key = Path::from(format!("leader-{round}.json"));
            let create = |owner: u8| {
                let (client, key) = (client.clone(), key.clone());
                async move { client.put_opts(&key, PutPayload::from(vec![owner]), PutMode::Create.into()).await }
            };
            let created = futures::future::join_all((0..16).map(create)).await;
            let winners: Vec<usize> = (0..16).filter(|owner| created[*owner].is_ok()).collect();
            assert_eq!(winners.len(), 1, "{created:?}");
            let lost = created.iter().filter(|result| matches!(result, Err(Error::AlreadyExists { .. })));
            assert_eq!(lost.count(), 15);
            let bytes = client.get(&key).await.unwrap().bytes().await.unwrap();
            assert_eq!(usize::from(bytes[0]), winners[0]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_that_replace_the_same_version_one_succeeds() {
        let (_folder, store) = store().await;
        let client = Arc::new(client(&store, "rehearsal", "not a secret"));
        let key = Path::from("manifest.json");
        let mut version = UpdateVersion::from(client.put(&key, PutPayload::from_static(b"-")).await.unwrap());
        for round in 0..10_u8 {
            let replace = |owner: u8| {
                let (client, key, mode) = (client.clone(), key.clone(), PutMode::Update(version.clone()));
                async move { client.put_opts(&key, PutPayload::from(vec![round, owner]), mode.into()).await }
            };
            let replaced = futures::future::join_all((0..16).map(replace)).await;
            let lost = replaced.iter().filter(|result| matches!(result, Err(Error::Precondition { .. })));
            assert_eq!(lost.count(), 15, "{replaced:?}");
            let winner = replaced.into_iter().find_map(Result::ok).expect("16 less 15 is one");
            assert_eq!(client.head(&key).await.unwrap().e_tag, winner.e_tag);
            version = winner.into();
        }
    }

    #[tokio::test]
    async fn a_store_that_was_away_has_what_it_had() {
        let (_folder, store) = store().await;
        let client = client(&store, "rehearsal", "not a secret");
        let key = Path::from("config.json");
        client.put(&key, PutPayload::from_static(b"{}")).await.unwrap();
        store.stop().await;
        assert!(client.get(&key).await.is_err());
        store.come_back().await.unwrap();
        assert_eq!(client.get(&key).await.unwrap().bytes().await.unwrap(), "{}");
    }
}
