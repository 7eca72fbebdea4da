//! docs/drill.md: its commands, run as they stand there, and the members of its example.

use lifeboat_tests::document::typed;

use super::*;

const DOCUMENT: &str = include_str!("../../../../docs/drill.md");

fn members(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members_of) => {
            for (name, value) in members_of {
                found.push(format!("{at}/{name}"));
                members(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(elements) => elements.iter().take(1).for_each(|element| members(element, at, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_commands_pass_and_print_what_is_documented() {
    let site = Site::in_a_folder().await;
    let file = site.cluster.path("lifeboat-drill.prom");
    let commands = typed(DOCUMENT);
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in &commands {
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        let fitted = arguments.iter().map(|argument| match *argument {
            "/var/lib/node_exporter/lifeboat-drill.prom" => file.to_str().unwrap(),
            other => other,
        });
        let drill = lifeboat(fitted).with("KONG_VERSION", VERSION).with("KONG_CLUSTER_CERT", &site.cluster.certificate);
        let done = ends(site.store.given_to(drill.with("KONG_CLUSTER_CERT_KEY", &site.cluster.key)), 0).await;
        if arguments.contains(&"json") {
            let (_, example) = DOCUMENT.split_once("```json\n").expect("there is an example");
            let example: Value = serde_json::from_str(example.split_once("```").unwrap().0).unwrap();
            let (mut documented, mut printed) = (Vec::new(), Vec::new());
            members(&example, "", &mut documented);
            members(&json(&done), "", &mut printed);
            documented.retain(|member| !member.contains("/kong/"));
            assert_eq!(documented, printed, "docs/drill.md differs from what is printed");
        }
    }
    assert!(std::fs::read_to_string(file).unwrap().contains("lifeboat_drill_success{kong_version=\"3.9.1\"} 1"));
}
