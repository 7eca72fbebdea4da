//! The documents of `docs/`, followed to the letter: every command in them is run, and prints what it is said to.

use std::net::TcpListener;
use std::path::Path;

use lifeboat_tests::document::{Piece, Shell, pieces};
use lifeboat_tests::program;

/// What documents call things, and what these are on this machine while one is followed.
struct Places(Vec<(&'static str, String)>);

impl Places {
    fn in_folder(folder: &Path) -> Self {
        // Ports that were free a moment ago: the documents' own are the defaults, which somebody may use.
        let listeners: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address = |number: usize| listeners[number].local_addr().unwrap().to_string();
        let (control_plane, folder) = (address(0), folder.display());
        Self(vec![
            ("127.0.0.1:9005", control_plane.clone()),
            ("cp.example.com:8005", control_plane),
            ("127.0.0.1:8005", address(1)),
            ("127.0.0.1:8115", address(2)),
            ("/etc/kong/", format!("{folder}/etc-kong/")),
            ("/etc/lifeboat", format!("{folder}/etc-lifeboat")),
            ("s3://kong-backups/prod", format!("file://{folder}/kong-backups")),
        ])
    }

    fn fit(&self, commands: &str) -> String {
        self.0.iter().fold(commands.to_owned(), |commands, (written, here)| commands.replace(written, here))
    }

    fn get(&self, name: &str) -> String {
        self.0.iter().find(|(written, _)| *written == name).expect("it is one of these").1.clone()
    }
}

/// Does what a document says, in an empty folder.
async fn follow(name: &str) {
    let document = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(name);
    let document = std::fs::read_to_string(&document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    let folder = tempfile::tempdir().unwrap();
    let places = Places::in_folder(folder.path());
    let path = format!("{}:{}", program::folder().display(), std::env::var("PATH").unwrap());
    let variables = [
        ("PATH", path),
        ("HOME", folder.path().display().to_string()),
        ("LIFEBOAT_RELAY_LISTEN", places.get("127.0.0.1:8005")),
        ("LIFEBOAT_HTTP_LISTEN", places.get("127.0.0.1:8115")),
    ];
    let mut shell = Shell::start(folder.path(), &variables).await;
    let mut blocks = 0;
    for piece in pieces(&document) {
        match piece {
            Piece::Stage(commands) => drop(shell.run(&places.fit(&commands)).await),
            Piece::Commands(commands) => {
                let printed = shell.run(&places.fit(&commands.text)).await;
                let fitted = commands.prints.iter().map(|line| places.fit(line)).collect();
                let line = commands.line;
                let commands = lifeboat_tests::document::Commands { prints: fitted, ..commands };
                if let Some(missing) = commands.missing_in(&printed) {
                    panic!("the block on line {line} does not print {missing:?}, but:\n{printed}");
                }
                blocks += 1;
            }
            Piece::Elsewhere(..) => {}
        }
    }
    assert!(blocks > 0, "there is nothing to follow");
}

#[tokio::test(flavor = "multi_thread")]
async fn getting_started_goes_from_nothing_to_a_rehearsed_outage() {
    follow("getting-started.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runbooks_commands_do_what_it_says_in_each_of_its_situations() {
    follow("runbook.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn troubleshooting_begins_with_commands_that_work() {
    follow("troubleshooting.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kongs_own_backup_is_taken_over_step_by_step_and_given_back() {
    follow("enterprise.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_works_shows_what_it_claims() {
    follow("how-it-works.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_security_model_says_of_keys_is_so() {
    follow("security.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_looked_at_and_decided_upon_as_written() {
    follow("backups.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_pages_are_made_as_written() {
    follow("command-line.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_keeps_relays_and_looks_at_it() {
    follow("../README.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_goes_as_written_and_a_backup_is_read_without_lifeboat() {
    follow("upgrading.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_checked_as_written() {
    follow("notifications.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_steps_lead_into_production() {
    follow("production.md").await;
}
