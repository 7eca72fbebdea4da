//! An OCSP responder (RFC 6960) over plain HTTP, whose answers are signed by the authority that issued the certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_fakes::certificate::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use x509_cert::der::asn1::{BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use x509_cert::der::{DateTime, Decode, Encode};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse, OcspResponseStatus,
    ResponderId, ResponseBytes, ResponseData, RevokedInfo, SingleResponse, Version,
};

/// What it says of every certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Not revoked.
    Good,
    /// Revoked yesterday.
    Revoked,
    /// Not revoked, signed by somebody else.
    Forged,
    /// Not revoked, until yesterday.
    Stale,
    /// That it is busy, without a signature (RFC 6960 section 4.2.1).
    TryLater,
    /// HTTP 500.
    Nothing,
}

/// A running responder. Dropping it ends it.
pub struct OcspResponder {
    address: SocketAddr,
    says: watch::Sender<Says>,
    asked: Arc<watch::Sender<usize>>,
    task: JoinHandle<()>,
}

impl OcspResponder {
    /// Starts one for this authority.
    pub async fn start(authority: Arc<Authority>, says: Says) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (says, said) = watch::channel(says);
        let asked = Arc::new(watch::Sender::new(0));
        let task = tokio::spawn(serve(listener, authority, said, asked.clone()));
        Self { address, says, asked, task }
    }

    /// What stands in certificates.
    pub fn url(&self) -> String {
        format!("http://{}/ocsp", self.address)
    }

    /// From now on it says this.
    pub fn say(&self, what: Says) {
        self.says.send_replace(what);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }
}

impl Drop for OcspResponder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    authority: Arc<Authority>,
    says: watch::Receiver<Says>,
    asked: Arc<watch::Sender<usize>>,
) {
    while let Ok((mut stream, _)) = listener.accept().await {
        asked.send_modify(|asked| *asked += 1);
        let (authority, says) = (authority.clone(), *says.borrow());
        tokio::spawn(async move {
            let request = read_request(&mut stream).await;
            let body = answer(&authority, &request, says);
            let status = if body.is_empty() { "500 Internal Server Error" } else { "200 OK" };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/ocsp-response\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n",
                body.len()
            );
            // Who asked may be gone.
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        });
    }
}

async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let length: usize = length.and_then(|length| length.parse().ok()).expect("a POST says how long it is");
            let begin = received.windows(4).position(|window| window == b"\r\n\r\n").expect("it was found") + 4;
            if received.len() >= begin + length {
                return received[begin..].to_vec();
            }
        }
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return received;
        }
    }
}

fn answer(authority: &Authority, request: &[u8], says: Says) -> Vec<u8> {
    let Ok(request) = OcspRequest::from_der(request) else { return Vec::new() };
    if says == Says::Nothing {
        return Vec::new();
    }
    if says == Says::TryLater {
        let response = OcspResponse { response_status: OcspResponseStatus::TryLater, response_bytes: None };
        return response.to_der().expect("it is complete");
    }
    let single = single(request.tbs_request.request_list[0].req_cert.clone(), says);
    let tbs_response_data = ResponseData {
        version: Version::V1,
        responder_id: ResponderId::ByName(Name::default()),
        produced_at: at(SystemTime::now()),
        responses: vec![single],
        response_extensions: None,
    };
    let signed = tbs_response_data.to_der().expect("it is complete");
    let signature = match says {
        Says::Forged => Authority::new("the authority").signature(&signed),
        _ => authority.signature(&signed),
    };
    // `ecdsa-with-SHA256`, RFC 5758 section 3.2.
    let oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
    let basic = BasicOcspResponse {
        tbs_response_data,
        signature_algorithm: AlgorithmIdentifierOwned { oid, parameters: None },
        signature: BitString::from_bytes(&signature).expect("it is whole bytes"),
        certs: None,
    };
    let bytes = ResponseBytes {
        response_type: ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1"),
        response: OctetString::new(basic.to_der().expect("it is complete")).expect("it is short"),
    };
    let response = OcspResponse { response_status: OcspResponseStatus::Successful, response_bytes: Some(bytes) };
    response.to_der().expect("it is complete")
}

fn single(cert_id: CertId, says: Says) -> SingleResponse {
    let (now, day) = (SystemTime::now(), Duration::from_secs(24 * 60 * 60));
    let cert_status = match says {
        Says::Revoked => CertStatus::Revoked(RevokedInfo { revocation_time: at(now - day), revocation_reason: None }),
        _ => CertStatus::Good(Null),
    };
    let next = if says == Says::Stale { now - day } else { now + day };
    SingleResponse {
        cert_id,
        cert_status,
        this_update: at(now - 2 * day),
        next_update: Some(at(next)),
        single_extensions: None,
    }
}

fn at(time: SystemTime) -> OcspGeneralizedTime {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    let whole = Duration::from_secs(seconds.as_secs());
    let time = DateTime::from_unix_duration(whole).expect("it is a date");
    OcspGeneralizedTime(GeneralizedTime::from_date_time(time))
}
