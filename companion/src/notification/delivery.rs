//! One request to a receiver: bounded in time, never redirected, and nothing of its URL in an error or in the log.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lifeboat_core::notification::{SIGNATURE_HEADER, TIMESTAMP_HEADER};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::settings::Unusable;
use crate::settings::notification::may_receive;

/// How long a receiver may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Makes requests to receivers.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    elsewhere: Client,
    this_host: Client,
}

/// There can be no client: the operating system has no authorities that could be trusted.
#[derive(Debug, thiserror::Error)]
#[error("LIFEBOAT_HEARTBEAT_URL, LIFEBOAT_WEBHOOK_URL: there can be no HTTPS client: {0}")]
pub struct NoClient(String);

/// Why a receiver did not take what it was sent. Says nothing of its URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undelivered {
    /// Its settings, as they are now.
    #[error(transparent)]
    Settings(#[from] Unusable),
    /// It answered something else than that it took it.
    #[error("it answered {0}")]
    Answered(StatusCode),
    /// It answered with another address.
    #[error("it answered {0}, and redirects are not followed: set the URL that it redirects to")]
    Redirected(StatusCode),
    /// It did not answer.
    #[error("there was no answer within {} s", LIMIT.as_secs())]
    Silent,
    /// There was no connection.
    #[error("no connection came about ({0}): look at its address, at its certificate, at proxies (HTTPS_PROXY)")]
    Unreachable(&'static str),
    /// The connection ended.
    #[error("the connection ended before the answer")]
    BrokenOff,
}

impl Undelivered {
    /// What kind of failure it is.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Answered(_) => "answered",
            Self::Redirected(_) => "redirected",
            Self::Silent => "silent",
            Self::Unreachable(_) => "unreachable",
            Self::BrokenOff => "broken off",
        }
    }
}

impl Delivery {
    pub(super) fn new() -> Result<Self, NoClient> {
        let built = |builder: ClientBuilder| builder.build().map_err(|error| NoClient(error.to_string()));
        Ok(Self {
            elsewhere: built(client(Reach::Elsewhere))?,
            // What is sent in clear text must not leave this host by way of a proxy.
            this_host: built(client(Reach::ThisHost).no_proxy())?,
        })
    }

    /// Requests a URL.
    pub(super) async fn ping(&self, url: Url) -> Result<(), Undelivered> {
        send(self.client(&url).get(url)).await
    }

    /// Sends a signed message.
    pub(super) async fn post(
        &self,
        url: Url,
        timestamp: String,
        signature: String,
        body: Vec<u8>,
    ) -> Result<(), Undelivered> {
        let request = self.client(&url).post(url).header(CONTENT_TYPE, "application/json");
        send(request.header(TIMESTAMP_HEADER, timestamp).header(SIGNATURE_HEADER, signature).body(body)).await
    }

    fn client(&self, url: &Url) -> &Client {
        if url.scheme() == "http" { &self.this_host } else { &self.elsewhere }
    }
}

fn client(reach: Reach) -> ClientBuilder {
    // Requests are minutes apart, so no connection is kept.
    Client::builder()
        .timeout(LIMIT)
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(reach)
}

// The answer's body is nobody's business here, and may have no end.
async fn send(request: RequestBuilder) -> Result<(), Undelivered> {
    // Whatever level is logged, libraries must not write where to.
    let answer = request.send().with_subscriber(NoSubscriber::default()).await;
    match answer.map(|answer| answer.status()) {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) if status.is_redirection() => Err(Undelivered::Redirected(status)),
        Ok(status) => Err(Undelivered::Answered(status)),
        Err(error) if error.is_timeout() => Err(Undelivered::Silent),
        Err(error) if error.is_connect() => Err(Undelivered::Unreachable(cause(&error))),
        Err(_) => Err(Undelivered::BrokenOff),
    }
}

// The causes' own texts name hosts: only what kind of cause it is.
fn cause(error: &(dyn Error + 'static)) -> &'static str {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.is::<NoAddress>() {
            return "its name stands for no address that a receiver may have";
        }
        if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref::<rustls::Error>() {
            return "its certificate is not accepted";
        }
        match cause.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => return "refused",
            // What it wraps is no source of its own.
            Some(error) => next = error.get_ref().map(|inner| inner as &(dyn Error + 'static)).or(error.source()),
            None => next = cause.source(),
        }
    }
    "its name can't be resolved, or nobody is there"
}

/// Which addresses a name may stand for.
#[derive(Clone, Copy, Debug)]
enum Reach {
    ThisHost,
    Elsewhere,
}

#[derive(Debug, thiserror::Error)]
#[error("no address that a receiver may have")]
struct NoAddress;

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| reach.allows(*address)).collect();
            if allowed.is_empty() {
                return Err(NoAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl Reach {
    fn allows(self, address: SocketAddr) -> bool {
        match self {
            Self::ThisHost => address.ip().is_loopback(),
            Self::Elsewhere => may_receive(address.ip()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A resolver answers for an address in figures as for a name that stands for it.
    async fn resolved(reach: Reach, name: &str) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        reach.resolve(name.parse()?).await.map(Iterator::collect)
    }

    #[tokio::test]
    async fn a_name_that_stands_for_an_address_without_a_receiver_is_not_connected_to() {
        for name in ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::ffff:169.254.169.254"]
        {
            let error = resolved(Reach::Elsewhere, name).await.expect_err(name);
            assert!(error.is::<NoAddress>(), "{name}: {error}");
        }
        assert!(resolved(Reach::Elsewhere, "192.0.2.1").await.is_ok());
        assert!(resolved(Reach::Elsewhere, "10.0.0.9").await.is_ok(), "receivers may be in a private network");
    }

    #[tokio::test]
    async fn what_is_sent_in_clear_text_stays_on_this_host() {
        assert!(resolved(Reach::ThisHost, "127.0.0.1").await.is_ok());
        let error = resolved(Reach::ThisHost, "10.0.0.9").await.unwrap_err();
        assert!(error.is::<NoAddress>(), "{error}");
    }
}
