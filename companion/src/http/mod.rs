//! What the program says of itself over HTTP: metrics, health, status. Plain HTTP without a password, so by default only
//! this host reaches it; nothing that is said here is a secret. What is said is in `metrics`.

mod answers;
mod connections;
mod status;

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tracing::{info, warn};

pub use status::Status;

use crate::bind::{BindError, listen};
use crate::metrics::Metrics;
use crate::settings::{Chosen, HttpSettings};

const SETTING: &str = "LIFEBOAT_HTTP_LISTEN";

/// What there is to tell besides what the parts of the program tell themselves.
#[derive(Clone, Debug)]
pub struct Program {
    /// What the parts tell.
    pub metrics: Metrics,
    /// The store, for people.
    pub store: String,
    /// The control plane's address.
    pub control_plane: String,
}

/// An HTTP server that is bound to its address.
#[derive(Debug)]
pub struct Http {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Http {
    /// Binds the address, if there is to be one. `more` are routes of other parts of the program.
    ///
    /// # Errors
    /// When an address that somebody has chosen can't be had. Without the default one, which another Lifeboat on this
    /// host may have, the program does all else, and says so.
    pub async fn bind(settings: HttpSettings, program: Program, more: Router) -> Result<Option<Self>, BindError> {
        let HttpSettings::Listen { address, chosen } = settings else { return Ok(None) };
        match (listen(SETTING, address).await, chosen) {
            (Ok((listener, address)), _) => {
                Ok(Some(Self { listener, address, router: answers::routes(program).merge(more) }))
            }
            (Err(error), Chosen::OnPurpose) => Err(error),
            (Err(error), Chosen::ByDefault) => {
                warn!(
                    "there are no metrics and no status of this lifeboat: {error}. Set {SETTING} to an address of its own, \
                     or to off"
                );
                Ok(None)
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped.
    pub async fn run(self) {
        info!("metrics, health and status are on http://{}", self.address);
        connections::serve(self.listener, self.router).await;
    }
}
