//! What a packager takes out of the program: completions for shells, and manual pages.

use std::path::Path;
use std::process::{Command, Output};

use lifeboat::cli;
use lifeboat_tests::program::lifeboat;

use super::commands::{mode, succeeds};

fn bash(arguments: &[&str]) -> Output {
    Command::new("bash").args(["--norc", "--noprofile"]).args(arguments).output().expect("there is a bash")
}

/// What bash offers in the place of the last of these words.
fn offered(script: &Path, words: &[&str]) -> Vec<String> {
    let (last, before) = (words.last().unwrap(), words[words.len() - 2]);
    let line = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; _lifeboat lifeboat '{last}' '{before}' 2>/dev/null; echo \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1,
    );
    let offered = String::from_utf8(bash(&["-c", &line]).stdout).unwrap();
    offered.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("lifeboat.bash");
    std::fs::write(&script, succeeds(lifeboat(["completions", "bash"])).await.stdout).unwrap();
    let checked = bash(&["-n", script.to_str().unwrap()]);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    assert_eq!(offered(&script, &["lifeboat", "ro"]), ["rollback"]);
    assert_eq!(
        offered(&script, &["lifeboat", "rollback", "--sto"]),
        ["--storage", "--storage-ca", "--storage-addressing", "--storage-emulator-host"]
    );
    assert_eq!(offered(&script, &["lifeboat", "run", "--election", ""]), ["auto", "lease", "registry", "none"]);
    assert_eq!(offered(&script, &["lifeboat", "list", "--output", "j"]), ["json"]);
    // What no secret is given with.
    assert_eq!(offered(&script, &["lifeboat", "run", "--signing"]), [""; 0]);
}

#[tokio::test]
async fn other_shells_are_told_of_every_command() {
    let definition = cli::definition();
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = succeeds(lifeboat(["completions", shell])).await.stdout;
        for command in definition.get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
}

#[tokio::test]
async fn every_command_has_a_manual_page_that_everybody_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let written = succeeds(lifeboat(["man", "--folder", pages.to_str().unwrap()])).await;
    let definition = cli::definition();
    let names = definition.get_subcommands().map(|command| format!("lifeboat-{}.1", command.get_name()));
    let expected: Vec<String> =
        names.filter(|name| name != "lifeboat-help.1").chain(["lifeboat.1".to_owned()]).collect();
    for name in &expected {
        let (page, title) = (pages.join(name), format!(".TH {}", name.trim_end_matches(".1")));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.lines().any(|line| line.starts_with(&title)), "{text}");
        // This test's own mask may be stricter.
        assert_eq!(mode(&page), mode_of_a_new_file(folder.path()), "{name}");
    }
    assert!(written.stdout.starts_with(&format!("{} pages are in ", std::fs::read_dir(&pages).unwrap().count())));
    let printed = succeeds(lifeboat(["man"])).await.stdout;
    assert_eq!(printed, std::fs::read_to_string(pages.join("lifeboat.1")).unwrap());
}

fn mode_of_a_new_file(folder: &Path) -> u32 {
    let file = folder.join("new");
    std::fs::write(&file, "").unwrap();
    mode(&file)
}
