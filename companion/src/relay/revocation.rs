//! Asks whether a node's certificate was revoked (`cluster_ocsp`), as Kong's control plane does. With `on`, a node is
//! accepted only if it is known that its certificate was not revoked; with `optional`, a node is also accepted if the
//! responder does not answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use lifeboat_core::digest::Sha256Digest;
use lifeboat_link::tls::{Accepts, Answer, NoQuestion, NotAnswered, Question, ServerTls};
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use reqwest::{Client, header};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;

use crate::settings::Revocation;

/// How long a responder may take. Kong allows 5 s (KONG.md section 1), and after 5 s a node gives up its handshake.
const LIMIT: Duration = Duration::from_secs(4);
/// How long an answer is used at most. It is kept at all because thousands of nodes connect at once after a restart.
const BELIEVED: Duration = Duration::from_secs(300);
/// For how long a responder that does not answer is not asked again.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// How many questions are under way at once.
const AT_ONCE: usize = 64;
/// For how many certificates the answer is remembered.
const REMEMBERED: usize = 10_000;
/// An answer is some kilobytes.
const LARGEST: usize = 1 << 20;

/// Asks, and remembers answers for a while.
pub(super) struct Revocations {
    mode: Revocation,
    client: Option<Client>,
    clock: Clock,
    at_once: Semaphore,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    good_until: HashMap<Sha256Digest, SystemTime>,
    silent_until: HashMap<String, (SystemTime, Problem)>,
}

/// Why it is not known that a certificate was not revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("its certificate was revoked")]
    Revoked,
    #[error(transparent)]
    NoQuestion(#[from] NoQuestion),
    #[error("{0}")]
    Disproved(NotAnswered),
    #[error("the OCSP responder {0} can't be asked: {1}")]
    Unreachable(String, String),
}

impl Problem {
    // Kong takes any answer that proves nothing for a revocation, even one that says "try later" (KONG.md section 1).
    fn is_answer(&self) -> bool {
        matches!(self, Self::Revoked | Self::Disproved(_))
    }
}

/// What becomes of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It comes in.
    Accepted,
    /// It comes in, though nothing is known.
    Unknown(Problem),
    /// It stays outside.
    Refused(Problem),
}

impl Revocations {
    pub(super) fn new(mode: Revocation, clock: Clock) -> Self {
        let client = || Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::limited(2)).build().ok();
        let client = if mode == Revocation::Off { None } else { client() };
        Self { mode, client, clock, at_once: Semaphore::new(AT_ONCE), known: Mutex::default() }
    }

    /// Whether the node that showed this chain comes in. The chain must have been verified.
    pub(super) async fn judge(&self, chain: &[CertificateDer<'_>], tls: &ServerTls) -> Verdict {
        let Some(client) = &self.client else { return Verdict::Accepted };
        match (self.ask(client, chain, tls).await, self.mode) {
            (Ok(()), _) => Verdict::Accepted,
            (Err(problem), Revocation::Optional) if !problem.is_answer() => Verdict::Unknown(problem),
            (Err(problem), _) => Verdict::Refused(problem),
        }
    }

    async fn ask(&self, client: &Client, chain: &[CertificateDer<'_>], tls: &ServerTls) -> Result<(), Problem> {
        let now = self.clock.wall().to_system();
        // In `shared` mode nothing is asked.
        let Accepts::Authorities(..) = tls.side().accepts else { return Ok(()) };
        let question = tls.question(chain, now)?;
        if let Some(known) = self.known(&question, now) {
            return known;
        }

        let _permit = self.at_once.acquire().await.expect("the semaphore is never closed");
        let answer = match fetch(client, &question).await {
            Ok(answer) => answer,
            Err(why) => {
                let problem = Problem::Unreachable(question.responder.clone(), why);
                self.remember(|known| {
                    known.silent_until.insert(question.responder.clone(), (now + LEFT_ALONE, problem.clone()));
                });
                return Err(problem);
            }
        };

        match question.read(&answer, now) {
            Ok(Answer::Good { until }) => {
                let until = until.unwrap_or(now).min(now + BELIEVED);
                self.remember(|known| {
                    known.good_until.insert(question.certificate, until);
                });
                Ok(())
            }
            Ok(Answer::Revoked) => Err(Problem::Revoked),
            Err(problem) => Err(Problem::Disproved(problem)),
        }
    }

    fn known(&self, question: &Question, now: SystemTime) -> Option<Result<(), Problem>> {
        let known = self.known.locked();
        if known.good_until.get(&question.certificate).is_some_and(|until| now < *until) {
            return Some(Ok(()));
        }
        let (until, problem) = known.silent_until.get(&question.responder)?;
        (now < *until).then(|| Err(problem.clone()))
    }

    fn remember(&self, what: impl FnOnce(&mut Known)) {
        let mut known = self.known.locked();
        if known.good_until.len() + known.silent_until.len() >= REMEMBERED {
            *known = Known::default();
        }
        what(&mut known);
    }
}

async fn fetch(client: &Client, question: &Question) -> Result<Vec<u8>, String> {
    let request = client.post(&question.responder).header(header::CONTENT_TYPE, "application/ocsp-request");
    let response = request.body(question.request.clone()).send().await;
    let mut response = response.map_err(|error| error.without_url().to_string())?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("it answered HTTP {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err("its answer is too long".to_owned());
        }
    }
    Ok(body)
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revocations({:?})", self.mode)
    }
}
