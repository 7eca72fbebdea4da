//! Google Cloud Storage's XML API on one bucket, in memory:
//! <https://cloud.google.com/storage/docs/xml-api/reference-methods>. What Lifeboat asks of it is there, and what it must
//! not do is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};

use super::google::Tokens;
use super::http::{HttpServer, escaped, header, pairs, path, plain};

/// The bucket's name.
pub const BUCKET: &str = "kong_backups";

/// How many objects one page of a listing has, so that several pages are read.
const PAGE: usize = 3;

/// A running store.
pub struct GcsServer {
    server: HttpServer,
    bucket: Arc<Mutex<Bucket>>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    last_generation: u64,
}

struct Object {
    bytes: Bytes,
    generation: u64,
}

impl GcsServer {
    /// Starts an empty store, into which these tokens let.
    pub async fn start(tokens: Tokens) -> Self {
        let bucket: Arc<Mutex<Bucket>> = Arc::default();
        let of_server = bucket.clone();
        let answer = move |request: &Request<Bytes>| {
            let token = header(request, "authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
            if !tokens.allow(&token) {
                return error(StatusCode::UNAUTHORIZED, "AuthenticationRequired", "Authentication required.");
            }
            of_server.lock().expect("nothing panics while it is locked").answer(request)
        };
        Self { server: HttpServer::start(answer).await, bucket }
    }

    /// For `STORAGE_EMULATOR_HOST`.
    pub fn origin(&self) -> &str {
        self.server.origin()
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.bucket.lock().expect("nothing panics while it is locked").objects.keys().cloned().collect()
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Request<Bytes>> {
        self.server.asked()
    }
}

impl Bucket {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = path(request);
        let Some(of_bucket) = path.strip_prefix('/').and_then(|path| path.strip_prefix(BUCKET)) else {
            return error(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist.");
        };
        match (request.method(), of_bucket.strip_prefix('/').filter(|key| !key.is_empty())) {
            (&Method::GET, None) => self.list(&pairs(request.uri().query().unwrap_or_default())),
            (&Method::PUT, Some(key)) => self.put(key, request),
            (&Method::GET | &Method::HEAD, Some(key)) => self.get(key),
            (&Method::DELETE, Some(key)) => match self.objects.remove(key) {
                Some(_) => plain(StatusCode::NO_CONTENT, ""),
                None => no_such_key(),
            },
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "The specified method is not allowed."),
        }
    }

    // <https://cloud.google.com/storage/docs/xml-api/put-object-upload>
    fn put(&mut self, key: &str, request: &Request<Bytes>) -> Response<Bytes> {
        if header(request, "content-length").is_empty() {
            return error(StatusCode::LENGTH_REQUIRED, "MissingContentLength", "You must provide the Content-Length.");
        }
        for foreign in ["if-match", "if-none-match"] {
            if !header(request, foreign).is_empty() {
                return error(
                    StatusCode::BAD_REQUEST,
                    "InvalidArgument",
                    "Uploads know x-goog-if-generation-match only.",
                );
            }
        }
        let present = self.objects.get(key).map_or(0, |object| object.generation);
        match request
            .headers()
            .get("x-goog-if-generation-match")
            .map(|wanted| wanted.to_str().unwrap_or("").parse::<u64>())
        {
            Some(Err(_)) => return error(StatusCode::BAD_REQUEST, "InvalidArgument", "A generation is a number."),
            Some(Ok(wanted)) if present != wanted => {
                let text = "At least one of the pre-conditions you specified did not hold.";
                return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", text);
            }
            _ => {}
        }
        // The real ones are times in microseconds: they grow, by any amount.
        self.last_generation = (self.last_generation + 7).max(1_360_887_759_327_000);
        let generation = self.last_generation;
        self.objects.insert(key.to_owned(), Object { bytes: request.body().clone(), generation });
        described(&self.objects[key], plain(StatusCode::OK, ""))
    }

    fn get(&self, key: &str) -> Response<Bytes> {
        let Some(object) = self.objects.get(key) else { return no_such_key() };
        described(object, Response::new(object.bytes.clone()))
    }

    // <https://cloud.google.com/storage/docs/xml-api/get-bucket-list>
    fn list(&self, query: &BTreeMap<String, String>) -> Response<Bytes> {
        if query.get("list-type").map(String::as_str) != Some("2") {
            return error(StatusCode::BAD_REQUEST, "InvalidArgument", "This server lists by version 2.");
        }
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (of("prefix"), of("delimiter"));
        let matching =
            self.objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > of("start-after"));
        let mut entries = BTreeMap::new();
        for (key, object) in matching {
            match key[prefix.len()..].split_once(delimiter).filter(|_| !delimiter.is_empty()) {
                Some((folder, _)) => {
                    let name = format!("{prefix}{folder}{delimiter}");
                    let entry = format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(&name));
                    entries.insert(name, entry);
                }
                None => {
                    entries.insert(key.clone(), listed(key, object));
                }
            }
        }
        let mut rest = entries.split_off(of("continuation-token"));
        rest.remove(of("continuation-token"));
        let is_truncated = rest.len() > PAGE;
        let page: Vec<(String, String)> = rest.into_iter().take(PAGE).collect();
        let next = match page.last() {
            Some((last, _)) if is_truncated => {
                format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(last))
            }
            _ => String::new(),
        };
        let page: String = page.into_iter().map(|(_, entry)| entry).collect();
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
             <Name>{BUCKET}</Name><Prefix>{}</Prefix>{page}<IsTruncated>{is_truncated}</IsTruncated>{next}\
             </ListBucketResult>",
            escaped(prefix)
        );
        plain(StatusCode::OK, body)
    }
}

fn listed(key: &str, object: &Object) -> String {
    format!(
        "<Contents><Key>{}</Key><Generation>{}</Generation><MetaGeneration>1</MetaGeneration>\
         <LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
        escaped(key),
        object.generation,
        humantime::format_rfc3339_millis(SystemTime::now()),
        escaped(&tag(object)),
        object.bytes.len()
    )
}

fn tag(object: &Object) -> String {
    format!("\"{:x}\"", object.generation)
}

fn described(object: &Object, mut response: Response<Bytes>) -> Response<Bytes> {
    let headers = response.headers_mut();
    let mut set =
        |name: &'static str, value: String| headers.insert(name, value.parse().expect("it is a header's value"));
    set("etag", tag(object));
    set("x-goog-generation", object.generation.to_string());
    set("x-goog-metageneration", "1".to_owned());
    set("last-modified", "Fri, 15 Feb 2013 00:22:39 GMT".to_owned());
    response
}

fn no_such_key() -> Response<Bytes> {
    error(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
}

// <https://cloud.google.com/storage/docs/xml-api/reference-status>
fn error(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    plain(
        status,
        format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    )
}
