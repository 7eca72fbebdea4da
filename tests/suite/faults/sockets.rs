//! Faults of real connections, as the operating system and the HTTP client report them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::join_all;
use lifeboat_fakes::certificate::Authority;
use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use lifeboat_link::tls::{Identity, server_config_shared};
use lifeboat_storage::{Storage, StorageError, Write};
use lifeboat_tests::faulty::{Fault, Faulty, Weather, settings_at};
use lifeboat_tests::stage::play;
use object_store::client::ReqwestConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const KEY: &str = "3.9.1/config.json";
const LIMIT: u64 = 1 << 20;

/// A server that does this with each connection.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers the first request with this, and closes.
async fn answering(answer: &'static str) -> String {
    let serve = move |mut stream: TcpStream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    };
    format!("http://{}", server(serve).await)
}

async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn stranger() -> String {
    let day = Duration::from_secs(24 * 60 * 60);
    let valid = SystemTime::now() - day..SystemTime::now() + day;
    let certificate = Authority::new("a company's own").issue("store", &["127.0.0.1"], valid);
    let identity = Identity::from_pem(certificate.certificate_pem.as_bytes(), certificate.key_pem.as_bytes()).unwrap();
    let tls = server_config_shared(&[identity.leaf().der().clone()], &identity).unwrap();
    let serve = move |stream| {
        let acceptor = TlsAcceptor::from(tls.clone());
        async move {
            let _ = acceptor.accept(stream).await;
        }
    };
    format!("https://{}", server(serve).await)
}

async fn reading(endpoint: &str) -> StorageError {
    let storage = Storage::open(&settings_at(endpoint).location()).unwrap();
    storage.read(KEY, LIMIT).await.expect_err(endpoint)
}

#[test]
fn each_way_of_not_being_there_is_told_from_the_others() {
    play(async {
        let too_long_a_label = format!("http://{}.example.com", "a".repeat(64));
        let plain = answering("HTTP/1.1 200 OK\r\n\r\n").await.replace("http://", "https://");
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: \"1\"\r\n\r\nten bytes.";
        let cases = [
            (nobody().await, "unavailable", "the connection is refused"),
            (too_long_a_label, "unavailable", "its name can't be resolved"),
            (stranger().await, "misconfigured", "not trusted (UnknownIssuer): set LIFEBOAT_STORAGE_CA"),
            (plain, "unavailable", "no connection can be made"),
            (answering("").await, "unavailable", "the connection was closed before there was an answer"),
            (answering(short).await, "unavailable", "the answer ended after 10 of 100 bytes"),
            (answering("SSH-2.0-OpenSSH_9.2\r\n").await, "unavailable", "3.9.1/config.json failed"),
        ];
        join_all(cases.iter().map(|(endpoint, expected, words)| async move {
            let error = reading(endpoint).await;
            let text = error.to_string();
            assert_eq!(error.class(), *expected, "{endpoint}: {text}");
            assert!(text.contains(words) && text.contains(endpoint), "{endpoint}: {text}");
        }))
        .await;
    });
}

#[test]
fn a_real_server_behind_a_bad_network_is_written_to_once() {
    play(async {
        let folder = tempfile::tempdir().unwrap();
        let (access_key, secret_key) = ("AKIDLIFEBOAT".to_owned(), "wonderful-storage-secret".to_owned());
        let options =
            S3StoreOptions { folder: folder.path().to_owned(), bucket: "kong".into(), access_key, secret_key };
        let server = S3Store::start(&options).await.unwrap();
        let weather = Weather::first([
            Fault::Refused,
            Fault::ResetAfter,
            Fault::FailsAfter(503),
            Fault::Answers(429, "TooManyRequests"),
        ]);
        let connector = Faulty::over(Arc::new(ReqwestConnector::default()), weather.clone());
        let storage = Storage::open_over(&settings_at(&server.endpoint()).location(), Arc::new(connector)).unwrap();
        let content = Bytes::from_static(b"{}");
        let created = storage.write(KEY, content.clone(), Write::Create).await.unwrap();
        assert_eq!(weather.played(), 4);
        let (bytes, tag) = storage.read(KEY, LIMIT).await.unwrap();
        assert_eq!((bytes, tag), (content, created.clone()));
        let other = storage.write(KEY, Bytes::from_static(b"other"), Write::Create).await;
        assert!(matches!(other, Err(StorageError::Conflict { .. })), "{other:?}");
        storage.write(KEY, Bytes::from_static(b"other"), Write::Update(created)).await.unwrap();
    });
}
