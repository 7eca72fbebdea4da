//! A store behind a bad network, and a bad store. [`Faulty`] goes between Lifeboat and any other store, real or
//! [`MemoryS3`], and plays the faults of a [`Weather`]: those that a network has, those that a store has, and those that
//! leave it open whether something was done.

mod bodies;
mod fault;
mod memory_s3;
mod weather;

use std::sync::Arc;

use lifeboat::settings::{Source, StoreSettings};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};

pub use fault::Fault;
pub use memory_s3::{MemoryS3, Permission};
pub use weather::Weather;

/// The storage URL and the bucket's part of it.
pub const PLACE: &str = "s3://kong/backups";
/// Where Lifeboat's keys begin in the store.
pub const PREFIX: &str = "kong/backups";

/// Settings of a store at an address at which nobody is: for one that is opened over other connections.
pub fn settings() -> StoreSettings {
    settings_at("http://store.example.com:9000")
}

/// Settings of a store at this endpoint.
///
/// # Panics
/// When it is none.
pub fn settings_at(endpoint: &str) -> StoreSettings {
    let variables = [
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", PLACE),
        ("AWS_CONFIG_STORAGE_ENDPOINT", endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIDLIFEBOAT"),
        ("AWS_SECRET_ACCESS_KEY", "wonderful-storage-secret"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    StoreSettings::read_alone(&Source::from_environment(variables)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Connections that go wrong as the weather wants.
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn HttpConnector>,
    weather: Weather,
}

impl Faulty {
    /// The connections of `inner`, in this weather.
    pub fn over(inner: Arc<dyn HttpConnector>, weather: Weather) -> Self {
        Self { inner, weather }
    }
}

impl HttpConnector for Faulty {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client { inner: self.inner.connect(options)?, weather: self.weather.clone() }))
    }
}

#[derive(Debug)]
struct Client {
    inner: HttpClient,
    weather: Weather,
}

#[async_trait::async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.weather.next(&request) {
            Some(fault) => fault.play(&self.inner, request).await,
            None => self.inner.execute(request).await,
        }
    }
}
