//! An S3 in memory, behind no socket: what Lifeboat uses of it, answered as S3 answers it. It remembers every write, so
//! that a test can see what lay there at any moment. Signatures are not checked; `fakes::store` does that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Method, Response, header};
use http_body_util::BodyExt;
use lifeboat_core::digest::Sha256Digest;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::Url;

use super::fault::{answer, time_of};

/// How many keys a page of a listing has: few, so that there are pages.
const PAGE: usize = 7;

/// The store. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryS3(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    objects: BTreeMap<String, Bytes>,
    writes: Vec<(String, Bytes)>,
    revoked: BTreeSet<Permission>,
    /// What is refused of single objects: the end of the key, the code, and how often.
    refused: Vec<(String, &'static str, usize)>,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// `s3:GetObject`.
    Read,
    /// `s3:PutObject`.
    Write,
    /// `s3:ListBucket`. Without it, a missing object is not told from one that may not be read.
    List,
    /// `s3:DeleteObject`.
    Delete,
}

impl MemoryS3 {
    /// Every write that was carried out, in their order: bucket and key, and bytes.
    pub fn writes(&self) -> Vec<(String, Bytes)> {
        self.contents().writes.clone()
    }

    /// An object by its bucket and key.
    pub fn object(&self, path: &str) -> Option<Bytes> {
        self.contents().objects.get(path).cloned()
    }

    /// Empties it, and forgets what was written.
    pub fn forget(&self) {
        *self.contents() = Contents::default();
    }

    /// Takes a permission away.
    pub fn revoke(&self, permission: Permission) {
        self.contents().revoked.insert(permission);
    }

    /// Answers 403 with this code to so many next readings of the objects whose keys end so.
    pub fn refuse(&self, key_end: &str, code: &'static str, times: usize) {
        self.contents().refused.push((key_end.to_owned(), code, times));
    }

    /// Refuses nothing any more.
    pub fn refuse_nothing(&self) {
        self.contents().refused.clear();
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("nothing panics while it is locked")
    }
}

impl HttpConnector for MemoryS3 {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for MemoryS3 {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let body = request.body_mut().collect().await?.to_bytes();
        Ok(self.contents().answer(&request, body))
    }
}

impl Contents {
    fn answer(&mut self, request: &HttpRequest, body: Bytes) -> HttpResponse {
        let path = request.uri().path().trim_matches('/').to_owned();
        if request.method() == Method::GET
            && let Some((_, code, times)) =
                self.refused.iter_mut().find(|(end, _, times)| *times > 0 && path.ends_with(end.as_str()))
        {
            *times -= 1;
            return answer(request, 403, code);
        }
        let may = |permission| !self.revoked.contains(&permission);
        match (request.method(), path.contains('/')) {
            (&Method::GET, false) if may(Permission::List) => self.list(request, &path),
            (&Method::GET | &Method::HEAD, true) if may(Permission::Read) => match self.objects.get(&path) {
                Some(object) => ok(request, Some(object), object.clone()),
                None if may(Permission::List) => answer(request, 404, "NoSuchKey"),
                None => answer(request, 403, "AccessDenied"),
            },
            (&Method::PUT, true) if may(Permission::Write) => self.put(request, path, body),
            (&Method::DELETE, true) if may(Permission::Delete) => {
                self.objects.remove(&path);
                ok(request, None, Bytes::new())
            }
            _ => answer(request, 403, "AccessDenied"),
        }
    }

    fn put(&mut self, request: &HttpRequest, path: String, body: Bytes) -> HttpResponse {
        let condition = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let there = self.objects.get(&path);
        match (condition("if-none-match"), condition("if-match"), there) {
            (Some("*"), _, Some(_)) => return answer(request, 412, "PreconditionFailed"),
            (_, Some(_), None) => return answer(request, 404, "NoSuchKey"),
            (_, Some(expected), Some(there)) if expected != tag(there) => {
                return answer(request, 412, "PreconditionFailed");
            }
            _ => {}
        }
        self.writes.push((path.clone(), body.clone()));
        let answer = ok(request, Some(&body), Bytes::new());
        self.objects.insert(path, body);
        answer
    }

    /// ListObjectsV2 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
    fn list(&self, request: &HttpRequest, bucket: &str) -> HttpResponse {
        let url = Url::parse(&request.uri().to_string()).expect("it is absolute");
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let given = |name: &str| query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (given("prefix"), given("delimiter"));
        let after = given("start-after").max(given("continuation-token"));
        let in_bucket = self
            .objects
            .iter()
            .filter_map(|(path, object)| Some((path.strip_prefix(bucket)?.strip_prefix('/')?, object)));
        let mut found = in_bucket.filter(|(key, _)| key.starts_with(prefix) && *key > after);
        let (mut contents, mut folders) = (String::new(), BTreeSet::new());
        let mut last = "";
        for (key, object) in found.by_ref().take(PAGE) {
            last = key;
            let folder = key[prefix.len()..].split_once(delimiter).filter(|_| !delimiter.is_empty());
            if let Some((folder, _)) = folder {
                folders.insert(format!("<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"));
                continue;
            }
            let (tag, size) = (tag(object).replace('"', "&quot;"), object.len());
            let _ = write!(
                contents,
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{tag}</ETag>\
                 <Size>{size}</Size></Contents>"
            );
        }
        let more = match found.next() {
            Some(_) => format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"),
            None => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        let folders: String = folders.into_iter().collect();
        let body = format!("<ListBucketResult><Name>{bucket}</Name>{contents}{folders}{more}</ListBucketResult>");
        ok(request, None, body.into())
    }
}

// As on S3, the same bytes have the same tag.
fn tag(object: &Bytes) -> String {
    format!("\"{}\"", &Sha256Digest::of(object).to_string()[..32])
}

fn ok(request: &HttpRequest, object: Option<&Bytes>, body: Bytes) -> HttpResponse {
    let mut response = Response::builder()
        .header(header::DATE, httpdate::fmt_http_date(time_of(request)))
        .header(header::CONTENT_LENGTH, body.len());
    if let Some(object) = object {
        response = response.header(header::ETAG, tag(object));
    }
    let body = if request.method() == Method::HEAD { Bytes::new() } else { body };
    response.body(HttpResponseBody::from(body)).expect("its parts are valid")
}
