//! The HTTP client below every cloud's store: one place where each request and each answer passes.

use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};

/// Makes the HTTP clients of a store, for objects and for credentials alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire {}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        ReqwestConnector::default().connect(options)
    }
}
