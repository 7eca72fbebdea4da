//! Real handshakes between this module's two sides, in TLS 1.2 and 1.3, over a pipe in memory.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_fakes::certificate::{Authority, ClusterCertificate, Credentials};
use rustls::client::danger::ServerCertVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, HandshakeKind, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::authority::{client_verifier, server_verifier};
use super::pinned::PinnedCertificates;
use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn identity(credentials: &Credentials) -> Identity {
    Identity::from_pem(credentials.certificate_pem.as_bytes(), credentials.key_pem.as_bytes()).unwrap()
}

fn cluster() -> Identity {
    identity(&ClusterCertificate::version_1(SystemTime::UNIX_EPOCH))
}

fn now() -> Range<SystemTime> {
    SystemTime::now() - DAY..SystemTime::now() + DAY
}

fn trusting(authority: &Authority) -> Authorities {
    Authorities::new([AuthoritySource::Pem(authority.certificate_pem().as_bytes())]).unwrap()
}

/// One's certificate with the other's key, as a thief of the (public) certificate would have it.
fn thief(certificate: &Identity, key: &Identity) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(vec![certificate.leaf().der().clone()], key.certified_key().key.clone()))
}

/// What a side shows and whom it believes.
struct Side<V: ?Sized> {
    shows: Arc<CertifiedKey>,
    believes: Arc<V>,
}

type Client = Side<dyn ServerCertVerifier>;
type Server = Side<dyn ClientCertVerifier>;

fn shared_client(shows: &Identity, believes: &Identity) -> Client {
    let believes = Arc::new(PinnedCertificates::new(vec![believes.leaf().clone()]));
    Side { shows: shows.certified_key(), believes }
}

fn shared_server(shows: &Identity, believes: &[&Identity]) -> Server {
    let believes = believes.iter().map(|identity| identity.leaf().clone()).collect();
    Side { shows: shows.certified_key(), believes: Arc::new(PinnedCertificates::new(believes)) }
}

fn pki_client(shows: &Identity, authority: &Authority) -> Client {
    Side { shows: shows.certified_key(), believes: server_verifier(&trusting(authority)) }
}

fn pki_server(shows: &Identity, authority: &Authority, names: NodeNames) -> Server {
    Side { shows: shows.certified_key(), believes: client_verifier(&trusting(authority), names) }
}

/// What each side has once it has sent a byte to the other and received one, or why it could not.
struct Outcome {
    client: io::Result<HandshakeKind>,
    server: io::Result<HandshakeKind>,
}

impl Outcome {
    fn both_are_content(self) {
        self.client.expect("the client is content");
        self.server.expect("the server is content");
    }

    fn server_refuses(&self) -> HandshakeFailure {
        assert!(self.client.is_err(), "the client was served");
        explain(Peer::Node, self.server.as_ref().expect_err("the server should refuse"))
    }

    fn client_refuses(&self) -> HandshakeFailure {
        assert!(self.server.is_err(), "the server was served");
        explain(Peer::ControlPlane, self.client.as_ref().expect_err("the client should refuse"))
    }
}

async fn connect(client: &Client, server: &Server, name: &str, version: &'static SupportedProtocolVersion) -> Outcome {
    let client = client_config(&[version], client.believes.clone(), client.shows.clone());
    let server = server_config(&[version], server.believes.clone(), server.shows.clone());
    run(client, server, name).await
}

async fn run(client: Arc<ClientConfig>, server: Arc<ServerConfig>, name: &str) -> Outcome {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let (client, server) = tokio::join!(speak(client, name, near), listen(server, far));
    Outcome { client, server }
}

async fn speak(config: Arc<ClientConfig>, name: ServerName<'static>, pipe: DuplexStream) -> io::Result<HandshakeKind> {
    let mut stream = TlsConnector::from(config).connect(name, pipe).await?;
    stream.write_all(b"?").await?;
    stream.flush().await?;
    stream.read_u8().await?;
    Ok(stream.get_ref().1.handshake_kind().expect("the handshake is done"))
}

async fn listen(config: Arc<ServerConfig>, pipe: DuplexStream) -> io::Result<HandshakeKind> {
    let mut stream = TlsAcceptor::from(config).accept(pipe).await?;
    stream.read_u8().await?;
    stream.write_all(b"!").await?;
    stream.flush().await?;
    Ok(stream.get_ref().1.handshake_kind().expect("the handshake is done"))
}

mod shared {
    use super::*;

    #[tokio::test]
    async fn holders_of_the_version_1_certificate_accept_each_other() {
        let cluster = cluster();
        for version in VERSIONS {
            let (client, server) = (shared_client(&cluster, &cluster), shared_server(&cluster, &[&cluster]));
            connect(&client, &server, SHARED_SERVER_NAME, version).await.both_are_content();
        }
    }

    #[tokio::test]
    async fn the_configurations_as_they_are_used_fit_each_other() {
        let cluster = cluster();
        let server = server_config_shared(&[cluster.leaf().der().clone()], &cluster).unwrap();
        run(client_config_shared(&cluster), server, SHARED_SERVER_NAME).await.both_are_content();
    }

    #[tokio::test]
    async fn every_kind_of_key_works() {
        use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256};
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P521_SHA512, &PKCS_ED25519, &PKCS_RSA_SHA256] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::new([]).unwrap().self_signed(&key).unwrap();
            let own = Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            for version in VERSIONS {
                let (client, server) = (shared_client(&own, &own), shared_server(&own, &[&own]));
                connect(&client, &server, SHARED_SERVER_NAME, version).await.both_are_content();
            }
        }
    }

    #[tokio::test]
    async fn a_node_with_another_certificate_is_refused_with_both_fingerprints() {
        let (ours, other) = (cluster(), cluster());
        for version in VERSIONS {
            let (client, server) = (shared_client(&other, &ours), shared_server(&ours, &[&ours]));
            let outcome = connect(&client, &server, SHARED_SERVER_NAME, version).await;
            let told = explain(Peer::ControlPlane, outcome.client.as_ref().unwrap_err());
            assert_eq!(told.class, FailureClass::RefusedByPeer, "{told}");
            let failure = outcome.server_refuses();
            assert_eq!(failure.class, FailureClass::OtherCertificate);
            for identity in [&ours, &other] {
                assert!(failure.to_string().contains(&identity.leaf().fingerprint().to_string()), "{failure}");
            }
        }
    }

    #[tokio::test]
    async fn a_control_plane_with_another_certificate_is_refused() {
        let (ours, other) = (cluster(), cluster());
        for version in VERSIONS {
            let (client, server) = (shared_client(&ours, &ours), shared_server(&other, &[&ours]));
            let failure = connect(&client, &server, SHARED_SERVER_NAME, version).await.client_refuses();
            assert_eq!(failure.class, FailureClass::OtherCertificate);
            assert!(failure.to_string().starts_with("the control plane presented another certificate"), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_node_that_has_only_stolen_the_certificate_is_refused() {
        let (ours, attacker) = (cluster(), cluster());
        for version in VERSIONS {
            let mut client = shared_client(&ours, &ours);
            client.shows = thief(&ours, &attacker);
            let server = shared_server(&ours, &[&ours]);
            let failure = connect(&client, &server, SHARED_SERVER_NAME, version).await.server_refuses();
            assert_eq!(failure.class, FailureClass::NotItsKey, "{failure}");
        }
    }

    #[tokio::test]
    async fn a_control_plane_that_has_only_stolen_the_certificate_is_refused() {
        let (ours, attacker) = (cluster(), cluster());
        for version in VERSIONS {
            let mut server = shared_server(&ours, &[&ours]);
            server.shows = thief(&ours, &attacker);
            let failure =
                connect(&shared_client(&ours, &ours), &server, SHARED_SERVER_NAME, version).await.client_refuses();
            assert_eq!(failure.class, FailureClass::NotItsKey, "{failure}");
        }
    }

    #[tokio::test]
    async fn a_stolen_certificate_is_refused_whatever_the_kind_of_its_key() {
        let ours = cluster();
        let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new([]).unwrap().self_signed(&rsa).unwrap();
        let attacker = Identity::from_pem(certificate.pem().as_bytes(), rsa.serialize_pem().as_bytes()).unwrap();
        for version in VERSIONS {
            let mut client = shared_client(&ours, &ours);
            client.shows = thief(&ours, &attacker);
            let outcome = connect(&client, &shared_server(&ours, &[&ours]), SHARED_SERVER_NAME, version).await;
            outcome.server_refuses();
        }
    }

    #[tokio::test]
    async fn during_a_rotation_the_old_and_the_new_certificate_are_accepted() {
        let (old, new, other) = (cluster(), cluster(), cluster());
        for version in VERSIONS {
            let server = shared_server(&new, &[&new, &old]);
            for node in [&old, &new] {
                let client = shared_client(node, &new);
                connect(&client, &server, SHARED_SERVER_NAME, version).await.both_are_content();
            }
            let outcome = connect(&shared_client(&other, &new), &server, SHARED_SERVER_NAME, version).await;
            assert_eq!(outcome.server_refuses().class, FailureClass::OtherCertificate);
        }
    }

    #[tokio::test]
    async fn a_node_without_a_certificate_is_refused() {
        let cluster = cluster();
        for version in VERSIONS {
            let believes = Arc::new(PinnedCertificates::new(vec![cluster.leaf().clone()]));
            let client = ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(&[version])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(believes)
                .with_no_client_auth();
            let server = shared_server(&cluster, &[&cluster]);
            let server = server_config(&[version], server.believes, server.shows);
            let failure = run(Arc::new(client), server, SHARED_SERVER_NAME).await.server_refuses();
            assert_eq!(failure.class, FailureClass::NoCertificate, "{failure}");
        }
    }

    #[tokio::test]
    async fn a_client_that_would_resume_makes_a_full_handshake_each_time() {
        let cluster = cluster();
        for version in VERSIONS {
            let believes = Arc::new(PinnedCertificates::new(vec![cluster.leaf().clone()]));
            let mut client = ClientConfig::clone(&client_config(&[version], believes, cluster.certified_key()));
            client.resumption = Resumption::in_memory_sessions(8);
            let client = Arc::new(client);
            let server = shared_server(&cluster, &[&cluster]);
            let server = server_config(&[version], server.believes, server.shows);
            for _ in 0..2 {
                let outcome = run(client.clone(), server.clone(), SHARED_SERVER_NAME).await;
                assert!(matches!(outcome.server, Ok(HandshakeKind::Full)), "{:?}", outcome.server);
            }
        }
    }

    #[test]
    fn a_server_that_would_accept_nobody_is_not_made() {
        assert_eq!(server_config_shared(&[], &cluster()).unwrap_err(), TlsError::NothingAccepted);
    }

    #[tokio::test]
    async fn who_does_not_speak_tls_is_told_apart() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let name = ServerName::try_from(SHARED_SERVER_NAME).unwrap();
        let error = speak(client_config_shared(&cluster()), name, near).await.unwrap_err();
        assert_eq!(explain(Peer::ControlPlane, &error).class, FailureClass::NotTls, "{error}");
    }

    #[tokio::test]
    async fn who_hangs_up_in_the_handshake_is_told_apart() {
        let (near, far) = tokio::io::duplex(1 << 16);
        drop(far);
        let name = ServerName::try_from(SHARED_SERVER_NAME).unwrap();
        let error = speak(client_config_shared(&cluster()), name, near).await.unwrap_err();
        assert_eq!(explain(Peer::ControlPlane, &error).class, FailureClass::Closed, "{error}");
    }
}

mod pki {
    use super::*;

    const CONTROL_PLANE: &str = "cp.kong.example";

    fn control_plane(authority: &Authority) -> Identity {
        identity(&authority.issue(CONTROL_PLANE, &[CONTROL_PLANE], now()))
    }

    fn node(authority: &Authority, name: &str) -> Identity {
        identity(&authority.issue(name, &[], now()))
    }

    /// All have the same name, as one that was made anew has: only the key tells them apart.
    fn authority() -> Authority {
        Authority::new("a private authority")
    }

    #[tokio::test]
    async fn holders_of_the_authoritys_certificates_accept_each_other() {
        let authority = authority();
        let (own, node) = (control_plane(&authority), node(&authority, "dp-1.kong.example"));
        for version in VERSIONS {
            let server = pki_server(&own, &authority, NodeNames::Any);
            connect(&pki_client(&node, &authority), &server, CONTROL_PLANE, version).await.both_are_content();
        }
        let trusted = trusting(&authority);
        let server = server_config_pki(&trusted, NodeNames::Any, &own);
        run(client_config_pki(&trusted, &node), server, CONTROL_PLANE).await.both_are_content();
    }

    #[tokio::test]
    async fn a_node_of_another_authority_is_refused() {
        let ours = authority();
        let own = control_plane(&ours);
        for other in [authority(), Authority::new("another name")] {
            let node = node(&other, "dp-1.kong.example");
            for version in VERSIONS {
                let server = pki_server(&own, &ours, NodeNames::Any);
                let failure =
                    connect(&pki_client(&node, &ours), &server, CONTROL_PLANE, version).await.server_refuses();
                assert_eq!(failure.class, FailureClass::UnknownAuthority, "{failure}");
            }
        }
    }

    #[tokio::test]
    async fn a_control_plane_of_another_authority_is_refused() {
        let ours = authority();
        let node = node(&ours, "dp-1.kong.example");
        for other in [authority(), Authority::new("another name")] {
            let own = control_plane(&other);
            for version in VERSIONS {
                let server = pki_server(&own, &ours, NodeNames::Any);
                let failure =
                    connect(&pki_client(&node, &ours), &server, CONTROL_PLANE, version).await.client_refuses();
                assert_eq!(failure.class, FailureClass::UnknownAuthority, "{failure}");
            }
        }
    }

    #[tokio::test]
    async fn a_control_plane_with_another_name_is_refused() {
        let authority = authority();
        let (own, node) = (control_plane(&authority), node(&authority, "dp-1.kong.example"));
        for version in VERSIONS {
            let server = pki_server(&own, &authority, NodeNames::Any);
            let client = pki_client(&node, &authority);
            let failure = connect(&client, &server, "other.kong.example", version).await.client_refuses();
            assert_eq!(failure.class, FailureClass::WrongName, "{failure}");
            assert!(failure.to_string().contains("cluster_server_name"), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_common_name_counts_only_where_there_is_no_dns_name() {
        let authority = authority();
        let node = node(&authority, "dp-1.kong.example");
        let bare = identity(&authority.issue(CONTROL_PLANE, &[], now()));
        let named = identity(&authority.issue(CONTROL_PLANE, &["elsewhere.kong.example"], now()));
        for version in VERSIONS {
            let client = pki_client(&node, &authority);
            let server = pki_server(&bare, &authority, NodeNames::Any);
            connect(&client, &server, CONTROL_PLANE, version).await.both_are_content();
            let other = connect(&client, &server, "other.kong.example", version).await.client_refuses();
            assert_eq!(other.class, FailureClass::WrongName, "{other}");
            let server = pki_server(&named, &authority, NodeNames::Any);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.client_refuses();
            assert_eq!(failure.class, FailureClass::WrongName, "{failure}");
        }
    }

    #[tokio::test]
    async fn certificates_that_are_not_valid_now_are_refused() {
        let authority = authority();
        let past = SystemTime::now() - 2 * DAY..SystemTime::now() - DAY;
        let future = SystemTime::now() + DAY..SystemTime::now() + 2 * DAY;
        let good = (control_plane(&authority), node(&authority, "dp-1.kong.example"));
        for (version, when) in VERSIONS.into_iter().zip([past, future]) {
            let bad_node = identity(&authority.issue("dp-2.kong.example", &[], when.clone()));
            let server = pki_server(&good.0, &authority, NodeNames::Any);
            let client = pki_client(&bad_node, &authority);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.server_refuses();
            assert_eq!(failure.class, FailureClass::NotValidNow, "{failure}");

            let bad_server = identity(&authority.issue(CONTROL_PLANE, &[CONTROL_PLANE], when));
            let server = pki_server(&bad_server, &authority, NodeNames::Any);
            let client = pki_client(&good.1, &authority);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.client_refuses();
            assert_eq!(failure.class, FailureClass::NotValidNow, "{failure}");
        }
    }

    #[tokio::test]
    async fn a_stolen_certificate_is_refused() {
        let authority = authority();
        let (own, node) = (control_plane(&authority), node(&authority, "dp-1.kong.example"));
        for version in VERSIONS {
            let mut client = pki_client(&node, &authority);
            client.shows = thief(&node, &own);
            let server = pki_server(&own, &authority, NodeNames::Any);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.server_refuses();
            assert_eq!(failure.class, FailureClass::NotItsKey, "{failure}");
        }
    }

    #[tokio::test]
    async fn of_checked_names_those_below_the_own_domain_may_connect() {
        let authority = authority();
        let own = control_plane(&authority);
        let names = NodeNames::Only(CommonNames::new(&[], &own).unwrap());
        let server = pki_server(&own, &authority, names);
        for version in VERSIONS {
            for (name, allowed) in [
                ("DP-1.Kong.example", true),
                ("dp-1.other.example", false),
                ("kong.example", false),
                ("a.dp.kong.example", false),
            ] {
                let client = pki_client(&node(&authority, name), &authority);
                let outcome = connect(&client, &server, CONTROL_PLANE, version).await;
                if allowed {
                    outcome.both_are_content();
                } else {
                    let failure = outcome.server_refuses();
                    assert_eq!(failure.class, FailureClass::NameNotAllowed, "{failure}");
                    assert!(failure.to_string().contains(name), "{failure}");
                }
            }
        }
    }

    #[tokio::test]
    async fn of_checked_names_only_listed_ones_may_connect_where_there_is_a_list() {
        let authority = authority();
        let own = control_plane(&authority);
        let names = CommonNames::new(&["dp-1.other.example".to_owned()], &own).unwrap();
        let server = pki_server(&own, &authority, NodeNames::Only(names));
        for version in VERSIONS {
            let listed = pki_client(&node(&authority, "dp-1.other.example"), &authority);
            connect(&listed, &server, CONTROL_PLANE, version).await.both_are_content();
            let client = pki_client(&node(&authority, "dp-1.kong.example"), &authority);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.server_refuses();
            assert_eq!(failure.class, FailureClass::NameNotAllowed, "{failure}");
        }
    }

    #[tokio::test]
    async fn an_allowed_name_does_not_help_a_certificate_of_another_authority() {
        let (authority, other) = (authority(), authority());
        let own = control_plane(&authority);
        let names = CommonNames::new(&["dp-1.kong.example".to_owned()], &own).unwrap();
        let server = pki_server(&own, &authority, NodeNames::Only(names));
        for version in VERSIONS {
            let client = pki_client(&node(&other, "dp-1.kong.example"), &authority);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.server_refuses();
            assert_eq!(failure.class, FailureClass::UnknownAuthority, "{failure}");
        }
    }

    #[test]
    fn without_a_list_the_own_name_must_have_a_domain() {
        let error = CommonNames::new(&[], &cluster()).unwrap_err();
        assert!(error.to_string().contains("cluster_allowed_common_names"), "{error}");
    }

    #[tokio::test]
    async fn a_version_1_certificate_serves_as_ours_where_the_peer_takes_it() {
        let authority = authority();
        let (own, version_1) = (control_plane(&authority), cluster());
        for version in VERSIONS {
            let client = pki_client(&version_1, &authority);
            let server = shared_server(&own, &[&version_1]);
            connect(&client, &server, CONTROL_PLANE, version).await.both_are_content();
        }
    }

    #[tokio::test]
    async fn a_peers_version_1_certificate_is_refused_with_the_cure() {
        let authority = authority();
        let own = control_plane(&authority);
        for version in VERSIONS {
            let server = pki_server(&own, &authority, NodeNames::Any);
            let client = pki_client(&cluster(), &authority);
            let failure = connect(&client, &server, CONTROL_PLANE, version).await.server_refuses();
            assert_eq!(failure.class, FailureClass::BadCertificate);
            assert!(failure.to_string().contains("issue it again"), "{failure}");
        }
    }

    #[test]
    fn authorities_are_at_least_one() {
        assert_eq!(Authorities::new([]).unwrap_err(), TlsError::NoAuthority);
        assert_eq!(Authorities::new([AuthoritySource::Pem(b"")]).unwrap_err(), TlsError::NoCertificate);
    }
}
