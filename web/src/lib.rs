//! What the page's worker calls: reading configurations and comparing them. Only this crate knows that it runs in a browser; what
//! it calls is `comparison.rs`, which is tested without one.

mod comparison;

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

pub use comparison::Side;

/// A configuration to compare.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Configuration(Side);

#[wasm_bindgen]
impl Configuration {
    /// A snapshot as lifeboat gives it to the page: its secrets are tags.
    ///
    /// # Errors
    /// It is no configuration.
    pub fn of_snapshot(json: Vec<u8>) -> Result<Configuration, JsError> {
        Side::snapshot(json).map(Self).map_err(|problem| JsError::new(&problem))
    }

    /// A file as `lifeboat diff file:PATH` reads it, for nodes of this version of Kong.
    ///
    /// # Errors
    /// What is wrong with it, for the person who chose it.
    pub fn of_file(bytes: Vec<u8>, version: &str) -> Result<Configuration, JsError> {
        Side::file(bytes, version).map(Self).map_err(|problem| JsError::new(&problem))
    }
}

/// What has to be done to `before` to make it `after`, as JSON.
#[wasm_bindgen]
pub fn compare(before: &Configuration, after: &Configuration) -> String {
    comparison::compare(&before.0, &after.0)
}
