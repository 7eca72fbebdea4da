//! What the program says of itself over HTTP: metrics, health, status, and a page for people. Plain HTTP without a password, so by default only
//! this host reaches it; nothing that is said here is a secret. What is said is in `observation` and `metrics`.

mod answers;
mod connections;
mod gate;
mod node_page;
mod page;
mod status;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;
use tracing::{info, warn};

pub use page::Page;
pub use status::Status;

use crate::bind::{BindError, listen};
use crate::drill::DrillMetrics;
use crate::metrics::Metrics;
use crate::observation::Observation;
use crate::relay::RelayView;
use crate::reports::Reports;
use crate::settings::{Chosen, HttpSettings};

/// The longest body, in bytes, that a route takes.
const LONGEST_BODY: usize = 64 << 10;

const SETTING: &str = "LIFEBOAT_HTTP_LISTEN";
const HEALTH_SETTING: &str = "LIFEBOAT_HEALTH_LISTEN";

/// What there is to tell besides what the parts of the program tell themselves.
#[derive(Clone, Debug)]
pub struct Program {
    /// What the parts record.
    pub observation: Observation,
    /// The same as metrics, with what else is counted.
    pub metrics: Metrics,
    /// The store, for people.
    pub store: String,
    /// The control plane's address.
    pub control_plane: String,
    /// What the filter in gateways reports.
    pub reports: Reports,
    /// The relay's nodes, if there is a relay.
    pub relay: Option<RelayView>,
    /// The drills of this exporter.
    pub drills: DrillMetrics,
    /// What the page is made of besides.
    pub page: Page,
}

/// An HTTP server that is bound to its address.
#[derive(Debug)]
pub struct Http {
    setting: &'static str,
    listener: TcpListener,
    address: SocketAddr,
}

impl Http {
    /// Binds the address, if there is to be one.
    ///
    /// # Errors
    /// When an address that somebody has chosen can't be had. Without the default one, which another Lifeboat on this
    /// host may have, the program does all else, and says so.
    pub async fn bind(settings: HttpSettings) -> Result<Option<Self>, BindError> {
        let HttpSettings::Listen { address, chosen } = settings else { return Ok(None) };
        match (listen(SETTING, address).await, chosen) {
            (Ok((listener, address)), _) => Ok(Some(Self { setting: SETTING, listener, address })),
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

    /// Binds an address on which health is answered, and nothing else.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn bind_health(address: SocketAddr) -> Result<Self, BindError> {
        let (listener, address) = listen(HEALTH_SETTING, address).await?;
        Ok(Self { setting: HEALTH_SETTING, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped. `more` are routes of other parts of the program, which are not on the address for
    /// health alone.
    pub async fn run(self, program: Program, more: Router) {
        let Self { setting, listener, address } = self;
        let metrics = program.metrics.http();
        let router = if setting == HEALTH_SETTING {
            info!("health alone is on http://{address}");
            answers::health_routes(program)
        } else {
            info!("metrics, health and status are on http://{address}");
            answers::routes(program).merge(more).layer(DefaultBodyLimit::max(LONGEST_BODY))
        };

        connections::serve(setting, listener, router, metrics).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[tokio::test]
    async fn the_default_port_is_done_without_where_another_lifeboat_has_it_and_a_chosen_one_is_not() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let bound = |chosen| Http::bind(HttpSettings::Listen { address, chosen });
        assert!(bound(Chosen::ByDefault).await.unwrap().is_none());
        let refused = bound(Chosen::OnPurpose).await.unwrap_err().to_string();
        assert!(refused.contains("LIFEBOAT_HTTP_LISTEN") && refused.contains("choose another port"), "{refused}");
        assert!(Http::bind(HttpSettings::Off).await.unwrap().is_none());
        drop(taken);
        assert_eq!(bound(Chosen::OnPurpose).await.unwrap().unwrap().address(), address);
    }
}
