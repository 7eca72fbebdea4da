//! The Admin API of a node without a database, as the Kong Ingress Controller feeds it: what it runs, and since when that
//! is something else. When it is given something is decided in `one_shot`; the Admin API of a control plane is in `admin`.

use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::backoff::Backoff;
use lifeboat_core::declarative::Refused;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::Received;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::SourceKind;
use lifeboat_core::outage::OutageLog;
use lifeboat_runtime::clock::Clock;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tracing::{debug, error, info, warn};

use super::{Found, found};
use crate::admin_client::{AdminClient, location};
use crate::export::Newest;
use crate::settings::AdminAccess;

/// How often a node is asked whether it runs something else: as often as the Ingress Controller pushes at most.
const EVERY: Duration = Duration::from_secs(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Kong answers `GET /config` only when all of it is ready: 50,000 services take it tens of seconds.
const SILENT_FOR: Duration = Duration::from_secs(120);
/// For what is not the configuration: some kilobytes, of which the plugins' list is the most.
const SMALL: usize = 4 << 20;
/// How often a configuration may change while it is read.
const TRIES: u32 = 5;

/// A node without a database.
#[derive(Clone, Debug)]
pub struct Dbless {
    url: Url,
    client: AdminClient,
    max_config: usize,
    clock: Clock,
}

/// How a node shows what is wrong with a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    /// By place; the only form before Kong 3.2, which takes what asks for the other for a part of the configuration.
    Nested,
    /// By entity.
    Flattened,
}

/// What a node answers to a configuration.
pub(crate) struct Answered {
    /// The status.
    pub status: StatusCode,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The body of an error, or as much as an error has.
    pub body: Vec<u8>,
}

/// Why a node does not give its configuration.
#[derive(Debug, thiserror::Error)]
pub enum DblessError {
    /// It can't be reached, or doesn't answer as it should.
    #[error("the Admin API at {url} {reason}")]
    Http {
        /// What was asked.
        url: String,
        /// What became of it.
        reason: String,
    },
    /// Nothing listens there.
    #[error("nothing listens at {url}: the node isn't started, or its Admin API (admin_listen) is elsewhere")]
    NobodyListens {
        /// What was asked.
        url: String,
    },
    /// It has a database, or it is a node of a cluster.
    #[error("the node at {0} has a database: its configuration comes from there (to export it: --from cp)")]
    HasDatabase(String),
    /// It has been given nothing yet.
    #[error("the node at {0} has no configuration yet: nothing to keep")]
    Empty(String),
    /// It runs another Kong than the backup is for.
    #[error("the node at {url} runs Kong {found}, and KONG_VERSION says {expected}")]
    OtherVersion {
        /// The node.
        url: String,
        /// Its version.
        found: KongVersion,
        /// The version that was asked for.
        expected: KongVersion,
    },
    /// It never stood still.
    #[error("the configuration of the node at {0} changed again and again while it was read: try again")]
    Restless(String),
    /// What it says can't be kept.
    #[error("the configuration of the node at {url} can't be kept: {refused}")]
    Refused {
        /// The node.
        url: String,
        /// Why not.
        refused: Refused,
    },
}

/// What `GET /` tells.
#[derive(Deserialize)]
struct Root {
    version: String,
    configuration: RootConfiguration,
}

#[derive(Deserialize)]
struct RootConfiguration {
    database: String,
}

#[derive(Deserialize)]
struct Status {
    configuration_hash: Option<ConfigHash>,
}

#[derive(Deserialize)]
struct Config {
    config: String,
}

impl Dbless {
    /// The node whose Admin API is at `url`, got into by `access`; configurations of more than `max_config` bytes are refused.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(url: Url, access: &AdminAccess, max_config: usize, clock: Clock) -> Result<Self, DblessError> {
        let builder = Client::builder().connect_timeout(CONNECT_WITHIN).read_timeout(SILENT_FOR);
        let client = AdminClient::new(access, builder).map_err(|error| failed(&url, &error, ""))?;
        Ok(Self { url, client, max_config, clock })
    }

    /// Which Kong it is.
    ///
    /// # Errors
    /// Also when it isn't `expected`, if something is, or has a database.
    pub async fn version(&self, expected: Option<KongVersion>) -> Result<KongVersion, DblessError> {
        let (url, root): (Url, Root) = self.get("", SMALL).await?;
        if root.configuration.database != "off" {
            return Err(DblessError::HasDatabase(self.url.to_string()));
        }
        let found: KongVersion = root.version.parse().map_err(|error| http(&url, format!("says that {error}")))?;
        match expected {
            Some(expected) if expected != found => {
                Err(DblessError::OtherVersion { url: self.url.to_string(), found, expected })
            }
            _ => Ok(found),
        }
    }

    /// What it runs, and by which hash it knows that.
    ///
    /// # Errors
    /// It has none yet, or none that can be kept.
    pub async fn configuration(&self, version: KongVersion) -> Result<(ConfigHash, Found), DblessError> {
        for _ in 0..TRIES {
            let before = self.hash().await?.ok_or_else(|| DblessError::Empty(self.url.to_string()))?;

            // YAML has more bytes than what becomes of it, and as a JSON string more again.
            let limit = self.max_config.saturating_mul(4).saturating_add(SMALL);
            let (_, Config { config }) = self.get("config", limit).await?;
            // A node reads its own rows one by one: halfway through it may have been given others.
            if self.hash().await? != Some(before) {
                continue;
            }
            let (from, now) = (SourceKind::DblessNode, self.clock.wall());
            let found = found(config.into(), version, self.max_config, from, now).await;
            let found = found.map_err(|refused| DblessError::Refused { url: self.url.to_string(), refused })?;
            return Ok((before, found));
        }
        Err(DblessError::Restless(self.url.to_string()))
    }

    /// Puts each configuration that it comes to run, and that `judge` allows, into `newest`, until it is dropped.
    pub async fn follow(
        self,
        version: KongVersion,
        newest: Newest,
        judge: impl AsyncFn(Found) -> Result<Received, String>,
    ) {
        let mut backoff = Backoff::new(EVERY, Duration::from_secs(60));
        let (mut known, outage, refusals) = (None, OutageLog::default(), OutageLog::default());
        // What it runs now, and why that is not exported.
        let mut refused: Option<(ConfigHash, String)> = None;
        loop {
            let wait = match self.news(version, known).await {
                Ok(news) => {
                    backoff.reset();
                    if let Some(lasted) = outage.works(self.clock.now()) {
                        info!("the node at {} can be asked again, after {lasted}", self.url);
                    }
                    if let Some((hash, found)) = news {
                        known = Some(hash);
                        let bytes = found.received.configuration.json().len();
                        info!(%hash, bytes, "the node at {} runs another configuration", self.url);
                        match judge(found).await {
                            Ok(received) => {
                                refused = None;
                                newest.put(received);
                            }
                            Err(why) => refused = Some((hash, why)),
                        }
                    }
                    self.say_what_is_refused(refused.as_ref(), &refusals);
                    EVERY
                }
                Err(error) => {
                    let wait = backoff.next_wait(rand::random());
                    let (attempt, seconds) = (backoff.failures(), wait.as_secs_f64());
                    // Each kind of failure names the cure.
                    match outage.failed(&format!("{:?}", std::mem::discriminant(&error)), self.clock.now()) {
                        Some(lasted) => warn!(
                            attempt,
                            "{error}{lasted}. What is in the store stays; trying again in {seconds:.0} s"
                        ),
                        None => debug!(attempt, "{error}; trying again in {seconds:.0} s"),
                    }
                    wait
                }
            };

            self.clock.reach(self.clock.now() + wait).await;
        }
    }

    fn say_what_is_refused(&self, refused: Option<&(ConfigHash, String)>, log: &OutageLog) {
        let now = self.clock.now();
        match refused {
            None => {
                if let Some(lasted) = log.works(now) {
                    info!("the node at {} runs a configuration that can be exported again, after {lasted}", self.url);
                }
            }
            Some((hash, why)) => {
                if let Some(lasted) = log.failed(&hash.to_string(), now) {
                    error!(
                        %hash,
                        "the configuration that the node at {} runs is not exported{lasted}: other nodes of its version would \
                         refuse it, or take it for something else than it is meant to be: {why}. What is in the store stays. \
                         Correct what is named, or start the command again with --accept \"WHY IT IS RIGHT\"",
                        self.url
                    );
                }
            }
        }
    }

    async fn news(
        &self,
        version: KongVersion,
        known: Option<ConfigHash>,
    ) -> Result<Option<(ConfigHash, Found)>, DblessError> {
        if known.is_some() && self.hash().await? == known {
            return Ok(None);
        }
        // What answers there now may be another node, after an upgrade.
        self.version(Some(version)).await?;
        self.configuration(version).await.map(Some)
    }

    /// Where its Admin API is.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Which configuration it runs, by its own name for it; none if it has none.
    pub(crate) async fn hash(&self) -> Result<Option<ConfigHash>, DblessError> {
        let (url, status): (Url, Status) = self.get("status", SMALL).await?;
        let hash = status.configuration_hash;
        let missing = || http(&url, "tells no configuration_hash: is it the Admin API of a node without a database?");
        hash.map(|hash| Some(hash).filter(|hash| !hash.is_empty())).ok_or_else(missing)
    }

    /// Gives it a configuration, whatever it runs, and tells what it answers: the beginning of it, if it is an error. What it
    /// answers otherwise holds secrets.
    pub(crate) async fn post_configuration(&self, json: Bytes, errors: Errors) -> Result<Answered, DblessError> {
        let mut url = self.at("config");
        url.set_query(Some(match errors {
            Errors::Nested => "check_hash=1",
            Errors::Flattened => "check_hash=1&flatten_errors=1",
        }));

        let request = self.request(Method::POST, &url)?.header(CONTENT_TYPE, "application/json").body(json);
        let mut response = request.send().await.map_err(|error| self.failed(&url, &error))?;
        let (status, headers) = (response.status(), response.headers());
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());

        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&url, &error))? {
            if !status.is_success() && body.len() < SMALL {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Answered { status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str, limit: usize) -> Result<(Url, T), DblessError> {
        let url = self.at(path);
        let response = self.request(Method::GET, &url)?.send().await.map_err(|error| self.failed(&url, &error))?;
        let (status, location) = (response.status(), location(&response));
        let body = self.read(response, limit, &url).await?;
        if !status.is_success() {
            return Err(http(&url, self.client.refusal(status, location.as_deref(), &body)));
        }

        let parsed = serde_json::from_slice(&body);
        // Where the mistake is, is enough: what stands there may be secret.
        let parsed = parsed.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            http(&url, format!("does not answer as Kong's does (at line {line}, column {column} of the answer)"))
        })?;
        Ok((url, parsed))
    }

    fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, DblessError> {
        self.client.request(method, url.clone()).map_err(|reason| http(url, format!("is not asked: {reason}")))
    }

    async fn read(&self, mut response: Response, limit: usize, url: &Url) -> Result<Vec<u8>, DblessError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(url, &error))? {
            if body.len() + chunk.len() > limit {
                return Err(http(url, format!("answers with more than {limit} bytes: raise LIFEBOAT_MAX_CONFIG")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, url: &Url, error: &reqwest::Error) -> DblessError {
        failed(url, error, self.client.cure(error))
    }
}

fn http(url: &Url, reason: impl Into<String>) -> DblessError {
    DblessError::Http { url: url.to_string(), reason: reason.into() }
}

fn failed(url: &Url, error: &reqwest::Error, cure: &str) -> DblessError {
    let mut text = "does not answer".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
        if inner.downcast_ref::<std::io::Error>().is_some_and(refused) {
            return DblessError::NobodyListens { url: url.to_string() };
        }
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    http(url, format!("{text}{cure}"))
}
