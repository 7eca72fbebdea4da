//! What a data plane says of itself on its Status API (KONG.md section 3).

use std::net::SocketAddr;
use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio::time::sleep;

use super::scratch::Scratch;

const ASK_EVERY: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Status {
    configuration_hash: Option<String>,
}

/// Waits until it is ready and runs this configuration. There is no time-out: the caller has one.
///
/// # Errors
/// When its process has ended.
pub(super) async fn ready(scratch: &Scratch, config_hash: ConfigHash) -> Result<(), String> {
    let (client, at, config_hash) = (client(), scratch.status_address(), config_hash.to_string());
    while !(is_ready(&client, at).await && hash(&client, at).await.is_ok_and(|hash| hash == config_hash)) {
        if !scratch.is_running() {
            return Err("Kong was started, and has ended by itself".to_owned());
        }
        sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// In a sentence, what is the matter instead.
pub(super) async fn why_not(at: SocketAddr, config_hash: ConfigHash) -> String {
    let client = client();
    match hash(&client, at).await {
        Ok(hash) if hash == config_hash.to_string() => {
            "Kong runs the configuration, and is not ready (/status/ready)".to_owned()
        }
        Ok(hash) if hash.bytes().all(|digit| digit == b'0') => {
            format!("Kong was started and has no configuration; {config_hash} was to be restored")
        }
        Ok(hash) => format!("Kong runs configuration {hash}, and not {config_hash}"),
        Err(error) => format!("Kong was started, and its Status API at {at} can't be asked: {error}"),
    }
}

// Before Kong 3.3 there is no such path: then the hash says all that there is to know.
async fn is_ready(client: &Client, at: SocketAddr) -> bool {
    let answered = client.get(format!("http://{at}/status/ready")).send().await;
    answered.is_ok_and(|answer| answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND)
}

async fn hash(client: &Client, at: SocketAddr) -> Result<String, String> {
    let asked = async { client.get(format!("http://{at}/status")).send().await?.error_for_status()?.bytes().await };
    let body = asked.await.map_err(|error| error.without_url().to_string())?;
    let status: Status = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    status.configuration_hash.ok_or_else(|| "it tells no configuration_hash".to_owned())
}

fn client() -> Client {
    let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
    client.expect("plain HTTP on this host needs nothing that could be missing")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    const WANTED: &str = "384134637443dc79d772bc1ee8e72d62";

    async fn said_of(body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = Router::new().route("/status", get(move || async move { body }));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let said = why_not(at, WANTED.parse().unwrap()).await;
        serving.abort();
        said
    }

    #[tokio::test]
    async fn what_a_data_plane_runs_instead_is_said() {
        let empty = said_of("{\"configuration_hash\":\"00000000000000000000000000000000\"}").await;
        assert!(empty.contains("has no configuration") && empty.contains(WANTED), "{empty}");
        let other = said_of("{\"configuration_hash\":\"0123456789abcdef0123456789abcdef\"}").await;
        assert!(other.contains("0123456789abcdef0123456789abcdef, and not 3841"), "{other}");
        let loaded = said_of("{\"configuration_hash\":\"384134637443dc79d772bc1ee8e72d62\"}").await;
        assert!(loaded.contains("not ready"), "{loaded}");
        assert!(said_of("{}").await.contains("tells no configuration_hash"));
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_told_from_one_that_is_empty() {
        let at = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let said = why_not(at, WANTED.parse().unwrap()).await;
        assert!(said.contains("can't be asked"), "{said}");
    }
}
