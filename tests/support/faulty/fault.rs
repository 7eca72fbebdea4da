//! What can go wrong with one request, and how it looks from the client's side.

use std::time::{Duration, SystemTime};
use std::{fmt, io};

use http::{Response, header};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody};

use super::bodies;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The host's name can't be resolved.
    UnknownHost,
    /// Nobody listens.
    Refused,
    /// The connection is reset before the request is there.
    ResetBefore,
    /// The connection is reset after the request was carried out.
    ResetAfter,
    /// The request is not answered and not carried out.
    Ignored,
    /// The request is carried out, and never answered.
    NeverAnswered,
    /// The connection is reset, and the request arrives nevertheless after this time.
    Late(Duration),
    /// The answer takes its time.
    Slow(Duration),
    /// The store answers with this status and code, and does nothing.
    Answers(u16, &'static str),
    /// The store asks for so much time.
    AsksToWait(u16, Duration),
    /// The same, by a date.
    AsksToWaitUntil(Duration),
    /// The store says that it failed, after it has carried the request out.
    FailsAfter(u16),
    /// Half of the answer's body comes, and it looks like the end.
    CutOff,
    /// Half of the answer's body comes, then the connection is reset.
    ResetInBody,
    /// Half of the answer's body comes, then nothing more.
    Stalled,
    /// The answer's body comes a byte at a time.
    Trickling,
    /// The answer's body never ends.
    Endless,
    /// The answer's head announces a body of so many bytes, and what comes is what there is.
    Announces(u64),
    /// The store finds that the request's time is this far behind its own.
    ClockBehind(Duration),
}

impl Fault {
    /// Carries out the request as far as the fault lets it, and answers as the fault wants.
    pub(super) async fn play(self, server: &HttpClient, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self {
            Self::UnknownHost => Err(HttpError::new(HttpErrorKind::Connect, DnsError)),
            Self::Refused => Err(connecting(io::ErrorKind::ConnectionRefused)),
            Self::ResetBefore => Err(bodies::reset_by_peer()),
            Self::ResetAfter => {
                server.execute(request).await?;
                Err(bodies::reset_by_peer())
            }
            Self::Ignored => std::future::pending().await,
            Self::NeverAnswered => {
                server.execute(request).await?;
                std::future::pending().await
            }
            Self::Late(delay) => {
                let server = server.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // Nobody is there any more to hear what comes of it.
                    let _ = server.execute(request).await;
                });
                Err(bodies::reset_by_peer())
            }
            Self::Slow(delay) => {
                tokio::time::sleep(delay).await;
                server.execute(request).await
            }
            Self::Answers(status, code) => Ok(answer(&request, status, code)),
            Self::AsksToWait(status, wait) => {
                let mut answer = answer(&request, status, "SlowDown");
                answer.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
                Ok(answer)
            }
            Self::AsksToWaitUntil(wait) => {
                let mut answer = answer(&request, 503, "SlowDown");
                let until = httpdate::fmt_http_date(time_of(&request) + wait);
                answer.headers_mut().insert(header::RETRY_AFTER, until.parse().expect("a date is a header's value"));
                Ok(answer)
            }
            Self::FailsAfter(status) => {
                let failure = answer(&request, status, "InternalError");
                server.execute(request).await?;
                Ok(failure)
            }
            Self::CutOff | Self::ResetInBody | Self::Stalled | Self::Trickling | Self::Endless | Self::Announces(_) => {
                self.spoil(server.execute(request).await?).await
            }
            Self::ClockBehind(by) => Ok(skewed(&request, by)),
        }
    }

    async fn spoil(self, answer: HttpResponse) -> Result<HttpResponse, HttpError> {
        let (mut head, body) = answer.into_parts();
        let bytes = bodies::whole(body).await?;
        if bytes.is_empty() || !head.status.is_success() {
            return Err(bodies::reset_by_peer());
        }
        let body = match self {
            Self::CutOff => bodies::cut_off(bytes),
            Self::ResetInBody => bodies::reset(bytes),
            Self::Stalled => bodies::stalled(bytes),
            Self::Trickling => bodies::trickling(bytes),
            Self::Announces(length) => {
                head.headers.insert(header::CONTENT_LENGTH, length.into());
                bytes.into()
            }
            _ => {
                head.headers.remove(header::CONTENT_LENGTH);
                bodies::endless()
            }
        };
        Ok(Response::from_parts(head, body))
    }
}

fn connecting(kind: io::ErrorKind) -> HttpError {
    HttpError::new(HttpErrorKind::Connect, io::Error::from(kind))
}

/// The time that a request was signed with, which is the only clock here.
pub(super) fn time_of(request: &HttpRequest) -> SystemTime {
    let stamp = request.headers().get("x-amz-date").and_then(|value| value.to_str().ok()).expect("it is signed");
    let field = |range: std::ops::Range<usize>| &stamp[range];
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        field(0..4),
        field(4..6),
        field(6..8),
        field(9..11),
        field(11..13),
        field(13..15)
    );
    humantime::parse_rfc3339(&text).expect("AWS's form of a date")
}

/// An error as S3 writes it.
pub(super) fn answer(request: &HttpRequest, status: u16, code: &str) -> HttpResponse {
    error(request, status, &format!("<Code>{code}</Code><Message>This is {code}.</Message>"))
}

fn skewed(request: &HttpRequest, by: Duration) -> HttpResponse {
    let own = time_of(request);
    let stamp = |time| humantime::format_rfc3339_seconds(time).to_string();
    let body = format!(
        "<Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too \
         large.</Message><RequestTime>{}</RequestTime><ServerTime>{}</ServerTime>\
         <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
        stamp(own),
        stamp(own + by)
    );
    error(request, 403, &body)
}

fn error(request: &HttpRequest, status: u16, what: &str) -> HttpResponse {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{what}<RequestId>1</RequestId></Error>");
    Response::builder()
        .status(status)
        .header(header::DATE, httpdate::fmt_http_date(time_of(request)))
        .header(header::CONTENT_TYPE, "application/xml")
        .body(HttpResponseBody::from(body))
        .expect("its parts are valid")
}

/// What a resolver's failure is called by the HTTP client.
#[derive(Debug)]
struct DnsError;

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dns error")
    }
}

impl std::error::Error for DnsError {}
