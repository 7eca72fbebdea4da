//! Giving a configuration to a node without a database, through its Admin API, while it has none. Whoever feeds it as a
//! rule, the Ingress Controller say, is its control plane: it goes first, and what it gives is never overwritten.

mod refusal;

use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::backoff::Backoff;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::{Rejected, Verified};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;
use reqwest::{StatusCode, Url};

use crate::config_source::{Dbless, DblessError, Errors};
use crate::settings::AdminAccess;

/// How often it is asked whether it has been given something.
const EVERY: Duration = Duration::from_secs(1);
/// How often a node that is busy is asked to take a configuration.
const TRIES: u32 = 5;
/// How long a busy node is waited for at most between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long it may take a node that has taken a configuration to say so.
const SAYS_SO_WITHIN: Duration = Duration::from_secs(30);

/// A node without a database.
#[derive(Clone, Debug)]
pub struct DblessNode {
    api: Dbless,
    clock: Clock,
}

/// What became of giving it a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It runs it, under this name.
    Now(ConfigHash),
    /// It was given this by somebody else meanwhile, and that stays.
    BySomebodyElse(ConfigHash),
}

/// Why a node wasn't given a configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its Admin API fails.
    #[error(transparent)]
    Api(#[from] DblessError),
    /// The payload doesn't expand to what its manifest promises.
    #[error("the configuration can't be given to the node: {0}")]
    Payload(Rejected),
    /// 413.
    #[error("the node at {url} takes no configuration of {bytes} bytes: {why}")]
    TooLarge {
        /// The node.
        url: Url,
        /// The size that was refused.
        bytes: usize,
        /// What it says, and what to raise.
        why: String,
    },
    /// It doesn't take the configuration.
    #[error("the node at {url} does not take the configuration ({status}): {why}")]
    Refused {
        /// The node.
        url: Url,
        /// What it answered.
        status: StatusCode,
        /// What it says is wrong, entity by entity.
        why: String,
    },
    /// It is loading something else all the time.
    #[error("the node at {0} was busy with another configuration each time: try again")]
    Busy(Url),
    /// It said yes and has nothing.
    #[error("the node at {0} has taken the configuration, and still says that it has none: look at its log")]
    StillEmpty(Url),
}

impl DblessNode {
    /// The node whose Admin API is at `url`, got into by `access`; of what it answers, at most what a configuration of `max_config` bytes needs is
    /// read.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(url: Url, access: &AdminAccess, max_config: usize, clock: Clock) -> Result<Self, DblessError> {
        Ok(Self { api: Dbless::new(url, access, max_config, clock)?, clock })
    }

    /// Where its Admin API is.
    pub fn url(&self) -> &Url {
        self.api.url()
    }

    /// Which Kong it is. A node that answers, and not yet as it should, is waited for, for `patience`; where nobody listens,
    /// that is said at once.
    ///
    /// # Errors
    /// Also when it isn't `expected`, if something is, or has a database.
    pub async fn version(&self, expected: Option<KongVersion>, patience: Duration) -> Result<KongVersion, DblessError> {
        let _progress = step(format_args!("waiting for the node at {} to be given a configuration", self.url()));
        let until = self.clock.now() + patience;
        loop {
            match self.api.version(expected).await {
                Err(DblessError::Http { .. }) if self.clock.now() < until => {
                    self.clock.reach(self.clock.now() + EVERY).await;
                }
                answer => return answer,
            }
        }
    }

    /// What it runs, by its own name for it; none if it has no configuration.
    ///
    /// # Errors
    /// Its Admin API fails.
    pub async fn runs(&self) -> Result<Option<ConfigHash>, DblessError> {
        self.api.hash().await
    }

    /// Waits for whoever feeds it as a rule, for `patience`, and gives what it runs then; none if it still has nothing.
    ///
    /// # Errors
    /// Its Admin API fails.
    pub async fn runs_within(&self, patience: Duration) -> Result<Option<ConfigHash>, DblessError> {
        let until = self.clock.now() + patience;
        loop {
            let runs = self.runs().await?;
            if runs.is_some() || self.clock.now() >= until {
                return Ok(runs);
            }
            self.clock.reach((self.clock.now() + EVERY).min(until)).await;
        }
    }

    /// Gives it a configuration, if it has none at this moment. Kong has no way to say so in one step: what somebody else
    /// gives it between the question and the answer is replaced, and so nobody else may be about to.
    ///
    /// # Errors
    /// It doesn't take it.
    pub async fn load(&self, verified: Verified) -> Result<Loaded, LoadError> {
        let _progress = step(format_args!("giving a configuration to the node at {}", self.url()));
        let json: Bytes = computed(move || verified.config_json()).await.map_err(LoadError::Payload)?.into();
        let mut backoff = Backoff::new(EVERY, LONGEST_WAIT);

        for _ in 0..TRIES {
            if let Some(hash) = self.runs().await? {
                return Ok(Loaded::BySomebodyElse(hash));
            }
            let answered = self.api.post_configuration(json.clone(), Errors::Nested).await?;
            match answered.status {
                // It has it already, says Kong; by whom, nobody knows.
                StatusCode::NOT_MODIFIED => return self.says_so().await,
                status if status.is_success() => return self.says_so().await,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    let wait = answered.retry_after.unwrap_or_else(|| backoff.next_wait(rand::random()));
                    self.clock.reach(self.clock.now() + wait.min(LONGEST_WAIT)).await;
                }
                StatusCode::PAYLOAD_TOO_LARGE => {
                    let (url, bytes) = (self.url().clone(), json.len());
                    return Err(LoadError::TooLarge { url, bytes, why: refusal::too_large(&answered.body, bytes) });
                }
                status => {
                    let why = self.why(json, status, &answered.body).await;
                    return Err(LoadError::Refused { url: self.url().clone(), status, why });
                }
            }
        }
        Err(LoadError::Busy(self.url().clone()))
    }

    async fn says_so(&self) -> Result<Loaded, LoadError> {
        let runs = self.runs_within(SAYS_SO_WITHIN).await?;
        runs.map(Loaded::Now).ok_or_else(|| LoadError::StillEmpty(self.url().clone()))
    }

    // Entity by entity, which not every version tells without being asked to.
    async fn why(&self, json: Bytes, status: StatusCode, body: &[u8]) -> String {
        if status == StatusCode::BAD_REQUEST && !refusal::is_flattened(body) {
            match self.api.post_configuration(json, Errors::Flattened).await {
                Ok(again) if refusal::is_flattened(&again.body) => return refusal::described(&again.body),
                _ => {}
            }
        }
        refusal::described(body)
    }
}
