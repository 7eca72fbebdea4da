//! What `--help` says besides what clap makes of the definition: commands in groups, examples, exit codes.

use std::fmt::Write;

use clap::Command;
use clap::builder::StyledStr;

use super::examples::{Example, examples_of};
use super::settings_help::settings;
use crate::terminal::terminal_width;

/// The terminal that help is laid out for.
const WIDTH: usize = 80;
/// On a still narrower one, examples are not broken any further.
const NARROWEST: usize = 40;

/// Which commands are listed together, and what they have in common.
const GROUPS: &[(&str, &[&str])] = &[
    ("Run", &["run", "status", "healthcheck"]),
    ("Export or restore once", &["export", "import", "exec", "presign"]),
    ("Inspect backups", &["doctor", "list", "show", "diff", "verify"]),
    ("Decide what is restored", &["release", "rollback", "pin", "unpin", "prune"]),
    ("Rehearse and set up", &["drill", "demo", "keygen", "schema", "completions", "man", "help"]),
];

/// How the program ends.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "it is done"),
    (1, "it failed"),
    (2, "wrong usage or settings"),
    (3, "there was nothing to do"),
    (4, "diff --exit-code: they differ"),
];

/// The definition with its help.
pub(super) fn explained(program: Command) -> Command {
    let (template, after) = (template(&program), after_program());
    let program = program.mut_subcommands(|command| with_examples(command, ""));
    program.help_template(template).after_help(after)
}

fn with_examples(command: Command, above: &str) -> Command {
    let path = format!("{above}{}", command.get_name());
    let examples = examples_of(&path);
    let settings = settings(&path, command.get_styles(), width());
    let below = format!("{path} ");
    let command = command.mut_subcommands(|command| with_examples(command, &below));

    match settings {
        None => command.after_help(section(examples)),
        // The short help fits a small terminal.
        Some(mut all) => {
            let _ = write!(all, "\n\n{}", section(examples));
            let rest = format!("lifeboat {path} --help lists all settings in groups, secrets included.");
            let first: Vec<Example> = examples.iter().take(1).map(|first| Example { remark: "", ..*first }).collect();
            command.after_help(format!("{}\n\n{rest}", section(&first))).after_long_help(all)
        }
    }
}

// clap lists commands in one list, and most of twenty would be looked past.
fn template(program: &Command) -> StyledStr {
    let header = program.get_styles().get_header();
    let mut text = StyledStr::new();

    text.push_str("{about-with-newline}\n{usage-heading} {usage}\n");
    for (title, names) in GROUPS {
        let _ = write!(text, "\n{header}{title}:{header:#}\n");
        for name in *names {
            let about = match program.find_subcommand(name) {
                Some(command) => command.get_about().map(ToString::to_string).unwrap_or_default(),
                None => "Print this help, or that of a command".to_owned(),
            };
            let literal = program.get_styles().get_literal();
            let _ = writeln!(text, "  {literal}{name:<12}{literal:#} {about}");
        }
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    text
}

fn after_program() -> String {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, meaning)| format!("  {code}  {meaning}")).collect();
    format!(
        "{}\n\nExit codes:\n{}\n\nEvery setting is a variable and a flag: lifeboat COMMAND --help lists them all.\n\
         docs/glossary.md explains words such as snapshot, held, pinned and relay.",
        section(examples_of("")),
        codes.join("\n")
    )
}

// On a narrower one clap would fold the lines, and what is pasted then would be several commands.
fn width() -> usize {
    terminal_width().map_or(WIDTH, |width| width.clamp(NARROWEST, WIDTH))
}

fn section(examples: &[Example]) -> String {
    let width = width();
    let title = if examples.len() == 1 { "Example:" } else { "Examples:" };
    examples.iter().fold(title.to_owned(), |text, example| {
        let remark = if example.remark.is_empty() { String::new() } else { format!("\n  # {}", example.remark) };
        let lines: String = broken(example.line, width - 2).iter().map(|line| format!("\n  {line}")).collect();
        format!("{text}{remark}{lines}")
    })
}

/// A command's line in lines of at most so many columns, as a shell puts them together again. A flag stays with its value.
pub fn broken(line: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words(line) {
        match lines.last_mut() {
            // A blank and the backslash come after it.
            Some(last) if last.len() + 1 + word.len() + 2 <= width => {
                last.push(' ');
                last.push_str(&word);
            }
            Some(last) => {
                last.push_str(" \\");
                lines.push(format!("    {word}"));
            }
            None => lines.push(word),
        }
    }

    lines
}

// What belongs on one line.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match words.last_mut() {
            Some(last) if (last.starts_with("--") && !word.starts_with("--") && !last.contains(' ')) || last == ">" => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::{definition, read};
    use super::*;
    use crate::settings::names::{Group, SETTINGS, Setting};
    use crate::settings::read_by;

    /// Each command, also those below others, by what is typed after `lifeboat`.
    fn all(command: &Command, above: &[String]) -> Vec<Vec<String>> {
        let below = command.get_subcommands().filter(|command| command.get_name() != "help");
        let below = below.flat_map(|command| all(command, &[above, &[command.get_name().to_owned()]].concat()));
        [above.to_vec()].into_iter().chain(below).collect()
    }

    fn help(path: &[String], flag: &str) -> String {
        let arguments = ["lifeboat".to_owned()].into_iter().chain(path.iter().cloned()).chain([flag.to_owned()]);
        definition().term_width(WIDTH).try_get_matches_from(arguments).unwrap_err().to_string()
    }

    /// The lines that can be pasted, put together again as a shell does.
    fn pasted(help: &str) -> Vec<String> {
        let joined = help.replace("\\\n", " ");
        let examples = joined.split("\nExample").nth(1).unwrap_or_default().to_owned();
        let is_command = |line: &&str| line.split_whitespace().find(|word| !word.contains('=')) == Some("lifeboat");
        examples.lines().filter(is_command).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn each_example_in_the_help_of_each_command_is_one_of_its_own_and_is_accepted() {
        let commands = all(&definition(), &[]);
        assert!(commands.contains(&vec!["run".to_owned()]), "{commands:?}");
        for path in commands {
            let help = help(&path, "--help");
            let examples = pasted(&help);
            assert!(!examples.is_empty(), "{path:?} has no example (companion/src/cli/examples.rs):\n{help}");
            for example in examples {
                let command = example.split(" > ").next().unwrap().split(" | ").next().unwrap();
                let words: Vec<&str> = command.split_whitespace().skip_while(|word| *word != "lifeboat").collect();
                let own = words[1..].iter().zip(&path).filter(|(typed, own)| typed == own).count();
                assert_eq!(own, path.len(), "an example of another command in {path:?}: {example}");
                let matches = definition().try_get_matches_from(&words);
                let matches = matches.unwrap_or_else(|error| panic!("{example}: {error}"));
                // Of a file that isn't here nothing can be read, and nothing else is wrong.
                for problem in read(&matches, []).source.file_problems() {
                    assert!(problem.contains("can't be read"), "{example}: {problem}");
                }
            }
        }
    }

    #[test]
    fn the_help_fits_a_terminal_of_80_columns() {
        for path in all(&definition(), &[]) {
            for flag in ["-h", "--help"] {
                let help = help(&path, flag);
                let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap();
                assert!(widest.chars().count() <= WIDTH, "{path:?} {flag}: {widest}");
            }
        }
    }

    #[test]
    fn each_command_is_in_one_group_and_explained_in_one_line() {
        let definition = definition();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for command in definition.get_subcommands() {
            let name = command.get_name();
            let times = grouped.iter().filter(|other| **other == name).count();
            assert_eq!(times, 1, "{name} is in {times} groups (companion/src/cli/help.rs)");
        }
        for name in grouped.iter().filter(|name| **name != "help") {
            assert!(definition.find_subcommand(name).is_some(), "{name} is no command");
        }
    }

    /// The settings that a help names.
    fn named(help: &str) -> Vec<&'static str> {
        let words: Vec<&str> = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').collect();
        let is_named = |setting: &&Setting| {
            let flag = setting.flag.map(|flag| format!("--{flag}"));
            flag.is_some_and(|flag| words.contains(&flag.as_str())) || words.contains(&setting.variable)
        };
        SETTINGS.iter().filter(is_named).map(|setting| setting.variable).collect()
    }

    /// Whether the help names a variable for a file: of secrets, and of the one list of keys that is none.
    fn is_said_to_stand_in_a_file(setting: &Setting) -> bool {
        setting.flag.is_none() || setting.variable == "LIFEBOAT_TRUSTED_KEYS"
    }

    /// A help without its examples.
    fn without_examples(help: &str) -> &str {
        help.split("\nExample").next().unwrap()
    }

    #[test]
    fn the_short_help_of_run_fits_a_screen_of_80_by_24() {
        let help = help(&["run".to_owned()], "-h");
        assert!(help.lines().count() < 24, "the prompt comes below it:\n{help}");
        assert!(help.lines().all(|line| line.chars().count() <= WIDTH), "{help}");
        assert!(help.contains("lifeboat run --help lists all settings"), "{help}");
    }

    #[test]
    fn the_short_help_shows_at_most_eight_settings_and_the_long_one_all_that_are_read() {
        for path in all(&definition(), &[]).into_iter().filter(|path| !path.is_empty()) {
            let command = path.join(" ");
            let short = help(&path, "-h");
            let settings = named(without_examples(&short));
            assert!(settings.len() <= 8, "{command}: {settings:?}\n{short}");
            let long = help(&path, "--help");
            let read: Vec<&str> = read_by(&command).iter().map(|name| name.variable()).collect();
            for setting in SETTINGS {
                let heading = match setting.flag {
                    Some(flag) => format!("\n  --{flag} <"),
                    None => format!("\n  {}  (a secret)\n", setting.variable),
                };
                let is_read = read.contains(&setting.variable);
                assert_eq!(long.contains(&heading), is_read, "{command}: {}\n{long}", setting.variable);
                let in_file = format!("[or in a file: {}_FILE]", setting.variable);
                let joined = long.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(
                    joined.contains(&in_file),
                    is_read && is_said_to_stand_in_a_file(setting),
                    "{command}: {in_file}"
                );
            }
        }
    }

    #[test]
    fn the_long_help_is_in_groups_and_the_authority_for_the_store_is_where_one_looks() {
        let help = help(&["run".to_owned()], "--help");
        let titles: Vec<usize> = Group::ALL
            .iter()
            .map(|group| {
                let title = format!("\n\n{}:\n", group.title());
                help.find(&title).unwrap_or_else(|| panic!("{title} is missing in:\n{help}"))
            })
            .collect();
        assert!(titles.is_sorted(), "{help}");
        let tls = help.split_once("\n\nTLS: ").unwrap().1.split("\n\n").next().unwrap();
        assert!(tls.contains("--storage-ca <VALUE>  (LIFEBOAT_STORAGE_CA)"), "{tls}");
    }

    #[test]
    fn a_long_line_is_broken_where_a_shell_puts_it_together_again() {
        let line = "lifeboat run --export on --storage s3://backups/kong > file";
        let lines = broken(line, 30);
        assert_eq!(lines, ["lifeboat run --export on \\", "    --storage s3://backups/kong \\", "    > file"]);
        assert_eq!(broken(line, 99), [line]);
    }
}
