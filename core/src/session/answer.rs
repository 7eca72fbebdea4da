//! What a control plane's answer means, for every part that asks one: the relay, the exporter, `import` and `exec`. A
//! control plane that refuses this node, or our own certificate, is there and has decided. Everything else counts as an
//! outage, whatever it looks like (KONG.md section 1, "What a control plane's refusals look like"). When it is dialled
//! again is in [`reconnect`](super::reconnect).

use std::fmt;
use std::time::Duration;

use super::own_certificate::CertificateRefusal;
use crate::frame::{CloseCode, Frame};

/// A link that ends within this time after the node's basic_info means a refusal; later, an accident.
pub const REFUSAL_WINDOW: Duration = Duration::from_secs(3);
/// How long a control plane may take to answer a forwarded ping before it counts as gone.
pub const PONG_LIMIT: Duration = Duration::from_secs(10);

/// Why a connection to the control plane did not become a link, as far as the socket shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nobody answers, TLS fails, or what answers speaks no HTTP.
    Unreachable,
    /// The TLS handshake succeeded, then the connection ended without an HTTP answer, or with an alert about our
    /// certificate. In TLS 1.3 a client can't tell the two from each other by their order.
    EndedWithoutAnswer,
    /// HTTP, and no WebSocket.
    Answered(HttpAnswer),
}

/// The parts of an HTTP answer that decide what it means. Displays as the cause, in a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Its status; never 101.
    pub status: u16,
    /// What its body is about.
    pub body: AnswerBody,
    /// How long it asks clients to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
}

/// What an HTTP answer's body is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// The client's TLS certificate, as nginx writes it: "The SSL certificate error", "No required SSL certificate was sent".
    Certificate,
    /// Anything else, or nothing.
    Else,
}

/// What a failed attempt to link means. Made by
/// [`OwnCertificate::judge`](super::own_certificate::OwnCertificate::judge).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The control plane is there and decided against this node.
    RefusesNode(Refusal),
    /// The control plane is there and does not accept the certificate that we show it.
    RefusesCertificate(CertificateRefusal),
    /// It may be about our certificate. That is known after a second look ([`reconnect`](super::reconnect)); until then
    /// the control plane is still being asked.
    Unclear,
    /// Nobody has decided anything: the control plane is gone.
    Outage {
        /// How long it, or what stands in front of it, asks clients to wait.
        retry_after: Option<Duration>,
    },
}

/// How a control plane refused a node. Displays as the cause, in a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By HTTP status: 400, 401 or 403.
    Status(u16),
    /// By a close frame right after the node's first message: empty, 1000 or 1008.
    Closed(CloseCode),
}

/// How a link ended right after the node's first message without being a refusal. Displays as the cause, in a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyEnd {
    /// Without a close frame.
    WithoutCloseFrame,
    /// With a close frame whose code shows that the node was not the reason.
    Closed(CloseCode),
}

impl HttpAnswer {
    /// Whether it is a decision about the node. 403 comes from something in between, but is such a decision, too.
    pub fn refusal(&self) -> Option<Refusal> {
        matches!(self.status, 400 | 401 | 403).then_some(Refusal::Status(self.status))
    }

    /// Whether it is about the client's certificate.
    pub fn is_about_the_certificate(&self) -> bool {
        self.status == 400 && self.body == AnswerBody::Certificate
    }
}

impl AnswerBody {
    /// What a body, or its beginning, is about.
    pub fn of(body: &[u8]) -> Self {
        const NGINX: &[u8] = b"ssl certificate";
        let is_about = body.windows(NGINX.len()).any(|part| part.eq_ignore_ascii_case(NGINX));
        if is_about { Self::Certificate } else { Self::Else }
    }
}

/// What it means that a control plane ended a link right after the node's first message.
pub fn early_end(close: Option<&Frame>) -> Result<Refusal, EarlyEnd> {
    match close.map(Frame::close_code) {
        None => Err(EarlyEnd::WithoutCloseFrame),
        Some(code @ (CloseCode::Absent | CloseCode::Given(1000 | 1008))) => Ok(Refusal::Closed(code)),
        Some(code) => Err(EarlyEnd::Closed(code)),
    }
}

impl Refusal {
    /// What to do about it, in a clause.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Status(403) => {
                "look there, and allow this host or this path: a firewall, a proxy or an edge in front of the control plane"
            }
            Self::Status(_) => "look at the control plane's log, which says what it lacks",
            Self::Closed(_) => {
                "start a version that it takes: of its own major version, and not newer than itself (KONG_VERSION)"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(403) => f.write_str(
                "it answered HTTP 403, which does not come from Kong but from something in between that forbids it",
            ),
            Self::Status(status) => write!(
                f,
                "it answered HTTP {status}, as Kong does when it can't use what the node says of itself (node_id, \
                 node_hostname, node_version)"
            ),
            Self::Closed(code) => write!(
                f,
                "it closed the link right after the node's first message ({}), as Kong does with a node of another major \
                 version, of a newer version than its own, or with plugins that don't fit",
                Explained(*code)
            ),
        }
    }
}

impl fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutCloseFrame => f.write_str(
                "it ended the link right after the node's first message, without a close frame: it is overloaded, restarts \
                 or has crashed",
            ),
            Self::Closed(code) => {
                write!(f, "it closed the link right after the node's first message, for a reason of its own ({})", Explained(*code))
            }
        }
    }
}

impl fmt::Display for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        if self.is_about_the_certificate() {
            return write!(f, "it answered HTTP {status}, and that this is about the SSL certificate");
        }

        if let Some(refusal) = self.refusal() {
            return write!(f, "{refusal}");
        }
        let means = match status {
            408 | 429 => ": it, or something in front of it, is asked too much or too slowly",
            500..=599 => ": it, or what stands in front of it, can't serve now",
            300..=399 => ", which no control plane of Kong does: something redirects, so another server answers there",
            _ => {
                ", which no control plane of Kong does at /v1/outlet: something else answers there (another port or server, a \
                 load balancer, a Kong whose role isn't control_plane)"
            }
        };
        write!(f, "it answered HTTP {status} instead of opening a WebSocket{means}")
    }
}

struct Explained(CloseCode);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CloseCode::Absent => f.write_str("an empty close frame"),
            CloseCode::Given(code) => write!(f, "close code {code}"),
            CloseCode::Malformed => f.write_str("a malformed close frame"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> HttpAnswer {
        HttpAnswer { status, body: AnswerBody::Else, retry_after: None }
    }

    #[test]
    fn three_statuses_are_decisions_about_the_node_and_no_other_is() {
        let refusals: Vec<u16> = (100..=999).filter(|code| status(*code).refusal().is_some()).collect();
        assert_eq!(refusals, [400, 401, 403]);
    }

    #[test]
    fn nginx_says_in_the_body_of_a_400_that_it_is_about_the_certificate() {
        for body in [
            "<html><head><title>400 The SSL certificate error</title></head>",
            "<center>No required SSL certificate was sent</center>",
        ] {
            let answer = HttpAnswer { body: AnswerBody::of(body.as_bytes()), ..status(400) };
            assert!(answer.is_about_the_certificate(), "{body}");
            assert!(!HttpAnswer { status: 503, ..answer }.is_about_the_certificate());
        }
        for body in ["", "SSL", "400 The plain HTTP request was sent to HTTPS port", "node_id is missing"] {
            assert_eq!(AnswerBody::of(body.as_bytes()), AnswerBody::Else, "{body}");
        }
    }

    #[test]
    fn an_empty_close_frame_1000_and_1008_refuse_and_no_other_end_does() {
        let empty = Frame { payload: Default::default(), ..Frame::close(0) };
        assert_eq!(early_end(Some(&empty)), Ok(Refusal::Closed(CloseCode::Absent)));
        let codes: Vec<u16> = (0..=u16::MAX).filter(|code| early_end(Some(&Frame::close(*code))).is_ok()).collect();
        assert_eq!(codes, [1000, 1008]);
        assert_eq!(early_end(None), Err(EarlyEnd::WithoutCloseFrame));
        let malformed = Frame { payload: vec![3].into(), ..Frame::close(0) };
        assert_eq!(early_end(Some(&malformed)), Err(EarlyEnd::Closed(CloseCode::Malformed)));
    }

    #[test]
    fn a_status_is_explained_by_who_gives_it() {
        for (status, means) in [
            (200, "something else answers there"),
            (301, "something redirects"),
            (404, "something else answers there"),
            (408, "is asked too much"),
            (421, "something else answers there"),
            (429, "is asked too much"),
            (503, "can't serve now"),
            (401, "what the node says of itself"),
            (403, "something in between that forbids it"),
        ] {
            let text = HttpAnswer { status, ..super::tests::status(0) }.to_string();
            assert!(text.contains(means) && text.contains(&format!("HTTP {status}")), "{text}");
            assert!(!text.contains("KONG_VERSION"), "{text}");
        }
        let of_nginx = HttpAnswer { body: AnswerBody::Certificate, ..status(400) };
        assert!(of_nginx.to_string().contains("about the SSL certificate"), "{of_nginx}");
    }
}
