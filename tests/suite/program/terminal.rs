//! What is seen on a terminal, and nowhere else: a line that moves while something takes long, colours, and tables that fit.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use rustix::process::Signal;

use super::commands::succeeds;
use super::{Cluster, Store, VERSION};

/// Takes back what is on the line.
const ERASED: &str = "\u{1b}[2K";

/// A store that says nothing until it is told to, and then that nothing is allowed. Gives its address.
fn slow_store(answers: Receiver<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = answers.recv();
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    endpoint
}

fn list_of_a_slow_store() -> (Invocation, Sender<()>) {
    let (answer, answers) = channel();
    let list = lifeboat(["list", "--storage", "s3://kong/backups"])
        .with("AWS_CONFIG_STORAGE_ENDPOINT", slow_store(answers))
        .with("AWS_ACCESS_KEY_ID", "AKID")
        .with("AWS_SECRET_ACCESS_KEY", "secret");
    (list, answer)
}

/// Whether letters are coloured or bold (ECMA-48, SGR).
fn has_colours(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_is_shown_on_a_terminal_and_gone_when_it_is_over() {
    let (list, answer) = list_of_a_slow_store();
    let running = list.on_a_terminal(80).start();
    running.shows("listing").await;
    answer.send(()).unwrap();
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let last = ended.stdout.rsplit_once("s listing its folders in s3://kong/backups").expect("it was shown").1;
    let (line, after) = last.split_once(ERASED).unwrap_or_else(|| panic!("it was left there: {ended:?}"));
    assert!(line.trim().is_empty() && after.contains("lifeboat: "), "{ended:?}");
    assert!(!has_colours(&ended.stdout), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_takes_back_what_is_shown() {
    let (list, _answer) = list_of_a_slow_store();
    let running = list.on_a_terminal(80).start();
    running.shows("listing").await;
    running.signal(Signal::INT);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(130), "{ended}");
    let after = ended.stdout.rsplit_once(ERASED).unwrap_or_else(|| panic!("it was left there: {ended:?}")).1;
    assert!(!after.contains("listing") && after.contains("SIGINT came before it was done"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_terminal_nothing_is_shown_of_what_takes_long() {
    let (list, answer) = list_of_a_slow_store();
    // As where a terminal is used for the results only.
    let running = list.with("TERM", "xterm-256color").start();
    // As long as it takes for something to be shown, and longer.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    answer.send(()).unwrap();
    let ended = running.ends().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended}");
    assert!(ended.stderr.starts_with("lifeboat: ") && !ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_color_takes_the_colours_out_of_help_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kong.yml");
    std::fs::write(&file, "_format_version: '3.0'\n").unwrap();
    let from = format!("file:{}", file.display());
    for (name, value, has) in [("LIFEBOAT_LOG", "info", true), ("NO_COLOR", "1", false), ("TERM", "dumb", false)] {
        let help = lifeboat(["--help"]).on_a_terminal(80).with(name, value).finish().await;
        assert_eq!(has_colours(&help.stdout), has, "{name}: {help:?}");
        // One that is kept already would be no news.
        let store = Store::folder();
        let export = store.given_to(lifeboat(["export", "--from", &from, "--kong-version", VERSION]));
        let log = export.on_a_terminal(80).with(name, value).finish().await;
        assert!(log.stdout.contains("INFO"), "{log:?}");
        assert_eq!(has_colours(&log.stdout), has, "{name}: {log:?}");
    }
}

/// What is wider than the terminal, but for words that would be: the key of an object is not broken.
fn too_wide(shown: &Finished, columns: usize) -> Vec<String> {
    let indent = 16;
    let is_too_wide = |line: &&str| {
        line.chars().count() > columns && line.split(' ').all(|word| indent + word.chars().count() <= columns)
    };
    shown.stdout.lines().map(|line| line.trim_end_matches('\r')).filter(is_too_wide).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_a_terminal_and_are_whole_elsewhere() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let export = || store.given_to(cluster.lifeboat(["export"]));
    cluster.control_plane.push(recorded::first());
    succeeds(export()).await;
    cluster.control_plane.push(recorded::after_change());
    succeeds(export()).await;
    for columns in [80, 40] {
        for arguments in
            [&["list"][..], &["show"], &["diff", "1", "2"], &["verify", "--all"], &["doctor", "--export", "on"]]
        {
            let command = || store.given_to(cluster.lifeboat([]).and(arguments));
            let shown = command().on_a_terminal(columns).finish().await;
            assert!(shown.stdout.contains("3.9.1"), "{shown}");
            assert_eq!(too_wide(&shown, columns.into()), Vec::<String>::new(), "{arguments:?} on {columns}: {shown}");
            let piped = command().finish().await;
            let widest = piped.stdout.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest > 80, "{arguments:?} is folded where nobody looks: {piped}");
        }
    }
}
