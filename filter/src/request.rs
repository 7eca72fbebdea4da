//! A request, which the filter lets pass. Not here: anything that could cost a request time.

use proxy_wasm::traits::{Context, HttpContext};

/// Does nothing: every default of the SDK's is "go on".
pub(crate) struct PassingRequest;

impl Context for PassingRequest {}
impl HttpContext for PassingRequest {}
