//! The simulated store as one client reaches it: each request takes its time there and back, and goes on by itself once it
//! has left, whatever becomes of its sender. What it does there is in `site`.

use std::future::pending;
use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::{Error, ObjectMeta, Result};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::clients::ClientId;
use super::faults::{Answer, Course};
use super::objects::Stored;
use super::site::{Operation, Refusal, Reply, Site};

/// How long the connections below a real store wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the store's clock showed at the world's begin, in seconds since 1970.
pub(crate) const BEGIN: u64 = 1_800_000_000;

/// One client's line to the store.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) site: Site,
    pub(crate) client: ClientId,
}

impl Line {
    pub(crate) async fn request(self, operation: Operation) -> Result<Reply> {
        let departure = self.site.depart(self.client, &operation);
        if departure.is_last_wish {
            return pending().await;
        }
        let key = operation.key().to_owned();
        let (answer, answered) = oneshot::channel();
        tokio::spawn(self.carry(operation, departure.course, answer));
        match timeout(PATIENCE, answered).await {
            Ok(Ok(result)) => result.map_err(|refusal| error(refusal, key)),
            Ok(Err(_)) | Err(_) => Err(error(Refusal::Broken, key)),
        }
    }

    async fn carry(self, operation: Operation, course: Course, answer: oneshot::Sender<Result<Reply, Refusal>>) {
        let Self { site, client } = self;
        let mut result = Err(Refusal::Broken);
        if let Some(delay) = course.to_store {
            sleep(delay).await;
            result = site.effect(client, &operation, &course);
            match course.again {
                // Whoever repeats a request on the way passes on the second answer: its condition no longer holds.
                Some(later) if operation.is_conditional() => {
                    sleep(later).await;
                    result = site.effect(client, &operation, &course);
                }
                Some(later) => drop(tokio::spawn(async move {
                    sleep(later).await;
                    // Nobody is there to be told.
                    let _ = site.effect(client, &operation, &course);
                })),
                None => {}
            }
        }
        sleep(course.to_client).await;
        // A sender that has died or given up needs no answer.
        match course.answer {
            Answer::True => drop(answer.send(result)),
            Answer::Failure => drop(answer.send(Err(Refusal::Broken))),
            Answer::None => pending().await,
        }
    }
}

pub(crate) fn meta(key: &str, stored: &Stored) -> ObjectMeta {
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN) + stored.written;
    ObjectMeta {
        location: Path::from(key),
        last_modified: written.into(),
        size: stored.bytes.len() as u64,
        e_tag: stored.tag.clone(),
        version: None,
    }
}

/// As the product's own connections would have it.
pub(crate) fn error(refusal: Refusal, path: String) -> Error {
    let source: Box<dyn std::error::Error + Send + Sync> = format!("{refusal:?}").into();
    match refusal {
        Refusal::NotFound => Error::NotFound { path, source },
        Refusal::AlreadyExists => Error::AlreadyExists { path, source },
        Refusal::Precondition => Error::Precondition { path, source },
        Refusal::NotImplemented => Error::NotImplemented { operation: path, implementer: "simulated store".to_owned() },
        Refusal::Forbidden => Error::PermissionDenied { path, source },
        Refusal::Broken => Error::Generic { store: "simulated store", source },
    }
}
