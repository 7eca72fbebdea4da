//! Certificates that are replaced while the program runs: links that stand stay, and for a while old and new are good, on
//! both sides.

use std::path::Path;
use std::time::SystemTime;

use lifeboat_fakes::certificate::{Authority, ClusterCertificate, Credentials};
use lifeboat_fakes::control_plane::ControlPlaneOptions;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::{control_plane::ControlPlane, recorded};
use lifeboat_link::tls::{client_config_shared, server_config_shared};
use lifeboat_tests::cluster::identity;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{World, configuration};

fn write(folder: &Path, credentials: &Credentials) {
    // One after the other, as a person does: for a moment they are no pair.
    std::fs::write(folder.join("cluster.crt"), &credentials.certificate_pem).unwrap();
    std::fs::write(folder.join("cluster.key"), &credentials.key_pem).unwrap();
}

fn with_files(world: &mut World, folder: &Path, credentials: &Credentials) {
    write(folder, credentials);
    world.set("KONG_CLUSTER_CERT", folder.join("cluster.crt").display().to_string());
    world.set("KONG_CLUSTER_CERT_KEY", folder.join("cluster.key").display().to_string());
}

#[test]
fn after_a_rotation_nodes_and_control_planes_with_the_old_and_with_the_new_certificate_are_served() {
    play(async {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::begin().await;
        let old = world.certificate.clone();
        with_files(&mut world, folder.path(), &old);
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        let relay = companion.relay_address().unwrap();
        let before = world.node(relay);
        world.confirmed(before.node_id(), &configuration(&recorded::first())).await;

        let new = ClusterCertificate::version_1(SystemTime::now());
        write(folder.path(), &new);
        world.log.wait_for(&["INFO", "the cluster's certificates were changed"]).await;
        // Nodes with either, while the control plane still has the old one.
        let options = world.node_options(relay);
        let of_new = NodeOptions { tls: client_config_shared(&identity(&new)), ..options.clone() };
        let of_new = NodeOptions { node_id: "of-the-new".to_owned(), ..of_new };
        for options in [of_new.clone(), world.node_options(relay)] {
            let node = Actor::start(options);
            world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        }
        // The control plane gets the new one, too.
        let address = world.control_plane.address();
        world.control_plane.stop().await;
        let tls = server_config_shared(&[identity(&new).leaf().der().clone()], &identity(&new)).unwrap();
        let renewed = ControlPlane::start(ControlPlaneOptions { address, ..ControlPlaneOptions::new(tls) });
        let renewed = renewed.await.expect("its port is still free");
        renewed.push(recorded::after_change());
        let node = Actor::start(of_new);
        node.wait_for(|state| state.configuration == Some(configuration(&recorded::after_change()))).await;
        // And the node that was there all the time has kept its link.
        let after = configuration(&recorded::after_change());
        before.wait_for(|state| state.configuration.as_ref() == Some(&after)).await;
        assert_eq!(before.state().connections, 1);
        companion.stop().await;
    });
}

#[test]
fn a_changed_certificate_that_can_t_be_used_is_reported_and_the_one_before_stays() {
    play(async {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::begin().await;
        let old = world.certificate.clone();
        with_files(&mut world, folder.path(), &old);
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        std::fs::write(folder.path().join("cluster.key"), "nonsense").unwrap();
        let line = ["ERROR", "the changed certificates can't be used, so the previous ones stay in use"];
        world.log.wait_for(&line).await;
        world.log.wait_for(&["KONG_CLUSTER_CERT_KEY"]).await;
        let node = world.node(companion.relay_address().unwrap());
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        companion.stop().await;
    });
}

#[test]
fn with_an_authority_nodes_of_the_old_and_of_the_new_one_are_served() {
    play(async {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (Authority::new("the cluster's authority"), Authority::new("the cluster's next authority"));
        let ca = folder.path().join("ca.crt");
        std::fs::write(&ca, old.certificate_pem()).unwrap();
        let mut world = World::with_authority(&old).await;
        world.set("KONG_CLUSTER_CA_CERT", ca.display().to_string());
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let next = World::with_authority(&new).await;
        let companion = world.companion().await;
        let relay = companion.relay_address().unwrap();
        std::fs::write(&ca, new.certificate_pem()).unwrap();
        world.log.wait_for(&["INFO", "the cluster's certificates were changed"]).await;
        // Its own is still the old authority's, so a node of the new one is told to trust that.
        let of_new = lifeboat_link::tls::client_config_pki(
            &lifeboat_link::tls::Authorities::new([lifeboat_link::tls::AuthoritySource::Pem(
                old.certificate_pem().as_bytes(),
            )])
            .unwrap(),
            &identity(&next.certificate),
        );
        for options in [NodeOptions { tls: of_new, ..world.node_options(relay) }, world.node_options(relay)] {
            let node = Actor::start(options);
            node.wait_for(|state| state.applied == 1).await;
        }
        companion.stop().await;
    });
}
