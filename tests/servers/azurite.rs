//! Azurite: Microsoft's own emulator of Azure Blob Storage, which checks signatures and conditions.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::process::Command;

use super::installed::{Server, installed};

/// The account that every Azurite has, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "kong-backups";

/// The server, with one container.
pub(crate) struct Azurite {
    endpoint: String,
    _server: Server,
}

impl Azurite {
    pub(crate) async fn start() -> Self {
        let mut command = Command::new(installed("node_modules/.bin/azurite-blob"));
        command.args(["--blobHost", "127.0.0.1", "--blobPort", "0"]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        let server = Server::start(command, "successfully listens on ").await;
        let address = server.greeting.split("successfully listens on ").nth(1).expect("the address follows").trim();
        let endpoint = endpoint_at(address);
        create_container(&endpoint).await;
        Self { endpoint, _server: server }
    }

    /// The settings with which the account's key gets in.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        settings_with_the_key(&self.endpoint)
    }

    /// The same with another key.
    pub(crate) fn settings_with_a_wrong_key(&self) -> Vec<(String, String)> {
        let mut settings = place(&self.endpoint);
        settings.push(("AZURE_STORAGE_KEY".to_owned(), STANDARD.encode([7; 64])));
        settings
    }

    /// The settings with which a shared access signature gets in that allows these letters (`racwdl`).
    pub(crate) fn settings_with_a_shared_access_signature(&self, permissions: &str) -> Vec<(String, String)> {
        let mut settings = place(&self.endpoint);
        settings.push(("AZURE_STORAGE_SAS_TOKEN".to_owned(), account_signature(permissions)));
        settings
    }
}

/// The account's endpoint at a server with this address.
pub(crate) fn endpoint_at(address: &str) -> String {
    format!("{address}/{ACCOUNT}")
}

/// The settings with which the account's key gets in at this endpoint.
pub(crate) fn settings_with_the_key(endpoint: &str) -> Vec<(String, String)> {
    let mut settings = place(endpoint);
    settings.push(("AZURE_STORAGE_KEY".to_owned(), KEY.to_owned()));
    settings
}

fn place(endpoint: &str) -> Vec<(String, String)> {
    let storage = format!("azure://{ACCOUNT}/{CONTAINER}/backups/edge");
    [("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", storage), ("AZURE_STORAGE_ENDPOINT", endpoint.to_owned())]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

/// Creates the container.
///
/// # Panics
/// When that is refused.
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-container, signed with Shared Key: twelve lines for
// headers, none of which this request has, then its own headers and its resource.
pub(crate) async fn create_container(endpoint: &str) {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let resource = format!("/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container");
    let signed = format!("PUT{}x-ms-date:{date}\nx-ms-version:2021-12-02\n{resource}", "\n".repeat(12));
    let request = reqwest::Client::new()
        .put(format!("{endpoint}/{CONTAINER}?restype=container"))
        .header("x-ms-date", &date)
        .header("x-ms-version", "2021-12-02")
        .header("content-length", "0")
        .header("authorization", format!("SharedKey {ACCOUNT}:{}", signature(&signed)));
    let answer = request.send().await.expect("azurite answers");
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
}

// https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas, version 2020-12-06 and later.
fn account_signature(permissions: &str) -> String {
    let (version, expiry) = ("2021-12-02", "2099-01-01T00:00:00Z");
    let signed = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\nhttps,http\n{version}\n\n");
    let sig: String = form_urlencoded::byte_serialize(signature(&signed).as_bytes()).collect();
    let expiry: String = form_urlencoded::byte_serialize(expiry.as_bytes()).collect();
    format!("sv={version}&ss=b&srt=sco&sp={permissions}&se={expiry}&spr=https,http&sig={sig}")
}

fn signature(signed: &str) -> String {
    let key = STANDARD.decode(KEY).expect("the published key is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length will do");
    mac.update(signed.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
