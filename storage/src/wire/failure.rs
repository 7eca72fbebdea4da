//! Why there was no answer, or not all of it.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use object_store::client::{HttpError, HttpErrorKind};

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The host's name has no address.
    UnknownHost,
    /// Nobody listens at the address.
    Refused,
    /// The server's certificate isn't trusted; why.
    Untrusted(String),
    /// Any other failure before a request could be sent; which.
    NotConnected(String),
    /// There was no answer within this time.
    NoAnswer(Duration),
    /// A body stopped in the middle for this long.
    Stalled(Duration),
    /// A body came so slowly that it was given up; how much had come.
    TooSlow {
        /// Bytes.
        received: u64,
    },
    /// A body ended early.
    CutOff {
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced, if they were.
        announced: Option<u64>,
    },
    /// A body was longer than an answer of its kind can be.
    TooLong {
        /// Bytes.
        limit: u64,
    },
    /// A web page, where an object or a store's error should be: whoever answers is no object store.
    WebPage,
    /// The connection was closed or reset.
    Reset,
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Whether no part of the request can have reached the server.
    pub(crate) fn is_before_sending(&self) -> bool {
        matches!(self, Self::UnknownHost | Self::Refused | Self::Untrusted(_) | Self::NotConnected(_))
    }

    /// Whether there is a server, which doesn't do well.
    pub(crate) fn is_of_a_server(&self) -> bool {
        !self.is_before_sending() && !matches!(self, Self::Other(_))
    }

    /// What the HTTP client says, without the layers around it.
    pub(super) fn of(error: &HttpError) -> Self {
        let mut is_connecting = error.kind() == HttpErrorKind::Connect;
        let mut found = None;
        let mut source = error.source();
        let mut deepest = String::new();

        while let Some(error) = source {
            if let Some(failure) = error.downcast_ref::<Self>() {
                return failure.clone();
            }
            if let Some(error) = error.downcast_ref::<reqwest::Error>() {
                is_connecting |= error.is_connect();
            }
            found = found.or_else(|| known(error));
            deepest = error.to_string();
            source = error.source();
        }

        match found {
            Some(Self::Reset) | None if is_connecting => Self::NotConnected(deepest),
            Some(failure) => failure,
            None => match error.kind() {
                HttpErrorKind::Interrupted | HttpErrorKind::Request => Self::Reset,
                _ => Self::Other(deepest),
            },
        }
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<Failure> {
    use io::ErrorKind as K;
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An IO error hides what it was made of from its chain of sources, and may be made of another.
        let mut inner = error.get_ref();
        while let Some(io) = inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
            inner = io.get_ref();
        }
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return untrusted(tls);
        }
        return match error.kind() {
            K::ConnectionRefused => Some(Failure::Refused),
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => Some(Failure::Reset),
            _ => None,
        };
    }

    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return untrusted(tls);
    }
    if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
        return Some(Failure::Reset);
    }
    // Its type is private to the HTTP client.
    (error.to_string() == "dns error").then_some(Failure::UnknownHost)
}

fn untrusted(error: &rustls::Error) -> Option<Failure> {
    match error {
        rustls::Error::InvalidCertificate(_) => {
            let why = error.to_string();
            Some(Failure::Untrusted(why.trim_start_matches("invalid peer certificate: ").to_owned()))
        }
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost => f.write_str("its name can't be resolved"),
            Self::Refused => f.write_str("the connection is refused"),
            Self::Untrusted(why) => write!(f, "its certificate is not trusted ({why})"),
            Self::NotConnected(why) => write!(f, "no connection can be made ({why})"),
            Self::NoAnswer(limit) => write!(f, "there was no answer within {} s", limit.as_secs()),
            Self::Stalled(limit) => write!(f, "the answer stopped for {} s", limit.as_secs()),
            Self::TooSlow { received } => write!(f, "the answer came too slowly ({received} bytes) and was given up"),
            Self::CutOff { received, announced: Some(announced) } => {
                write!(f, "the answer ended after {received} of {announced} bytes")
            }
            Self::CutOff { received, announced: None } => write!(f, "the answer broke off after {received} bytes"),
            Self::TooLong { limit } => write!(f, "the answer did not end within {limit} bytes"),
            Self::WebPage => f.write_str("it answered with a web page (text/html), so it is no object store"),
            Self::Reset => f.write_str("the connection was closed before there was an answer"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: HttpErrorKind, io: io::ErrorKind) -> Failure {
        Failure::of(&HttpError::new(kind, io::Error::from(io)))
    }

    #[test]
    fn what_can_have_reached_the_server_is_told_from_what_cannot() {
        use {HttpErrorKind as H, io::ErrorKind as K};
        assert_eq!(failure(H::Connect, K::ConnectionRefused), Failure::Refused);
        assert_eq!(failure(H::Interrupted, K::ConnectionReset), Failure::Reset);
        assert!(!failure(H::Interrupted, K::ConnectionReset).is_before_sending());
        // A connection that is reset while it is being made has carried no request yet.
        assert!(failure(H::Connect, K::ConnectionReset).is_before_sending());
    }

    #[test]
    fn a_certificate_of_an_unknown_authority_is_found_below_the_io_errors() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for error in [io::Error::other(tls.clone()), io::Error::other(io::Error::other(tls))] {
            let failure = Failure::of(&HttpError::new(HttpErrorKind::Connect, error));
            assert_eq!(failure, Failure::Untrusted("UnknownIssuer".to_owned()));
        }
    }
}
