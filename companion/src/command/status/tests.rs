//! What is shown of lifeboats, from what they say.

use std::net::SocketAddr;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::*;

const WIDTH: usize = 80;

/// What the lifeboat at this address shows of its nodes on a terminal of 80 columns.
pub(crate) async fn shown_at(address: SocketAddr) -> String {
    let url = PageUrl { authority: address.to_string(), path: "/status".to_owned() };
    let answers = ask_all(&[(address.to_string(), url)], Duration::from_secs(30)).await;
    tables::of(&answers, Some(WIDTH), 20)
}

/// The answer that docs/status.md shows.
fn documented() -> Value {
    let document = include_str!("../../../../docs/status.md");
    let (_, after) = document.split_once("<!-- status -->\n```json\n").unwrap();
    serde_json::from_str(after.split_once("```\n").unwrap().0).unwrap()
}

fn said(name: &str, whole: Value) -> Answer {
    let status = StatusAnswer::read(&whole);
    Answer { name: name.to_owned(), said: status.map(|status| Said { status, whole }).map_err(|error| anyhow!(error)) }
}

fn silent(name: &str) -> Answer {
    Answer { name: name.to_owned(), said: Err(anyhow!("nothing listens on {name}")) }
}

fn row<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word} in:\n{text}"))
}

/// A relay's answer with so many nodes that run the same, and some that don't.
fn with_nodes(count: usize, troubled: usize) -> Value {
    let mut page = documented();
    let node = page["relay"]["nodes"][0].clone();
    let nodes = (0..count).map(|number| {
        let mut node = node.clone();
        node["hostname"] = json!(format!("kong-dp-7c9d5b8f6-{number:05}"));
        if number < troubled {
            node["config_hash"] = json!("00000000000000000000000000000000");
            node["config_from"] = json!("nowhere");
            node["trouble"] = json!("the snapshot has 9 bytes and it takes 8: raise cluster_max_payload on the node");
        }
        node
    });
    page["relay"]["nodes"] = nodes.collect();
    page["relay"]["nodes_connected"] = json!(count);
    page
}

#[test]
fn what_a_lifeboat_says_is_a_table_with_what_needs_attention_below_it() {
    let text = tables::of(&[said("127.0.0.1:8115", documented())], None, 20);
    let lifeboat = row(&text, "127.0.0.1:8115");
    for shown in ["0.1.0", "1 d", "NOT READY", "ready", "12", "cp.example.com:8005", "s3://kong-backups/prod"] {
        assert!(lifeboat.contains(shown), "{shown}: {text}");
    }
    let export = row(&text, "leader");
    for shown in ["3.9.1", "connected", "5d41402abc4b2a76b9719d911017c592", "delayed", "41", "confirmed", "1 min"] {
        assert!(export.contains(shown), "{shown}: {text}");
    }
    let node = row(&text, "edge-7");
    for shown in ["3.9.1", "7d793037a0760186574b0282f2f435e7", "control plane", "linked", "5 h"] {
        assert!(node.contains(shown), "{shown}: {text}");
    }
    assert!(text.contains("export is not ready: configuration 5d41402abc4b2a76b9719d911017c592"), "{text}");
    assert_eq!(text.matches("nodes of Kong 3.8.1").count(), 1, "it is said once: {text}");
}

#[test]
fn a_follower_names_who_leads() {
    let mut page = documented();
    page["export"][0]["leadership"] = json!({ "role": "follower", "leader": "backup-2" });
    page["export"][0]["ready"] = json!(true);
    let text = tables::of(&[said("here", page)], Some(WIDTH), 20);
    assert!(row(&text, "3.9.1").contains("follower of backup-2"), "{text}");
    assert!(!text.contains("NOT READY"), "{text}");
}

#[test]
fn of_several_each_row_and_each_note_names_its_own_and_a_silent_one_hides_no_other() {
    let mut other = documented();
    other["relay"]["nodes"][0]["hostname"] = json!("edge-9");
    let text = tables::of(&[said("one:8115", documented()), silent("two:8115"), said("three:8115", other)], None, 20);
    assert!(row(&text, "no answer").starts_with("two:8115"), "{text}");
    assert!(text.contains("two:8115: nothing listens on two:8115"), "{text}");
    assert!(row(&text, "edge-7").starts_with("one:8115") && row(&text, "edge-9").starts_with("three:8115"), "{text}");
    assert!(text.contains("three:8115: Kong 3.9.1: export is not ready"), "{text}");
}

#[test]
fn thousands_of_nodes_are_a_few_lines_and_those_in_trouble_are_named() {
    let text = tables::of(&[said("relay:8115", with_nodes(5_000, 3))], Some(WIDTH), 20);
    assert!(text.lines().count() < 40, "{text}");
    assert!(row(&text, "4997").contains("3.9.1  7d793037a0760"), "{text}");
    assert!(row(&text, "nothing").contains(" 3 "), "{text}");
    assert!(text.contains("node kong-dp-7c9d5b8f6-00002: the snapshot has 9 bytes"), "{text}");
    let many = tables::of(&[said("relay:8115", with_nodes(5_000, 900))], Some(WIDTH), 20);
    assert!(many.contains("880 more nodes have trouble"), "{many}");
}

#[test]
fn it_fits_a_terminal_and_says_what_it_had_to_leave_out() {
    for width in [60, WIDTH, 120] {
        let text = tables::of(&[said("127.0.0.1:8115", with_nodes(20, 2))], Some(width), 20);
        let is_too_wide = |line: &&str| line.width() > width && line.trim().contains(' ');
        assert_eq!(text.lines().find(is_too_wide), None, "{width}:\n{text}");
        assert!(text.contains("Shortened to fit this terminal: --output json has all of it"), "{text}");
    }
    assert!(!tables::of(&[said("here", documented())], None, 20).contains("Shortened"));
}

#[test]
fn without_ages_it_changes_only_when_something_has_happened() {
    let mut later = documented();
    later["now"] = json!("2026-11-21T14:31:07.000Z");
    let ageless = |page| tables::ageless(&[said("here", page)]);
    assert_eq!(ageless(documented()), ageless(later.clone()));
    later["relay"]["nodes"][0]["config_from"] = json!("store");
    assert_ne!(ageless(documented()), ageless(later));
}

#[test]
fn nothing_that_a_lifeboat_says_moves_the_cursor() {
    let mut page = documented();
    page["relay"]["nodes"][0]["hostname"] = json!("edge\u{1b}[2J");
    page["export"][0]["reason"] = json!("\u{1b}]0;title\u{7}");
    let text = tables::of(&[said("here", page)], None, 20);
    assert!(!text.contains('\u{1b}') && text.contains("edge\\u{1b}[2J"), "{text:?}");
}

#[test]
fn what_is_no_status_or_a_later_one_is_said_to_be_so() {
    let error = |page| format!("{:#}", said("here", page).said.unwrap_err());
    assert!(error(json!({ "format": 2 })).contains("this lifeboat reads format 1"));
    assert!(error(json!({ "status": "ok" })).contains("something else listens there"));
    assert!(error(json!({ "format": 1 })).contains("can't be read"));
    // What a later lifeboat of the same format adds is skipped.
    let mut later = documented();
    later["new"] = json!(1);
    assert!(said("here", later).said.is_ok());
}

#[test]
fn json_has_the_whole_of_each_answer_or_why_there_is_none() {
    let text = as_json(&[said("one", documented()), silent("two")]);
    let whole: Value = serde_json::from_str(&text).unwrap();
    let all = &whole["lifeboats"];
    assert_eq!(
        (&all[0]["lifeboat"], &all[0]["status"], &all[0]["error"]),
        (&json!("one"), &documented(), &Value::Null)
    );
    assert_eq!((&all[1]["status"], &all[1]["error"]), (&Value::Null, &json!("nothing listens on two")));
}
