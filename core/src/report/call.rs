//! The calls that the filter makes and how they end, in the words of Proxy-Wasm: pseudo-headers, and a failed call
//! that has no `:status` (KONG.md section 4, point 2). Not here: making them (`filter/`), deciding on them (`Reporter`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{REPORT_PATH, Upstream};

/// What a call is for. At most one of each kind is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `GET /status` of Kong's Status API.
    Status,
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
    /// How long connecting, sending and each read may take.
    pub timeout: Duration,
}

impl Call {
    /// All headers, those first that Kong and Envoy need to make the call at all.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let (method, path) = match self.kind {
            CallKind::Status => ("GET", "/status"),
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

    /// The HTTP status, or why there is none.
    pub(super) fn http_status(&self) -> Result<u16, CallFailure> {
        let Some(status) = &self.status else {
            return Err(CallFailure::from_dispatch_status(self.dispatch_status.as_deref()));
        };
        let number = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok());
        number.ok_or(CallFailure::Unreadable)
    }
}

/// Why a call brought nothing. What a later version adds is read as [`CallFailure::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum CallFailure {
    /// Nothing came in time.
    #[error("it did not answer in time")]
    Timeout,
    /// The connection was refused, or ended early.
    #[error("the connection was refused or broke")]
    BrokenConnection,
    /// The host wants `IP:port`.
    #[error("its address could not be resolved")]
    ResolverFailure,
    /// Something answers there, but not with a certificate that the gateway trusts.
    #[error("the TLS handshake failed")]
    TlsHandshakeFailure,
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
    fn from_dispatch_status(reason: Option<&[u8]>) -> Self {
        match reason {
            Some(b"timeout") => Self::Timeout,
            Some(b"broken connection") => Self::BrokenConnection,
            Some(b"resolver failure") => Self::ResolverFailure,
            Some(b"tls handshake failure") => Self::TlsHandshakeFailure,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &[u8]) -> Result<u16, CallFailure> {
        let dispatch_status = Some(reason.to_vec());
        Answer { dispatch_status, ..Answer::default() }.http_status()
    }

    #[test]
    fn each_of_kongs_reasons_has_its_class() {
        assert_eq!(failed(b"timeout"), Err(CallFailure::Timeout));
        assert_eq!(failed(b"broken connection"), Err(CallFailure::BrokenConnection));
        assert_eq!(failed(b"resolver failure"), Err(CallFailure::ResolverFailure));
        assert_eq!(failed(b"tls handshake failure"), Err(CallFailure::TlsHandshakeFailure));
        assert_eq!(failed(b"\xff"), Err(CallFailure::Other));
        assert_eq!(Answer::default().http_status(), Err(CallFailure::Other));
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
            assert_eq!(answer.http_status(), expected);
        }
    }

    #[test]
    fn every_call_has_what_kong_demands_of_it() {
        for kind in [CallKind::Status, CallKind::Report] {
            let settings =
                super::super::FilterSettings::parse(br#"{"companion":"1.2.3.4:5","status_api":"1.2.3.4:6"}"#);
            let upstream = settings.unwrap().companion;
            let call = Call { kind, upstream, body: None, timeout: Duration::from_secs(1) };
            for required in [":method", ":path", ":authority"] {
                assert!(call.headers().iter().any(|(name, value)| *name == required && !value.is_empty()));
            }
        }
    }
}
