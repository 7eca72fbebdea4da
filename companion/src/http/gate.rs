//! The gate in front of the page and its data. It refuses requests under a name that is not this host's (DNS rebinding) and
//! requests that a page of another site makes, and adds the headers that tell browsers what they may do with an answer.
//! Requests of probes, Prometheus and the filter do not pass here.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

use super::Program;

/// What a browser may do with an answer that says nothing else: nothing.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");

/// What every answer says.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// What may also be opened by a link on another site, since it is shown to a person and to no program.
const PAGES: [&str; 3] = ["/", "/history", "/compare"];

/// Answers a request only if it may be answered, and adds the headers.
pub(super) async fn gate(State(program): State<Arc<Program>>, request: Request, next: Next) -> Response {
    let refused = refusal(request.uri(), request.headers(), program.page.hosts());
    let mut response = match refused {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };

    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.extend(HEADERS);
    response
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It is for a host that this isn't.
    Host,
    /// A page of another site makes it.
    OtherSite,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "lifeboat answers this only under an IP address, as localhost, or under the names in LIFEBOAT_HTTP_HOSTS \
                 (--http-hosts): add the name that you asked for to it\n",
            ),
            Self::OtherSite => {
                (StatusCode::FORBIDDEN, "lifeboat answers this to no page of another site: open it by its own address\n")
            }
        }
        .into_response()
    }
}

fn refusal(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Option<Refusal> {
    // The request's target counts where it names a host, too.
    let asked = headers.get_all(header::HOST).into_iter().map(authority);
    let mut asked = asked.chain(uri.authority().cloned().map(Some));
    if asked.any(|authority| !authority.is_some_and(|authority| is_ours(&authority, hosts))) {
        return Some(Refusal::Host);
    }

    (is_of_another_site(headers, uri.path()) || is_of_another_origin(headers)).then_some(Refusal::OtherSite)
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

/// A name can be made to lead here by whoever owns it, an address can't.
fn is_ours(asked: &Authority, hosts: &[String]) -> bool {
    let host = asked.host();
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    address.parse::<IpAddr>().is_ok() || name == "localhost" || hosts.contains(&name)
}

/// Browsers say it to a host that they trust, such as this machine's own.
fn is_of_another_site(headers: &HeaderMap, path: &str) -> bool {
    let said = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let is_link = said("sec-fetch-mode") == Some(b"navigate") && said("sec-fetch-dest") == Some(b"document");
    match said("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => false,
        Some(_) => !(is_link && PAGES.contains(&path)),
    }
}

/// Browsers say this everywhere, but not with every request.
fn is_of_another_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    origin.is_none() || origin != host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, given: &[(&'static str, &str)]) -> Option<Refusal> {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        given.iter().map(header).for_each(|(name, value)| {
            headers.append(name, value);
        });
        refusal(&path.parse().unwrap(), &headers, &["lifeboat.example.com".to_owned()])
    }

    #[test]
    fn addresses_localhost_and_the_names_that_were_set_pass_and_no_other_name() {
        for host in [
            "127.0.0.1:8115",
            "10.0.0.5",
            "[::1]:8115",
            "[2001:db8::1]",
            "localhost:8115",
            "LOCALHOST",
            "lifeboat.example.com:8115",
            "Lifeboat.Example.com.",
        ] {
            assert_eq!(refused("/", &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example:8115", "127.0.0.1.evil.example", "localhost.evil.example", "lifeboat", "", "a b"] {
            assert_eq!(refused("/status", &[("host", host)]), Some(Refusal::Host), "{host}");
        }
        // Nobody but a program of old leaves it out.
        assert_eq!(refused("/", &[]), None);
    }

    #[test]
    fn a_second_host_and_one_in_the_target_count_too() {
        assert_eq!(refused("/", &[("host", "127.0.0.1"), ("host", "evil.example")]), Some(Refusal::Host));
        assert_eq!(refused("http://evil.example/", &[("host", "127.0.0.1")]), Some(Refusal::Host));
    }

    #[test]
    fn a_page_of_another_site_gets_nothing_and_a_link_on_it_only_opens_the_page() {
        let host = ("host", "127.0.0.1:8115");
        for site in ["cross-site", "same-site", "anything"] {
            for path in ["/", "/history", "/compare", "/status", "/page/page.js"] {
                let fetch =
                    [host, ("sec-fetch-site", site), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
                assert_eq!(refused(path, &fetch), Some(Refusal::OtherSite), "{path}");
                let frame =
                    [host, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
                assert_eq!(refused(path, &frame), Some(Refusal::OtherSite), "{path}");
                let link =
                    [host, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
                let expected = (!PAGES.contains(&path)).then_some(Refusal::OtherSite);
                assert_eq!(refused(path, &link), expected, "{path}");
            }
        }
        for site in ["same-origin", "none"] {
            assert_eq!(refused("/status", &[host, ("sec-fetch-site", site)]), None);
        }
    }

    #[test]
    fn another_origin_gets_nothing_where_browsers_say_no_more_than_that() {
        let host = ("host", "10.0.0.5:8115");
        assert_eq!(refused("/status", &[host, ("origin", "http://10.0.0.5:8115")]), None);
        for origin in ["http://evil.example", "null", "http://10.0.0.5:8116", ""] {
            assert_eq!(refused("/status", &[host, ("origin", origin)]), Some(Refusal::OtherSite), "{origin}");
        }
    }
}
