//! A small S3-like store with the peculiarities that stores have: conditional writes that it has not, ignores, checks too
//! early or never lets through; versions without names; deleting, listing or writing that isn't allowed. Objects are in memory and signatures aren't checked: for
//! that there is the cast's own store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a writer who has checked waits for a second one.
const COMPANY: Duration = Duration::from_secs(1);

/// What becomes of `If-None-Match: *` and `If-Match: <tag>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// They hold.
    Honoured,
    /// They hold, and another, a lifecycle rule for example, deletes the first object as soon as it is written.
    EmptiedOnce,
    /// HTTP 501.
    NotImplemented,
    /// They are taken for an ordinary write.
    Ignored,
    /// They are checked, and the write comes later: two writers at once both win.
    CheckedTooEarly,
    /// They hold, but in place of an answer there is HTTP 500.
    Unanswered,
    /// Creating holds, and to replace what is there is HTTP 403, as for an account that may only create.
    CreateOnly,
    /// Creating holds, and `If-Match` never does: it is compared with the ETag without the quotes that this store itself
    /// puts around it (Ceph's RGW 16).
    QuotesRefused,
}

/// How a store names the versions of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionNames {
    /// By an `ETag`.
    Etags,
    /// Not at all: no answer has an `ETag` (JuiceFS' gateway).
    None,
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// HTTP 403.
    Denied,
}

/// How a store differs from others.
#[derive(Clone, Copy, Debug)]
pub struct Peculiarities {
    /// What becomes of conditional writes.
    pub conditional_writes: ConditionalWrites,
    /// `DELETE` of an object.
    pub deleting: Permission,
    /// `GET` of the bucket.
    pub listing: Permission,
    /// `PUT` of an object.
    pub writing: Permission,
    /// What answers call the version of an object.
    pub version_names: VersionNames,
}

impl Default for Peculiarities {
    fn default() -> Self {
        let granted = Permission::Granted;
        Self {
            conditional_writes: ConditionalWrites::Honoured,
            deleting: granted,
            listing: granted,
            writing: granted,
            version_names: VersionNames::Etags,
        }
    }
}

/// A running store. Dropping it ends it.
pub struct PeculiarStore {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    peculiarities: Mutex<Peculiarities>,
    state: Mutex<State>,
    alone: Mutex<HashMap<String, Arc<Notify>>>,
}

struct Object {
    bytes: Bytes,
    /// A digest of the bytes, as S3's ETags are: the same bytes are the same version.
    version: u64,
    written: SystemTime,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    writes: u64,
    requests: Vec<String>,
}

impl PeculiarStore {
    /// Starts an empty one on a free port.
    pub async fn start(peculiarities: Peculiarities) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            peculiarities: Mutex::new(peculiarities),
            state: Mutex::default(),
            alone: Mutex::default(),
        });
        Self { address, shared: shared.clone(), task: tokio::spawn(serve(listener, shared)) }
    }

    /// For `AWS_CONFIG_STORAGE_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Differs otherwise from now on.
    pub fn becomes(&self, peculiarities: Peculiarities) {
        *self.shared.peculiarities.lock().expect("nothing panics while it is locked") = peculiarities;
    }

    /// The keys of all objects with their bucket, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.shared.state().objects.keys().cloned().collect()
    }

    /// An object's bytes.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.shared.state().objects.get(key).map(|object| object.bytes.clone())
    }

    /// Puts an object there, as somebody else would.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.shared.write(key, bytes.into());
    }

    /// Method and key of all requests so far, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }
}

impl Drop for PeculiarStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn put(&mut self, key: &str, bytes: Bytes) -> u64 {
        self.writes += 1;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let version = hasher.finish();
        self.objects.insert(key.to_owned(), Object { bytes, version, written: SystemTime::now() });
        version
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is locked")
    }

    fn write(&self, key: &str, bytes: Bytes) -> u64 {
        self.state().put(key, bytes)
    }

    fn holds(&self, condition: &Condition, key: &str) -> bool {
        condition.holds(self.state().objects.get(key))
    }

    // Checking and writing are one.
    fn write_if(&self, condition: &Condition, key: &str, bytes: Bytes) -> Option<u64> {
        let mut state = self.state();
        condition.holds(state.objects.get(key)).then(|| state.put(key, bytes))
    }

    // The first one waits for a second, so that it doesn't depend on luck that two have checked before one writes.
    async fn company(&self, key: &str) {
        let mine = Arc::new(Notify::new());
        let other = {
            let mut alone = self.alone.lock().expect("nothing panics while it is locked");
            match alone.remove(key) {
                Some(other) => Some(other),
                None => {
                    alone.insert(key.to_owned(), mine.clone());
                    None
                }
            }
        };
        match other {
            Some(other) => other.notify_one(),
            None if timeout(COMPANY, mine.notified()).await.is_err() => {
                self.alone.lock().expect("nothing panics while it is locked").remove(key);
            }
            None => {}
        }
    }
}

/// What a write demands of the object that is there.
enum Condition {
    Absent,
    Version(String),
}

impl Condition {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if text("if-none-match") == Some("*") {
            return Some(Self::Absent);
        }
        text("if-match").map(|tag| Self::Version(tag.to_owned()))
    }

    fn holds(&self, object: Option<&Object>) -> bool {
        match (self, object) {
            (Self::Absent, object) => object.is_none(),
            (Self::Version(tag), Some(object)) => *tag == etag(object.version),
            (Self::Version(_), None) => false,
        }
    }
}

fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(answer(request, &shared).await) }
        });
        // A connection that breaks is the client's to report.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let peculiarities = *shared.peculiarities.lock().expect("nothing panics while it is locked");
    let (parts, body) = request.into_parts();
    let key = parts.uri.path().trim_start_matches('/').to_owned();
    shared.state().requests.push(format!("{} {key}", parts.method));
    let Ok(body) = body.collect().await else { return error(400, "IncompleteBody") };
    let permission = match (&parts.method, key.contains('/')) {
        (&Method::PUT, _) => peculiarities.writing,
        (&Method::DELETE, _) => peculiarities.deleting,
        (_, false) => peculiarities.listing,
        (_, true) => Permission::Granted,
    };
    if permission == Permission::Denied {
        return error(403, "AccessDenied");
    }
    let mut response = match parts.method {
        Method::PUT => put(&parts.headers, &key, body.to_bytes(), peculiarities.conditional_writes, shared).await,
        Method::DELETE => {
            shared.state().objects.remove(&key);
            answered(204, None, Bytes::new())
        }
        _ if !key.contains('/') => {
            let names = peculiarities.version_names;
            answered(200, None, listing(parts.uri.query().unwrap_or_default(), &key, names, shared))
        }
        _ => match shared.state().objects.get(&key) {
            Some(object) => answered(200, Some((object.version, object.written)), object.bytes.clone()),
            // As S3 answers where listing isn't allowed.
            None if peculiarities.listing == Permission::Denied => error(403, "AccessDenied"),
            None => error(404, "NoSuchKey"),
        },
    };
    if peculiarities.version_names == VersionNames::None {
        response.headers_mut().remove("etag");
    }
    response
}

async fn put(
    headers: &HeaderMap,
    key: &str,
    bytes: Bytes,
    conditional_writes: ConditionalWrites,
    shared: &Shared,
) -> Response<Full<Bytes>> {
    let Some(condition) = Condition::of(headers) else {
        return answered(200, Some((shared.write(key, bytes), SystemTime::now())), Bytes::new());
    };
    let version = match conditional_writes {
        ConditionalWrites::NotImplemented => return error(501, "NotImplemented"),
        ConditionalWrites::Ignored => Some(shared.write(key, bytes)),
        ConditionalWrites::Honoured => shared.write_if(&condition, key, bytes),
        ConditionalWrites::EmptiedOnce => {
            let version = shared.write_if(&condition, key, bytes);
            let mut state = shared.state();
            if state.writes == 1 {
                state.objects.clear();
            }
            version
        }
        ConditionalWrites::Unanswered => {
            shared.write_if(&condition, key, bytes);
            return error(500, "InternalError");
        }
        ConditionalWrites::CreateOnly if matches!(condition, Condition::Version(_)) => {
            return error(403, "AccessDenied");
        }
        ConditionalWrites::QuotesRefused if matches!(condition, Condition::Version(_)) => None,
        ConditionalWrites::CreateOnly | ConditionalWrites::QuotesRefused => shared.write_if(&condition, key, bytes),
        ConditionalWrites::CheckedTooEarly if shared.holds(&condition, key) => {
            shared.company(key).await;
            Some(shared.write(key, bytes))
        }
        ConditionalWrites::CheckedTooEarly => None,
    };
    match version {
        Some(version) => answered(200, Some((version, SystemTime::now())), Bytes::new()),
        None => error(412, "PreconditionFailed"),
    }
}

// ListObjectsV2, as much of it as is asked for here.
fn listing(query: &str, bucket: &str, names: VersionNames, shared: &Shared) -> Bytes {
    let asked: HashMap<&str, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name, value.replace("%2F", "/").replace("%7E", "~")))
        .collect();
    let text = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let (prefix, after, delimiter) = (text("prefix"), text("start-after"), text("delimiter"));
    let state = shared.state();
    let (mut objects, mut folders) = (String::new(), BTreeSet::new());
    for (path, Object { bytes, version, written }) in &state.objects {
        let Some(key) = path.strip_prefix(bucket).and_then(|key| key.strip_prefix('/')) else { continue };
        let Some(below) = key.strip_prefix(&prefix) else { continue };
        if !delimiter.is_empty() && below.contains('/') {
            folders.insert(format!("{prefix}{}/", below.split('/').next().unwrap_or_default()));
        } else if key > after.as_str() {
            let (size, written) = (bytes.len(), humantime::format_rfc3339_millis(*written));
            let tag = match names {
                VersionNames::Etags => format!("<ETag>{}</ETag>", etag(*version)),
                VersionNames::None => String::new(),
            };
            objects.push_str(&format!(
                "<Contents><Key>{key}</Key><Size>{size}</Size>{tag}<LastModified>{written}</LastModified></Contents>"
            ));
        }
    }
    let folders: String =
        folders.iter().map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")).collect();
    format!("<ListBucketResult>{objects}{folders}</ListBucketResult>").into()
}

fn error(status: u16, code: &str) -> Response<Full<Bytes>> {
    answered(status, None, format!("<Error><Code>{code}</Code><Message>as it is set up</Message></Error>").into())
}

fn answered(status: u16, written: Option<(u64, SystemTime)>, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    if let Some((version, written)) = written {
        response = response.header("etag", etag(version)).header("last-modified", httpdate::fmt_http_date(written));
    }
    response.body(Full::new(body)).expect("such an answer can be made")
}
