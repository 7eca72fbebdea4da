//! The check that a container makes with nothing but the program itself.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use lifeboat_tests::page::http_address;
use lifeboat_tests::program::{Finished, lifeboat};
use rustix::process::Signal;

use super::{Cluster, Store};

async fn checked<const N: usize>(listen: SocketAddr, arguments: [&str; N]) -> Finished {
    let check = lifeboat(["healthcheck"]).and(arguments).with("LIFEBOAT_HTTP_LISTEN", listen.to_string());
    check.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_says_how_a_running_lifeboat_is_and_nothing_else_of_its_settings_matters() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
    let address = http_address(&running).await;
    let well = checked(address, []).await;
    assert_eq!((well.code, well.stdout.as_str(), well.stderr.as_str()), (Some(0), "ok\n", ""), "{well}");
    let relay = checked(address, ["--for", "relay"]).await;
    assert_eq!((relay.code, relay.stdout.as_str()), (Some(0), "ready\n"), "{relay}");
    let export = checked(address, ["--for", "export"]).await;
    assert_eq!(export.code, Some(1), "{export}");
    assert!(export.stderr.contains("/readyz/export answers 503: not ready: nothing is kept here"), "{export}");

    // As it may be in the container of a program that waits for somebody to mend its settings.
    let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    let broken = lifeboat(["healthcheck"])
        .with("LIFEBOAT_HTTP_LISTEN", everywhere.to_string())
        .with("LIFEBOAT_LOG", "=;=")
        .with("LIFEBOAT_NO_SUCH_SETTING", "1")
        .with("KONG_CLUSTER_CERT", "/no/such/file")
        .with("http_proxy", "http://192.0.2.1:1")
        .finish();
    let broken = broken.await;
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(0), "ok\n"), "{broken}");

    running.signal(Signal::TERM);
    assert_eq!(running.ends().await.code, Some(0));
    let gone = checked(address, []).await;
    assert_eq!(gone.code, Some(1), "{gone}");
    assert!(
        gone.stderr.contains(&format!("nothing listens on {address} (LIFEBOAT_HTTP_LISTEN, LIFEBOAT_HEALTH_LISTEN)")),
        "{gone}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_does_not_wait_for_who_says_nothing_and_is_not_fooled_by_another_program() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hung = checked(silent.local_addr().unwrap(), ["--timeout", "100ms"]).await;
    assert_eq!(hung.code, Some(1), "{hung}");
    assert!(hung.stderr.contains("did not answer within 100ms"), "{hung}");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap();
    });
    let fooled = checked(address, []).await;
    assert_eq!(fooled.code, Some(1), "{fooled}");
    assert!(fooled.stderr.contains("something else may listen there"), "{fooled}");
}
