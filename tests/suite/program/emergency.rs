//! An emergency change as docs/emergency.md goes through it: its very commands, in its order, with relay and node running.

use std::time::Duration;

use lifeboat_fakes::recorded;
use lifeboat_tests::document::typed;
use lifeboat_tests::keys::signing;
use lifeboat_tests::program::{Invocation, lifeboat};
use serde_json::Value;

use super::{Cluster, Store, VERSION, configuration, relay_address, stored};

const DOCUMENT: &str = include_str!("../../../docs/emergency.md");

/// The documented commands' arguments.
fn documented() -> Vec<Vec<String>> {
    typed(DOCUMENT).into_iter().map(|line| line.split(' ').skip(1).map(str::to_owned).collect()).collect()
}

fn with_keys(invocation: Invocation) -> Invocation {
    let (private, public) = signing("prod");
    invocation.with("LIFEBOAT_SIGNING_KEY", private).with("LIFEBOAT_TRUSTED_KEYS", public)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_steps_give_a_running_node_the_change_until_the_control_plane_is_back() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = with_keys(store.given_to(cluster.lifeboat(["export"]))).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.stop().await;
    let relay = store.given_to(cluster.lifeboat(["run", "--import", "on"])).with("LIFEBOAT_FOLLOW", "on");
    let relay = with_keys(relay).start();
    let node = cluster.node(relay_address(&relay).await);
    let first = configuration(&recorded::first());
    node.wait_for(|state| state.hash() == first.hash).await;

    let commands = documented();
    let names: Vec<&str> = commands.iter().map(|arguments| &*arguments[0]).collect();
    assert_eq!(names, ["show", "diff", "export", "list", "unpin"]);
    let url = store.settings.iter().find(|(name, _)| name.ends_with("CONFIG_STORAGE")).unwrap().1.clone();
    let file = cluster.path("kong.json");
    let fitted = |argument: &String| match &**argument {
        "s3://kong-backups/prod" => url.clone(),
        "file:kong.json" => format!("file:{}", file.display()),
        "kong.json" => file.display().to_string(),
        other => other.to_owned(),
    };
    let (mut changed, mut unpin) = (Value::Null, None);
    for arguments in &commands {
        let start = with_keys(lifeboat(arguments.iter().map(fitted)));
        if arguments[0] == "unpin" {
            unpin = Some(start);
            continue;
        }
        let done = start.finish().await;
        assert_eq!(done.code, Some(0), "{done}");
        match &*arguments[0] {
            "show" => {
                let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
                assert_eq!((mode & 0o777, &*done.stdout), (0o600, ""));
                changed = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                changed["services"][0]["host"] = "moved.example.com".into();
                changed["routes"].as_array_mut().unwrap().pop();
                std::fs::write(&file, changed.to_string()).unwrap();
            }
            "diff" => assert!(done.stdout.contains("moved.example.com"), "{done}"),
            "export" => {
                assert!(done.stdout.contains("as snapshot 2") && done.stdout.contains("LIFEBOAT_FOLLOW=on"), "{done}");
                assert!(
                    done.stderr.contains("it has fewer of these entities") && done.stderr.contains("routes 4 -> 3"),
                    "{done}"
                );
            }
            _ => assert!(done.stdout.contains("pinned"), "{done}"),
        }
    }
    let hash = stored::published(&store.objects).unwrap().expect("a manifest").config_hash;
    node.wait_for(|state| state.hash() == hash).await;
    let ran: Value = serde_json::from_slice(&node.configuration().unwrap()).unwrap();
    assert_eq!(ran["services"], changed["services"]);

    while cluster.control_plane.come_back().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.wait_for(|state| state.hash() == first.hash).await;
    assert_eq!(node.state().connections, 1);
    let unpinned = unpin.unwrap().finish().await;
    assert_eq!(unpinned.code, Some(0), "{unpinned}");
}

#[tokio::test]
async fn what_is_pinned_comes_from_a_file_or_a_node_and_not_from_the_control_plane() {
    let store = Store::folder();
    let wrong = store.given_to(lifeboat(["export", "--pin"])).with("KONG_VERSION", VERSION).finish().await;
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("--from file:PATH") && wrong.stderr.contains("lifeboat pin"), "{wrong}");
    let file = ["export", "--from", "file:kong.yml", "--hard"];
    let wrong = store.given_to(lifeboat(file)).finish().await;
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("--pin"), "{wrong}");
}
