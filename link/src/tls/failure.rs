//! What a failed handshake means, in a sentence that helps whoever was paged for it. Nothing is decided here.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error};

use super::{CommonNameNotAllowed, NotTheClusterCertificate};

/// Who was at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The control plane that we connected to.
    ControlPlane,
    /// A data plane that connected to us.
    Node,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlPlane => "the control plane",
            Self::Node => "the node",
        })
    }
}

/// The kinds of failure that call for different action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// A certificate that isn't the cluster's.
    OtherCertificate,
    /// A certificate of an authority that isn't trusted.
    UnknownAuthority,
    /// Too old or too new.
    NotValidNow,
    /// A server's certificate for another name.
    WrongName,
    /// A node's name that isn't allowed.
    NameNotAllowed,
    /// No certificate at all.
    NoCertificate,
    /// The right certificate, but not its key.
    NotItsKey,
    /// Any other fault of the peer's certificate.
    BadCertificate,
    /// A certificate that was revoked, or of which that can't be ruled out (`cluster_ocsp`).
    Revoked,
    /// The peer refused us, and said so in an alert.
    RefusedByPeer,
    /// No TLS version, cipher suite or signature in common.
    NothingInCommon,
    /// The peer closed the connection without an alert.
    Closed,
    /// The peer does not speak TLS.
    NotTls,
    /// Nothing came in time.
    TimedOut,
    /// Anything else.
    Other,
}

/// Why a handshake failed. Displays as one sentence, lower case, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeFailure {
    /// Its kind.
    pub class: FailureClass,
    /// The peer says in an alert that it does not accept our certificate.
    pub is_about_our_certificate: bool,
    sentence: String,
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for HandshakeFailure {}

/// Explains an error of the handshake, or of the first read after it: in TLS 1.3 a client learns only there that its
/// certificate was refused.
pub fn explain(peer: Peer, error: &io::Error) -> HandshakeFailure {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return explain_tls(peer, tls);
    }

    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let (class, sentence) = match error.kind() {
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => (
            FailureClass::Closed,
            format!(
                "{peer} closed the connection during the TLS handshake: is a proxy in between, or another port meant"
            ),
        ),
        TimedOut => (FailureClass::TimedOut, format!("{peer} did not finish the TLS handshake in time")),
        _ => (FailureClass::Other, format!("the TLS handshake with {peer} failed: {error}")),
    };
    HandshakeFailure { class, is_about_our_certificate: false, sentence }
}

/// Explains an error of rustls.
pub fn explain_tls(peer: Peer, error: &Error) -> HandshakeFailure {
    let (class, sentence) = match error {
        Error::InvalidCertificate(error) => explain_certificate(peer, error),
        Error::NoCertificatesPresented => (
            FailureClass::NoCertificate,
            format!("{peer} presented no certificate: does it have cluster_cert and cluster_cert_key"),
        ),
        Error::AlertReceived(alert) => explain_alert(peer, *alert),
        Error::InvalidMessage(_) => (
            FailureClass::NotTls,
            format!("{peer} does not speak TLS on this port, as plain HTTP or another service would not ({error})"),
        ),
        Error::PeerIncompatible(_) => (
            FailureClass::NothingInCommon,
            format!("{peer} has no TLS 1.2 or 1.3 parameters in common with us ({error})"),
        ),
        _ => (FailureClass::Other, format!("the TLS handshake with {peer} failed: {error}")),
    };

    let is_about_our_certificate = matches!(error, Error::AlertReceived(alert) if is_about_a_certificate(*alert));
    HandshakeFailure { class, is_about_our_certificate, sentence }
}

fn is_about_a_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::DecryptError
    )
}

fn explain_certificate(peer: Peer, error: &CertificateError) -> (FailureClass, String) {
    use CertificateError as Wrong;
    match error {
        Wrong::Other(other) => {
            let cause = &other.0;
            if let Some(refusal) = cause.downcast_ref::<NotTheClusterCertificate>() {
                return (FailureClass::OtherCertificate, other_certificate(peer, refusal));
            }
            if let Some(refusal) = cause.downcast_ref::<CommonNameNotAllowed>() {
                return (FailureClass::NameNotAllowed, format!("{peer} may not connect: its {refusal}"));
            }
            if let Some(webpki::Error::UnsupportedCertVersion) = cause.downcast_ref() {
                let sentence = "certificate is X.509 version 1, which only cluster_mtls=shared accepts: \
                                issue it again with extensions (version 3)";
                return (FailureClass::BadCertificate, format!("{peer}'s {sentence}"));
            }
            (FailureClass::BadCertificate, format!("{peer}'s certificate is refused: {cause}"))
        }
        Wrong::UnknownIssuer => (
            FailureClass::UnknownAuthority,
            format!("{peer}'s certificate comes from an authority that is not trusted: see {}", trust_setting(peer)),
        ),
        Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => (
            FailureClass::NotValidNow,
            format!("{peer}'s certificate is not valid now: {error} (are both clocks right)"),
        ),
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => (
            FailureClass::WrongName,
            format!("{peer}'s certificate stands for another name: {error} (see cluster_server_name)"),
        ),
        Wrong::BadSignature => {
            (FailureClass::NotItsKey, format!("{peer} presented a certificate but does not hold its private key"))
        }
        _ => (FailureClass::BadCertificate, format!("{peer}'s certificate is refused: {error}")),
    }
}

fn other_certificate(peer: Peer, refusal: &NotTheClusterCertificate) -> String {
    let accepted: Vec<String> = refusal.accepted.iter().map(ToString::to_string).collect();
    format!(
        "{peer} presented another certificate (SHA-256 {}) than cluster_cert (SHA-256 {}): \
         with cluster_mtls=shared all must have the same one",
        refusal.presented,
        accepted.join(" or ")
    )
}

fn trust_setting(peer: Peer) -> &'static str {
    match peer {
        Peer::ControlPlane => "lua_ssl_trusted_certificate or cluster_ca_cert",
        Peer::Node => "cluster_ca_cert",
    }
}

fn explain_alert(peer: Peer, alert: AlertDescription) -> (FailureClass, String) {
    use AlertDescription as Alert;
    let refused = |why: &str| (FailureClass::RefusedByPeer, format!("{peer} refused our certificate: {why}"));
    match alert {
        Alert::UnknownCA => refused("it does not know its authority"),
        Alert::CertificateExpired => refused("it has expired"),
        Alert::CertificateRevoked => refused("it is revoked"),
        Alert::CertificateRequired | Alert::NoCertificate => refused("it got none"),
        Alert::AccessDenied => refused("it is not one that may connect"),
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => refused(&format!(
            "it can't or won't accept it ({alert:?}): is cluster_cert the cluster's, and cluster_mtls the same"
        )),
        Alert::DecryptError => refused("our signature did not verify"),
        Alert::UnrecognisedName => (
            FailureClass::RefusedByPeer,
            format!("{peer} does not know the server name that was asked for: see cluster_server_name"),
        ),
        Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            (FailureClass::NothingInCommon, format!("{peer} found no TLS parameters in common with us ({alert:?})"))
        }
        _ => (FailureClass::RefusedByPeer, format!("{peer} broke off the TLS handshake ({alert:?})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentences go into logs as they are: lower case, no full stop, one line.
    #[test]
    fn every_sentence_has_the_form_of_an_error() {
        let alerts =
            [AlertDescription::UnknownCA, AlertDescription::CertificateRequired, AlertDescription::InternalError];
        let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::TimedOut, io::ErrorKind::PermissionDenied];
        let mut failures: Vec<HandshakeFailure> = Vec::new();
        for peer in [Peer::ControlPlane, Peer::Node] {
            failures.extend(alerts.map(|alert| explain_tls(peer, &Error::AlertReceived(alert))));
            failures.extend(kinds.map(|kind| explain(peer, &io::Error::from(kind))));
            failures.push(explain_tls(peer, &CertificateError::UnknownIssuer.into()));
            failures.push(explain_tls(peer, &Error::NoCertificatesPresented));
        }
        for failure in failures {
            let text = failure.to_string();
            assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.') && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn an_alert_about_our_certificate_is_told_from_other_alerts() {
        for (alert, is_so) in [
            (AlertDescription::CertificateRevoked, true),
            (AlertDescription::UnknownCA, true),
            (AlertDescription::CertificateRequired, true),
            (AlertDescription::UnrecognisedName, false),
            (AlertDescription::InternalError, false),
        ] {
            let failure = explain_tls(Peer::ControlPlane, &Error::AlertReceived(alert));
            assert_eq!(failure.is_about_our_certificate, is_so, "{failure}");
        }
    }

    #[test]
    fn an_error_of_rustls_is_found_inside_an_io_error() {
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, Error::NoCertificatesPresented);
        assert_eq!(explain(Peer::Node, &wrapped).class, FailureClass::NoCertificate);
    }
}
