//! `lifeboat healthcheck`: how the `lifeboat run` of the same settings is, for whoever watches a container in which there is
//! no other program. What is well is decided by that process; here it is only asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{anyhow, bail};
use http::StatusCode;
use tokio::time::timeout;

use super::asked_page::{PageUrl, get};
use super::configuration::printable;
use super::{Failure, stdout};
use crate::cli::{Healthcheck, Part};
use crate::settings::{HealthListen, HttpSettings, Source};

/// The most that is read of an answer, in bytes: Docker keeps 4 KiB of what is said.
const LONGEST_ANSWER: usize = 4 << 10;

impl Part {
    fn path(self) -> &'static str {
        match self {
            Self::Process => "/healthz",
            Self::Relay => "/readyz",
            Self::Export => "/readyz/export",
            Self::Current => "/readyz/current",
        }
    }
}

/// Asks, and fails with the reason if all isn't well. No other setting than the address is read, so that whatever is wrong
/// with the others doesn't hide how the process is.
pub async fn healthcheck(source: &Source, asked: &Healthcheck) -> Result<(), Failure> {
    let address = address(source)?;
    let answer = timeout(asked.timeout, ask(address, asked.part.path())).await;
    let (status, body) = answer.unwrap_or_else(|_| Err(silent(address, asked.timeout)))?;

    if !is_ours(status, &body) {
        let path = asked.part.path();
        return Err(anyhow!(
            "http://{address}{path} answers {}, and not as lifeboat does: something else listens there. Set \
             LIFEBOAT_HTTP_LISTEN as for lifeboat run",
            status.as_u16()
        )
        .into());
    }

    let lines: Vec<String> = body.lines().map(printable).collect();
    if status != StatusCode::OK {
        let why = lines.join("; ");
        return Err(anyhow!("http://{address}{} answers {}: {why}", asked.part.path(), status.as_u16()).into());
    }
    Ok(stdout::line(&lines.join("\n")).map_err(anyhow::Error::from)?)
}

// Docker knows 0 and 1 only: no answer to this question is wrong usage.
fn address(source: &Source) -> anyhow::Result<SocketAddr> {
    if let Some(problem) = source.unreadable_settings_file() {
        bail!("{problem}. The address may stand there");
    }
    if let HealthListen(Some(address)) = HealthListen::read_alone(source)?
        && address.port() != 0
    {
        return Ok(reachable(address));
    }
    pages_address(source)
}

/// Where the `lifeboat run` of the same settings serves its pages.
///
/// # Errors
/// When the settings name no address that can be asked.
pub(super) fn pages_address(source: &Source) -> anyhow::Result<SocketAddr> {
    if let Some(problem) = source.unreadable_settings_file() {
        bail!("{problem}. The address may stand there");
    }
    match HttpSettings::read_alone(source)? {
        HttpSettings::Off => bail!(
            "LIFEBOAT_HTTP_LISTEN is off, so there is nothing to ask. Set it to an address, such as 127.0.0.1:8115, \
             or do without this check"
        ),
        HttpSettings::Listen { address, .. } if address.port() == 0 => bail!(
            "LIFEBOAT_HTTP_LISTEN: {address} lets the system choose the port, and only lifeboat's log says which it \
             is: choose one, such as 127.0.0.1:8115"
        ),
        HttpSettings::Listen { address, .. } => Ok(reachable(address)),
    }
}

// What listens on all addresses is asked on this host's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let url = PageUrl { authority: address.to_string(), path: path.to_owned() };
    let nobody = format!(
        "nothing listens on {address} (LIFEBOAT_HTTP_LISTEN, LIFEBOAT_HEALTH_LISTEN): lifeboat doesn't run here, or with \
         another address"
    );
    let (status, body) = get(&url, LONGEST_ANSWER, &nobody).await?;
    // The status says how it is, with or without words.
    let body = body.map(|body| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default();
    Ok((status, body))
}

// Another server's page is nothing that anybody wants to read here, and its 200 means nothing.
fn is_ours(status: StatusCode, body: &str) -> bool {
    match status {
        StatusCode::OK => body.starts_with("ok") || body.starts_with("ready"),
        StatusCode::SERVICE_UNAVAILABLE => body.starts_with("not ready"),
        _ => false,
    }
}

fn silent(address: SocketAddr, patience: Duration) -> anyhow::Error {
    let patience = humantime::format_duration(patience);
    anyhow!("http://{address} did not answer within {patience}: lifeboat hangs, or this host has too much to do")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(listen: &str) -> Result<SocketAddr, String> {
        let source = Source::from_environment([("LIFEBOAT_HTTP_LISTEN".to_owned(), listen.to_owned())]);
        address(&source).map_err(|error| error.to_string())
    }

    #[test]
    fn another_servers_answer_is_none_whatever_it_says() {
        assert!(is_ours(StatusCode::OK, "ok\n") && is_ours(StatusCode::OK, "ready: there is no relay here"));
        assert!(is_ours(StatusCode::SERVICE_UNAVAILABLE, "not ready: no snapshot"));
        for (status, body) in
            [(200, "<html>ok</html>"), (404, "ok"), (503, "no healthy upstream"), (200, ""), (401, "not ready")]
        {
            assert!(!is_ours(StatusCode::from_u16(status).unwrap(), body), "{status} {body}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(address_of("").unwrap().to_string(), "127.0.0.1:8115");
        assert_eq!(address_of("0.0.0.0:8115").unwrap().to_string(), "127.0.0.1:8115");
        assert_eq!(address_of("[::]:99").unwrap().to_string(), "[::1]:99");
        assert_eq!(address_of("192.0.2.7:99").unwrap().to_string(), "192.0.2.7:99");
    }

    #[test]
    fn where_health_has_an_address_of_its_own_it_is_asked_there() {
        let listen = [("LIFEBOAT_HTTP_LISTEN", "off"), ("LIFEBOAT_HEALTH_LISTEN", "0.0.0.0:8116")];
        let source = Source::from_environment(listen.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(address(&source).unwrap().to_string(), "127.0.0.1:8116");
    }

    #[test]
    fn where_nobody_can_be_asked_the_cure_is_said() {
        for nowhere in ["off", "127.0.0.1:0", "localhost"] {
            let refused = address_of(nowhere).unwrap_err();
            assert!(refused.contains("LIFEBOAT_HTTP_LISTEN") && refused.contains("127.0.0.1:8115"), "{refused}");
        }
    }
}
