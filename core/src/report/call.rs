//! The calls that the filter makes and how they end, in the words of Proxy-Wasm: pseudo-headers, and a failed call
//! that has no `:status` (KONG.md section 4, point 2). Not here: making them (`filter/`), deciding on them (`Reporter`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{REPORT_PATH, SIGNATURE_HEADER, Upstream};

/// What a call is for. At most one of each kind is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `GET /status` of Kong's Status API.
    Status,
    /// Anything that the control plane's cluster listener answers in HTTP.
    Probe,
    /// `POST /v1/reports` of the companion.
    Report,
}

/// A call that the host is to dispatch from its root context's tick. Its outcome goes to `Reporter::on_dispatched`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it is for.
    pub kind: CallKind,
    /// Where it goes.
    pub upstream: Upstream,
    /// What it carries, if anything.
    pub body: Option<Vec<u8>>,
    /// What the body is signed with, if it is: the value of [`SIGNATURE_HEADER`].
    pub signature: Option<String>,
    /// How long connecting, sending and each read may take.
    pub timeout: Duration,
}

impl Call {
    /// All headers, those first that Kong and Envoy need to make the call at all.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let (method, path) = match self.kind {
            CallKind::Status => ("GET", "/status"),
            CallKind::Probe => ("GET", "/"),
            CallKind::Report => ("POST", REPORT_PATH),
        };
        let mut headers = vec![
            (":method", method),
            (":path", path),
            (":authority", self.upstream.as_str()),
            ("user-agent", concat!("lifeboat-filter/", env!("CARGO_PKG_VERSION"))),
            ("accept", "application/json"),
        ];

        if self.body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        if let Some(signature) = &self.signature {
            headers.push((SIGNATURE_HEADER, signature));
        }
        headers
    }
}

/// How a call ended, as the host tells it: raw bytes, since what answers may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// `:status`. Absent if the call failed.
    pub status: Option<Vec<u8>>,
    /// `:dispatch_status`: Kong's reason why a call failed.
    pub dispatch_status: Option<Vec<u8>>,
    /// The `Server` header.
    pub server: Option<Vec<u8>>,
    /// `x-envoy-upstream-service-time`: how long Envoy waited for an upstream. Absent if it answered by itself.
    pub upstream_time: Option<Vec<u8>>,
    /// What came with it.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerBody {
    /// All of it.
    Whole(Vec<u8>),
    /// It is so many bytes long that it wasn't read.
    TooLarge(usize),
}

impl Default for AnswerBody {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

impl Answer {
    /// The longest body that is read, in bytes. `/status` has a few thousand. A longer one isn't read in part but not
    /// at all: ngx_wasm_module (Apache-2.0, `ngx_proxy_wasm_hfuncs_get_buffer`) copies a body that arrived in several
    /// pieces past the end of a buffer that is too small for it.
    pub const MAX_BODY: usize = 256 * 1024;

    /// The HTTP status that came from `upstream`, or why none did.
    pub(super) fn http_status(&self, upstream: &Upstream) -> Result<u16, CallFailure> {
        let Some(status) = &self.status else {
            return Err(CallFailure::from_dispatch_status(self.dispatch_status.as_deref()));
        };
        let number = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok());
        let number = number.ok_or(CallFailure::Unreadable)?;
        match self.made_by_envoy(upstream, number) {
            Some(failure) => Err(failure),
            None => Ok(number),
        }
    }

    /// Where a call fails, Envoy makes an answer up: 503 or 504 with a reason in its body (seen on 1.40: the same words
    /// for a refused connection and for a failed TLS handshake; others tell them apart). Only to calls to a cluster, so that what Kong is answered by an Envoy before the control plane remains an answer.
    fn made_by_envoy(&self, upstream: &Upstream, status: u16) -> Option<CallFailure> {
        let made_up = upstream.is_cluster() && matches!(status, 503 | 504) && self.upstream_time.is_none();
        made_up.then(|| match &self.body {
            AnswerBody::Whole(body) => CallFailure::from_envoys_words(&String::from_utf8_lossy(body)),
            AnswerBody::TooLarge(_) => CallFailure::Other,
        })
    }
}

/// Why a call brought nothing. What a later version adds is read as [`CallFailure::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum CallFailure {
    /// Nothing came in time.
    #[error("it did not answer in time")]
    Timeout,
    /// The connection was refused or reset: the host doesn't tell which.
    #[error("the connection was refused or reset")]
    BrokenConnection,
    /// The host wants `IP:port`.
    #[error("its address could not be resolved")]
    ResolverFailure,
    /// Something answers there, but not with a certificate that the gateway trusts: in Envoy, where a cluster has TLS.
    #[error("the TLS handshake failed")]
    TlsHandshakeFailure,
    /// Somebody accepted the connection, and ended it or sent something else than HTTP.
    #[error("the connection was accepted and no HTTP answer came")]
    Unanswered,
    /// The host refused to dispatch the call.
    #[error("the gateway did not send the call")]
    NotSent,
    /// The host never called back.
    #[error("the gateway never said how the call ended")]
    NoAnswer,
    /// An HTTP status outside 200 to 299.
    #[error("it refused the call")]
    BadStatus,
    /// More than [`Answer::MAX_BODY`] bytes.
    #[error("its answer is too large")]
    TooLarge,
    /// Not the answer that was asked for.
    #[error("its answer could not be read")]
    Unreadable,
    /// The host gave another reason, or none.
    #[error("the call failed and the gateway did not say why")]
    #[serde(other)]
    Other,
}

impl CallFailure {
    /// As it stands in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::BrokenConnection => "broken_connection",
            Self::ResolverFailure => "resolver_failure",
            Self::TlsHandshakeFailure => "tls_handshake_failure",
            Self::Unanswered => "unanswered",
            Self::NotSent => "not_sent",
            Self::NoAnswer => "no_answer",
            Self::BadStatus => "bad_status",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::Other => "other",
        }
    }

    fn from_dispatch_status(reason: Option<&[u8]>) -> Self {
        match reason {
            Some(b"timeout") => Self::Timeout,
            Some(b"broken connection") => Self::BrokenConnection,
            Some(b"resolver failure") => Self::ResolverFailure,
            Some(b"tls handshake failure") => Self::TlsHandshakeFailure,
            // What came is not HTTP (ngx_wasm_module, Apache-2.0, t/03-proxy_wasm/hfuncs/130-proxy_dispatch_http.t).
            Some(b"reader failure") => Self::Unanswered,
            _ => Self::Other,
        }
    }

    fn from_envoys_words(body: &str) -> Self {
        let says = |words: &str| body.contains(words);

        if says("TLS_error") || says("CERTIFICATE_VERIFY_FAILED") {
            Self::TlsHandshakeFailure
        } else if says("timeout") {
            Self::Timeout
        } else if says("DNS") || says("no healthy upstream") {
            Self::ResolverFailure
        } else if says("connection termination") {
            // The cluster's host has accepted, and closed before it answered.
            Self::Unanswered
        } else if says("connect") || says("reset") {
            Self::BrokenConnection
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Upstream {
        Upstream::parse("10.0.0.9:8005").unwrap()
    }

    fn failed(reason: &[u8]) -> Result<u16, CallFailure> {
        let dispatch_status = Some(reason.to_vec());
        Answer { dispatch_status, ..Answer::default() }.http_status(&address())
    }

    #[test]
    fn each_of_kongs_reasons_has_its_class() {
        assert_eq!(failed(b"timeout"), Err(CallFailure::Timeout));
        assert_eq!(failed(b"broken connection"), Err(CallFailure::BrokenConnection));
        assert_eq!(failed(b"resolver failure"), Err(CallFailure::ResolverFailure));
        assert_eq!(failed(b"tls handshake failure"), Err(CallFailure::TlsHandshakeFailure));
        assert_eq!(failed(b"reader failure"), Err(CallFailure::Unanswered));
        assert_eq!(failed(b"\xff"), Err(CallFailure::Other));
        assert_eq!(Answer::default().http_status(&address()), Err(CallFailure::Other));
    }

    #[test]
    fn a_status_that_is_no_number_is_unreadable() {
        for (status, expected) in [
            (&b"200"[..], Ok(200)),
            (b"", Err(CallFailure::Unreadable)),
            (b"99999", Err(CallFailure::Unreadable)),
            (b"\xff", Err(CallFailure::Unreadable)),
        ] {
            let answer = Answer { status: Some(status.to_vec()), ..Answer::default() };
            assert_eq!(answer.http_status(&address()), expected);
        }
    }

    #[test]
    fn what_envoy_makes_up_is_no_answer_and_what_an_upstream_says_is_one() {
        let cluster = Upstream::parse("control_plane").unwrap();
        let answer = |body: &str| Answer {
            status: Some(b"503".to_vec()),
            body: AnswerBody::Whole(body.into()),
            ..Answer::default()
        };
        let before_headers = "upstream connect error or disconnect/reset before headers. reset reason: ";
        for (body, failure) in [
            (format!("{before_headers}remote connection failure"), CallFailure::BrokenConnection),
            (format!("{before_headers}connection timeout"), CallFailure::Timeout),
            (format!("{before_headers}connection termination"), CallFailure::Unanswered),
            (
                format!(
                    "{before_headers}remote connection failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end"
                ),
                CallFailure::TlsHandshakeFailure,
            ),
            ("no healthy upstream".to_owned(), CallFailure::ResolverFailure),
            ("of another kind".to_owned(), CallFailure::Other),
        ] {
            assert_eq!(answer(&body).http_status(&cluster), Err(failure), "{body}");
            assert_eq!(answer(&body).http_status(&address()), Ok(503), "{body}");
            let passed_on = Answer { upstream_time: Some(b"3".to_vec()), ..answer(&body) };
            assert_eq!(passed_on.http_status(&cluster), Ok(503), "{body}");
        }
    }

    #[test]
    fn every_call_has_what_kong_demands_of_it() {
        for kind in [CallKind::Status, CallKind::Probe, CallKind::Report] {
            let signature = Some("hmac-sha256=00".to_owned());
            let call = Call { kind, upstream: address(), body: None, signature, timeout: Duration::from_secs(1) };
            for required in [":method", ":path", ":authority"] {
                assert!(call.headers().iter().any(|(name, value)| *name == required && !value.is_empty()));
            }
            assert!(call.headers().iter().all(|(name, _)| *name != ":scheme"), "TLS fails on a cluster's certificate");
            assert!(call.headers().contains(&(SIGNATURE_HEADER, "hmac-sha256=00")));
        }
    }
}
