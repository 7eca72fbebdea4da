//! A worker of a gateway that reports as the filter does, and whatever else a test wants to be sent. The filter itself is
//! tried in `wasm_host`.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_core::report::{ReportKey, SIGNATURE_HEADER};
use serde_json::{Value, json};

/// A key for reports.
pub const REPORT_KEY: &str = "report-key-00112233445566778899aabb";

/// A worker of a gateway, and the companion that it reports to.
#[derive(Debug)]
pub struct Worker {
    address: SocketAddr,
    /// What it signs with.
    pub key: Option<ReportKey>,
    /// What it reports next, but for the sequence.
    pub report: Value,
}

impl Worker {
    /// A worker whose node runs this configuration, on Kong 3.9.1. From where it is the control plane doesn't answer.
    pub fn new(address: SocketAddr, config_hash: &str) -> Self {
        let report = json!({
            "format": 1, "node": "dp-1", "worker": "00000000000000ff", "sequence": 0, "sent_at_ms": now_ms(),
            "interval_s": 10, "filter_version": "0.1.0", "kong_version": "3.9.1", "config_hash": config_hash,
            "control_plane": {"state": "timed_out", "since_ms": now_ms()}, "of_a_later_version": {"is": "ignored"}
        });
        Self { address, key: ReportKey::new(REPORT_KEY), report }
    }

    /// Sends the next report; the status that it is answered with, and the words.
    ///
    /// # Panics
    /// When nothing is answered.
    pub async fn reports(&mut self) -> (u16, String) {
        let sequence = self.report["sequence"].as_u64().expect("it is a number");
        self.report["sequence"] = json!(sequence + 1);
        self.sends(self.report.to_string()).await
    }

    /// Sends this, signed.
    ///
    /// # Panics
    /// When nothing is answered.
    pub async fn sends(&self, body: String) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().expect("it is valid");
        let mut request = client.post(format!("http://{}/v1/reports", self.address));
        if let Some(key) = &self.key {
            request = request.header(SIGNATURE_HEADER, key.signature(body.as_bytes()));
        }
        let answer = request.body(body).send().await.expect("the companion answers");
        (answer.status().as_u16(), answer.text().await.expect("the answer is text"))
    }
}

/// What this host's clock shows, in milliseconds.
///
/// # Panics
/// When it shows a time before 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis() as u64
}
