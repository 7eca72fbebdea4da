//! Commands that read, pointed at a place that isn't the store that was meant: they say what it is, make nothing, and advise
//! nobody to delete anything.

use std::net::SocketAddr;

use lifeboat_tests::program::{Finished, lifeboat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Cluster, VERSION};

/// All that read a store, and write at most where there is something to decide on.
const READING: [&[&str]; 11] = [
    &["list"],
    &["show"],
    &["show", "1"],
    &["verify"],
    &["verify", "--all"],
    &["diff", "1", "2"],
    &["presign", "1"],
    &["release"],
    &["rollback", "1"],
    &["pin"],
    &["unpin"],
];

fn assert_harmless(asked: &[&str], finished: &Finished) {
    assert_eq!(finished.code, Some(1), "{asked:?}: {finished}");
    let said = finished.to_string().to_lowercase();
    assert!(!said.contains("delete"), "{asked:?} advises to delete what it has not read: {finished}");
    assert!(!said.contains("no backups"), "{asked:?} says that there are none, and can't know: {finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_folder_is_named_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let mistyped = folder.path().join("bakcups");
    let url = format!("file://{}", mistyped.display());

    for asked in READING {
        let invocation = lifeboat(asked).with("KONG_VERSION", VERSION);
        let finished = invocation.with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url).finish().await;
        assert_harmless(asked, &finished);
        assert!(finished.stderr.contains("there is no such folder, and none was made"), "{asked:?}: {finished}");
        assert!(!mistyped.exists(), "{asked:?} has made it");
    }

    let cluster = Cluster::start().await;
    cluster.control_plane.stop().await;
    let prefix = folder.path().join("kong");
    std::fs::create_dir(&prefix).unwrap();
    let import = cluster.lifeboat(["import"]).with("KONG_PREFIX", &prefix).with("KONG_VERSION", VERSION);
    let finished = import.with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url).finish().await;
    assert!(finished.code == Some(1) && finished.stderr.contains("there is no such folder"), "{finished}");
    assert!(!mistyped.exists());

    // It writes to find out, and says so.
    let doctor = cluster.lifeboat(["doctor", "--export", "on"]).with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url);
    let finished = doctor.finish().await;
    assert!(finished.stdout.contains("was not there, and was made"), "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_is_called_what_it_is_and_never_an_empty_or_a_damaged_store() {
    for status in ["200 OK", "404 Not Found", "403 Forbidden", "400 Bad Request"] {
        let address = web_server(status).await;
        for asked in READING {
            let invocation = lifeboat(asked)
                .with("KONG_VERSION", VERSION)
                .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://backups/prod")
                .with("AWS_CONFIG_STORAGE_ENDPOINT", format!("http://{address}"))
                .with("AWS_REGION", "us-east-1")
                .with("AWS_ACCESS_KEY_ID", "AKID")
                .with("AWS_SECRET_ACCESS_KEY", "secret");
            let finished = invocation.finish().await;
            assert_harmless(asked, &finished);
            let said = finished.to_string();
            let names_it = said.contains("web page (text/html)") && said.contains("AWS_CONFIG_STORAGE_ENDPOINT");
            assert!(names_it, "{status}, {asked:?}: {finished}");
        }
    }
}

/// Answers every request with a page.
async fn web_server(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 16 * 1024];
                let _ = connection.read(&mut request).await;
                let page = "<!DOCTYPE html><html><body>Welcome to the intranet</body></html>";
                let head = "content-type: text/html; charset=utf-8\r\nconnection: close";
                let answer = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len());
                let _ = connection.write_all(answer.as_bytes()).await;
                let _ = connection.shutdown().await;
            });
        }
    });
    address
}
