//! Azure's token endpoints, and a blob service with one container that lets in who shows one of their tokens, or a shared
//! access signature that it knows. Signatures made with an account's key are for the real thing and for Azurite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::google::Tokens;
use super::http::{HttpServer, escaped, form, header, json as answer_json, pairs, path, plain};

/// The storage account.
pub const ACCOUNT: &str = "kongbackups";
/// Its container.
pub const CONTAINER: &str = "kong";
/// The directory.
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
/// The application, and the managed identity.
pub const CLIENT: &str = "535fb089-9ff3-47b6-9bfb-4f1264799865";
/// The application's secret.
pub const SECRET: &str = "qWgdYAmab0YSkuL1qKv5bPX/wonderful";
/// What the other identity provider says of the application.
pub const ASSERTION: &str = "wonderful-federated-token";
/// What App Service wants to see.
pub const IDENTITY_HEADER: &str = "853b9a84-wonderful-5efd";
/// The signature of the shared access signature.
pub const SIGNATURE: &str = "wonderful+signature/8TkPzM=";
/// How long tokens live, in seconds.
pub const TOKEN_LIVES: u64 = 1000;

/// Starts the token endpoint of the directory:
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>, first and third case.
pub async fn token_endpoint(tokens: Tokens) -> HttpServer {
    HttpServer::start(move |request| {
        let refused = |error: &str, description: &str| {
            let body = json!({ "error": error, "error_description": description, "error_codes": [1] });
            answer_json(StatusCode::UNAUTHORIZED, &body)
        };
        let Some(form) = form(request).filter(|_| path(request) == format!("/{TENANT}/oauth2/v2.0/token")) else {
            return refused("invalid_request", "AADSTS90002: Tenant not found.");
        };
        let of = |name: &str| form.get(name).map_or("", String::as_str);
        if of("grant_type") != "client_credentials" || of("scope") != "https://storage.azure.com/.default" {
            return refused("invalid_scope", "AADSTS70011: The provided value for scope is not valid.");
        }
        if of("client_id") != CLIENT {
            return refused("unauthorized_client", "AADSTS700016: Application was not found in the directory.");
        }
        let by_assertion = of("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            && of("client_assertion") == ASSERTION;
        if of("client_secret") != SECRET && !by_assertion {
            // What was shown is repeated, as some services do.
            let shown = format!("{}{}", of("client_secret"), of("client_assertion"));
            return refused("invalid_client", &format!("AADSTS7000215: Invalid client secret provided: {shown}"));
        }
        let token = tokens.hand_out();
        let body = json!({ "token_type": "Bearer", "expires_in": TOKEN_LIVES, "access_token": token });
        answer_json(StatusCode::OK, &body)
    })
    .await
}

/// Starts who gives tokens of a managed identity, in both forms:
/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token> and
/// <https://learn.microsoft.com/azure/app-service/overview-managed-identity>.
pub async fn managed_identity(tokens: Tokens) -> HttpServer {
    HttpServer::start(move |request| {
        let query = pairs(request.uri().query().unwrap_or_default());
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        let is_right = match path(request).as_str() {
            "/metadata/identity/oauth2/token" => {
                header(request, "metadata") == "true" && of("api-version") == "2018-02-01"
            }
            "/msi/token" => {
                header(request, "x-identity-header") == IDENTITY_HEADER && of("api-version") == "2019-08-01"
            }
            _ => return plain(StatusCode::NOT_FOUND, ""),
        };
        if !is_right || of("resource") != "https://storage.azure.com/" {
            let body =
                json!({ "error": "invalid_request", "error_description": "Required metadata header not specified" });
            return answer_json(StatusCode::BAD_REQUEST, &body);
        }
        if !matches!(of("client_id"), "" | CLIENT) {
            let body = json!({ "error": "invalid_request", "error_description": "Identity not found" });
            return answer_json(StatusCode::BAD_REQUEST, &body);
        }
        // Moments and durations are texts there.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs();
        let body = json!({
            "access_token": tokens.hand_out(),
            "expires_on": (now + TOKEN_LIVES).to_string(),
            "resource": of("resource"),
            "token_type": "Bearer",
        });
        answer_json(StatusCode::OK, &body)
    })
    .await
}

/// Starts a blob service: <https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api>.
pub async fn blob_service(tokens: Tokens) -> HttpServer {
    let blobs: Arc<Mutex<Blobs>> = Arc::default();
    HttpServer::start(move |request| {
        let query = pairs(request.uri().query().unwrap_or_default());
        let bearer = header(request, "authorization").strip_prefix("Bearer ").unwrap_or_default();
        let is_let_in = tokens.allow(bearer) || query.get("sig").is_some_and(|signature| signature == SIGNATURE);
        if !is_let_in {
            return error(StatusCode::FORBIDDEN, "AuthenticationFailed", "Server failed to authenticate the request.");
        }
        if header(request, "x-ms-version").is_empty() {
            return error(StatusCode::BAD_REQUEST, "MissingRequiredHeader", "x-ms-version is required.");
        }
        blobs.lock().expect("nothing panics while it is locked").answer(request, &query)
    })
    .await
}

/// What stands between the answers of a batch.
const BATCH: &str = "batchresponse_1";

#[derive(Default)]
struct Blobs {
    blobs: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
}

impl Blobs {
    fn answer(&mut self, request: &Request<Bytes>, query: &BTreeMap<String, String>) -> Response<Bytes> {
        let path = path(request);
        let Some(key) = path.strip_prefix(&format!("/{CONTAINER}")) else {
            return error(StatusCode::NOT_FOUND, "ContainerNotFound", "The specified container does not exist.");
        };
        let key = key.trim_start_matches('/');
        match *request.method() {
            Method::GET if key.is_empty() => self.list(query),
            Method::PUT => self.put(key, request),
            Method::POST if query.get("comp").is_some_and(|what| what == "batch") => self.batch(request),
            Method::GET | Method::HEAD => match self.blobs.get(key) {
                Some((bytes, version)) => described(*version, Response::new(bytes.clone())),
                None => error(StatusCode::NOT_FOUND, "BlobNotFound", "The specified blob does not exist."),
            },
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", "not here"),
        }
    }

    // Deletions, each with an answer of its own: <https://learn.microsoft.com/rest/api/storageservices/blob-batch>.
    fn batch(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let targets = body.lines().filter_map(|line| line.strip_prefix("DELETE ")?.split(' ').next());
        let mut answer = String::new();
        for (id, target) in targets.enumerate() {
            let path = target.split('?').next().unwrap_or_default();
            let key = path.strip_prefix(&format!("/{CONTAINER}/")).unwrap_or_default();
            let status = match self.blobs.remove(key) {
                Some(_) => "202 Accepted",
                None => "404 The specified blob does not exist.",
            };
            let part = format!("Content-Type: application/http\r\nContent-ID: {id}\r\n\r\nHTTP/1.1 {status}\r\n\r\n");
            answer.push_str(&format!("--{BATCH}\r\n{part}"));
        }
        answer.push_str(&format!("--{BATCH}--\r\n"));
        let mut response = Response::new(Bytes::from(answer));
        *response.status_mut() = StatusCode::ACCEPTED;
        let kind = format!("multipart/mixed; boundary={BATCH}").parse().expect("it is a header");
        response.headers_mut().insert("content-type", kind);
        response
    }

    // <https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations>
    fn put(&mut self, key: &str, request: &Request<Bytes>) -> Response<Bytes> {
        if header(request, "x-ms-blob-type") != "BlockBlob" {
            return error(StatusCode::BAD_REQUEST, "MissingRequiredHeader", "x-ms-blob-type is required.");
        }
        let present = self.blobs.get(key).map(|(_, version)| tag(*version));
        if header(request, "if-none-match") == "*" && present.is_some() {
            return error(StatusCode::CONFLICT, "BlobAlreadyExists", "The specified blob already exists.");
        }
        let wanted = header(request, "if-match");
        if !wanted.is_empty() && present.as_deref() != Some(wanted) {
            let text = "The condition specified using HTTP conditional header(s) is not met.";
            return error(StatusCode::PRECONDITION_FAILED, "ConditionNotMet", text);
        }
        self.writes += 1;
        self.blobs.insert(key.to_owned(), (request.body().clone(), self.writes));
        described(self.writes, plain(StatusCode::CREATED, ""))
    }

    // <https://learn.microsoft.com/rest/api/storageservices/list-blobs>
    fn list(&self, query: &BTreeMap<String, String>) -> Response<Bytes> {
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        if (of("restype"), of("comp")) != ("container", "list") {
            return error(StatusCode::BAD_REQUEST, "InvalidQueryParameterValue", "this is not a listing");
        }
        let (prefix, delimiter) = (of("prefix"), of("delimiter"));
        let mut entries = BTreeMap::new();
        for (key, (bytes, version)) in self.blobs.iter().filter(|(key, _)| key.starts_with(prefix)) {
            match key[prefix.len()..].split_once(delimiter).filter(|_| !delimiter.is_empty()) {
                Some((folder, _)) => {
                    let name = format!("{prefix}{folder}{delimiter}");
                    let entry = format!("<BlobPrefix><Name>{}</Name></BlobPrefix>", escaped(&name));
                    entries.insert(name, entry);
                }
                None => {
                    let entry = format!(
                        "<Blob><Name>{}</Name><Properties><Last-Modified>{MODIFIED}</Last-Modified><Etag>{}</Etag>\
                         <Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type>\
                         <BlobType>BlockBlob</BlobType></Properties></Blob>",
                        escaped(key),
                        escaped(&tag(*version)),
                        bytes.len()
                    );
                    entries.insert(key.clone(), entry);
                }
            }
        }
        let entries: String = entries.into_values().collect();
        plain(
            StatusCode::OK,
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{CONTAINER}\">\
             <Prefix>{}</Prefix><Blobs>{entries}</Blobs><NextMarker/></EnumerationResults>",
                escaped(prefix)
            ),
        )
    }
}

const MODIFIED: &str = "Fri, 15 Feb 2013 00:22:39 GMT";

fn tag(version: u64) -> String {
    format!("\"0x8CB{version:012X}\"")
}

fn described(version: u64, mut response: Response<Bytes>) -> Response<Bytes> {
    let headers = response.headers_mut();
    headers.insert("etag", tag(version).parse().expect("it is a header's value"));
    headers.insert("last-modified", MODIFIED.parse().expect("it is a header's value"));
    response
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    plain(
        status,
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ),
    )
}
