//! What the program says over HTTP, read as curl and Prometheus read it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::Client;

use super::program::Running;

/// Nothing that is waited for takes nearly as long.
const LONG: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// What is answered at this address to this path.
///
/// # Panics
/// When nothing is.
pub async fn page(address: SocketAddr, path: &str) -> Page {
    accepting(address, path, "*/*").await
}

/// The same, for a reader of this media type.
///
/// # Panics
/// When nothing is answered.
pub async fn accepting(address: SocketAddr, path: &str, accept: &str) -> Page {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("it is valid");
    let url = format!("http://{address}{path}");
    let answer = client.get(&url).header("accept", accept).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
    let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (status, content_type) = (answer.status().as_u16(), content_type.to_owned());
    Page { status, content_type, body: answer.text().await.expect("the answer is text") }
}

/// Asks for a page until it is as it should be.
///
/// # Panics
/// When it isn't for half a minute: with what it was last.
pub async fn page_until(address: SocketAddr, path: &str, is_right: impl Fn(&Page) -> bool) -> Page {
    let began = Instant::now();
    loop {
        let found = page(address, path).await;
        if is_right(&found) {
            return found;
        }
        assert!(began.elapsed() < LONG, "{path} is not as it should be:\n{}", found.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where a started program answers.
///
/// # Panics
/// When it ends without saying so.
pub async fn http_address(running: &Running) -> SocketAddr {
    let line = running.says("metrics, health and status are on http://").await;
    let address = line.split("http://").nth(1).map(str::trim);
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {line:?}"))
}

impl Page {
    /// The number of the one series of `/metrics` that begins so, name and labels.
    ///
    /// # Panics
    /// When there is none, or several.
    pub fn number(&self, series: &str) -> f64 {
        let numbers: Vec<&str> =
            self.series().filter(|(found, _)| *found == series).map(|(_, number)| number).collect();
        let [number] = numbers[..] else { panic!("{series} stands there {} times:\n{}", numbers.len(), self.body) };
        number.parse().unwrap_or_else(|_| panic!("{series} is {number:?}"))
    }

    /// The sum of all series of `/metrics` with this name and this label.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let of_name = |found: &str| found.split('{').next() == Some(name) && found.contains(label);
        self.series().filter(|(found, _)| of_name(found)).filter_map(|(_, number)| number.parse::<f64>().ok()).sum()
    }

    /// All series with their numbers.
    pub fn series(&self) -> impl Iterator<Item = (&str, &str)> {
        self.body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '))
    }
}
