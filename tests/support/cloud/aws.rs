//! Who hands out AWS credentials: the security token service, the container's endpoint, the instance metadata service.
//! What they hand out the store knows from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use lifeboat_fakes::store::Keyring;
use serde_json::json;

use super::http::{HttpServer, form, header, json as answer_json, path, plain};

/// How long what they hand out lives.
pub const LIVES: Duration = Duration::from_secs(1000);
/// The role that can be had.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/lifeboat";
/// What the container's endpoint wants to see.
pub const AUTHORIZATION: &str = "wonderful-container-token";
/// The token with which the security token service is content.
pub const WEB_IDENTITY: &str = "wonderful-web-identity";

/// Makes credentials, one after the other.
#[derive(Clone)]
pub struct Mint {
    keys: Keyring,
    made: Arc<AtomicU32>,
}

struct Coin {
    id: String,
    secret: String,
    token: String,
    expiration: String,
}

impl Mint {
    /// For a store that knows these keys.
    pub fn new(keys: &Keyring) -> Self {
        Self { keys: keys.clone(), made: Arc::default() }
    }

    /// How many were handed out.
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::SeqCst)
    }

    /// The name of the one that was handed out as the `number`th, from 1.
    pub fn id(number: u32) -> String {
        format!("ASIALIFEBOAT{number}")
    }

    fn coin(&self) -> Coin {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let (id, secret) = (Self::id(number), format!("wonderful-secret-{number}"));
        let token = format!("wonderful/session+token={number}");
        self.keys.add(&id, &secret, Some(&token));
        Coin { id, secret, token, expiration: humantime::format_rfc3339_seconds(SystemTime::now() + LIVES).to_string() }
    }

    fn as_json(&self) -> Response<Bytes> {
        let coin = self.coin();
        answer_json(
            StatusCode::OK,
            &json!({
                "Code": "Success", "LastUpdated": "2026-11-21T10:00:00Z", "Type": "AWS-HMAC",
                "AccessKeyId": coin.id, "SecretAccessKey": coin.secret, "Token": coin.token,
                "Expiration": coin.expiration,
            }),
        )
    }
}

/// Starts a security token service:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>. Its answer has the shape of
/// that page's sample.
pub async fn security_token_service(mint: Mint) -> HttpServer {
    HttpServer::start(move |request| {
        let error = |code: &str, message: &str| {
            let body = format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
            );
            plain(StatusCode::FORBIDDEN, body)
        };
        // A token in a query gets into logs.
        let Some(form) = form(request).filter(|_| request.uri().query().is_none()) else {
            return error("MissingAction", "there is no form");
        };
        let of = |name: &str| form.get(name).map_or("", String::as_str);
        if (of("Action"), of("Version")) != ("AssumeRoleWithWebIdentity", "2011-06-15") {
            return error("InvalidAction", "this service knows one action");
        }
        if of("RoleArn") != ROLE || of("RoleSessionName").is_empty() {
            return error("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        }
        if of("WebIdentityToken") != WEB_IDENTITY {
            // The token is repeated, as some services do.
            return error("InvalidIdentityToken", &format!("{} could not be validated", of("WebIdentityToken")));
        }
        let coin = mint.coin();
        plain(
            StatusCode::OK,
            format!(
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
             <AssumeRoleWithWebIdentityResult>\n<SubjectFromWebIdentityToken>sub</SubjectFromWebIdentityToken>\n\
             <Audience>sts.amazonaws.com</Audience>\n<AssumedRoleUser>\n<Arn>{ROLE}</Arn>\n\
             <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:lifeboat</AssumedRoleId>\n</AssumedRoleUser>\n<Credentials>\n\
             <SessionToken>{}</SessionToken>\n<SecretAccessKey>{}</SecretAccessKey>\n<Expiration>{}</Expiration>\n\
             <AccessKeyId>{}</AccessKeyId>\n</Credentials>\n<Provider>www.example.com</Provider>\n\
             </AssumeRoleWithWebIdentityResult>\n<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\n\
             </AssumeRoleWithWebIdentityResponse>",
                coin.token, coin.secret, coin.expiration, coin.id
            ),
        )
    })
    .await
}

/// Starts a container's endpoint: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>.
pub async fn container_endpoint(mint: Mint) -> HttpServer {
    HttpServer::start(move |request| {
        if header(request, "authorization") != AUTHORIZATION {
            let body = json!({ "code": "AccessDenied", "message": "The authorization token is not valid" });
            return answer_json(StatusCode::UNAUTHORIZED, &body);
        }
        if path(request) == "/v1/credentials" { mint.as_json() } else { plain(StatusCode::NOT_FOUND, "") }
    })
    .await
}

/// Starts an instance metadata service that knows version 2 only, on an instance with the role `lifeboat`:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>.
pub async fn instance_metadata(mint: Mint) -> HttpServer {
    const TOKEN: &str = "wonderful-metadata-token";
    HttpServer::start(move |request| {
        let path = path(request);
        if (request.method(), path.as_str()) == (&Method::PUT, "/latest/api/token") {
            let lives = header(request, "x-aws-ec2-metadata-token-ttl-seconds").parse::<u32>();
            return match lives {
                Ok(1..=21600) => plain(StatusCode::OK, TOKEN),
                _ => plain(StatusCode::BAD_REQUEST, ""),
            };
        }
        if header(request, "x-aws-ec2-metadata-token") != TOKEN {
            return plain(StatusCode::UNAUTHORIZED, "");
        }
        match path.as_str() {
            "/latest/meta-data/iam/security-credentials/" => plain(StatusCode::OK, "lifeboat"),
            "/latest/meta-data/iam/security-credentials/lifeboat" => mint.as_json(),
            _ => plain(StatusCode::NOT_FOUND, ""),
        }
    })
    .await
}
