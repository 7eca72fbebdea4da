//! How settings stand in the help of a command: the few that it needs in the short one, and in the long one all that it reads,
//! secrets included, below the heading of what they are about.

use std::fmt::Write;

use clap::builder::{StyledStr, Styles};

use crate::settings::names::{self, Group, Name, SETTINGS, Setting};
use crate::settings::read_by;
use crate::terminal::folded;

/// Above those in the short help.
pub(super) const SHORT_HEADING: &str = "Settings to begin with";

/// The flag for a file of Kong's own settings, which is no setting itself.
pub(super) const KONG_CONF: &str = "kong-conf";

/// What a command needs first, with the name of its value and a meaning for one line: the README's eight settings that matter,
/// and what commands need that work beside a node, or beside a running lifeboat.
const FIRST: &[(Name, &str, &str)] = &[
    (names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE, "URL", "the store, such as s3://bucket/prefix"),
    (names::KONG_CLUSTER_FALLBACK_CONFIG_EXPORT, "on|off", "export what the control plane sends"),
    (names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT, "on|off", "be the relay that restores new nodes"),
    (names::KONG_VERSION, "VERSION", "of your data planes, such as 3.9.1"),
    (names::LIFEBOAT_CONTROL_PLANE, "HOST:PORT", "the control plane's cluster listener"),
    (names::KONG_CLUSTER_CERT, "PATH", "the cluster certificate"),
    (names::KONG_CLUSTER_CERT_KEY, "PATH", "its private key"),
    (names::LIFEBOAT_TRUSTED_KEYS, "KEYS", "accept only what these keys have signed"),
];
const FOR_NODES: &[(Name, &str, &str)] = &[(names::KONG_PREFIX, "PATH", "the prefix of the node's Kong")];
const FOR_PAGES: &[(Name, &str, &str)] = &[
    (names::LIFEBOAT_HTTP_LISTEN, "ADDRESS", "where that lifeboat serves its status"),
    (names::LIFEBOAT_HEALTH_LISTEN, "ADDRESS", "where it serves health alone"),
];

/// Whether a command that reads these settings may find one of them in a `kong.conf`.
pub(super) fn reads_kong_conf(names: &[Name]) -> bool {
    names.iter().any(|name| name.variable().starts_with("KONG_"))
}

/// How a setting stands in the short help of a command: the name of its value, and its meaning. None if it doesn't.
pub(super) fn in_short(command: &str, name: Name) -> Option<(&'static str, &'static str)> {
    let further = match command {
        "import" => FOR_NODES,
        "healthcheck" | "status" => FOR_PAGES,
        _ => &[],
    };
    // A gateway's own role decides, and nothing is exported.
    let is_left_out = command == "exec" && name == names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT;
    let known = FIRST.iter().chain(further).find(|(known, ..)| *known == name && !is_left_out);
    known.map(|(_, value, help)| (*value, *help))
}

/// The settings that a command reads, in groups, for a terminal of so many columns; none if it reads none.
pub(super) fn settings(command: &str, styles: &Styles, width: usize) -> Option<StyledStr> {
    let names = read_by(command);
    let read: Vec<&Setting> = SETTINGS.iter().filter(|setting| names.contains(&setting.name())).collect();
    if read.is_empty() {
        return None;
    }

    let (header, mut text) = (styles.get_header(), StyledStr::new());
    let _ = writeln!(text, "{header}Settings:{header:#}");
    let _ = write!(text, "{}", indented(&introduction(&names), width, 2));
    for group in Group::ALL {
        let mut of_group = read.iter().filter(|setting| setting.group == group).peekable();
        let is_last = group == Group::Logging;
        if of_group.peek().is_none() {
            continue;
        }
        let _ = write!(text, "\n\n{header}{}:{header:#}", group.title());
        for setting in of_group {
            write_setting(&mut text, setting, styles, width);
        }
        if is_last && reads_kong_conf(&names) {
            write_kong_conf(&mut text, styles, width);
        }
    }
    Some(text)
}

fn introduction(names: &[Name]) -> String {
    let kongs = if reads_kong_conf(names) {
        " Kong's own settings, KONG_..., can also stand in a kong.conf, and each of them in a file: KONG_..._FILE names it."
    } else {
        ""
    };
    format!("Each is a flag and a variable, and may be a line of a settings file.{kongs} A secret has no flag.")
}

fn write_setting(text: &mut StyledStr, setting: &Setting, styles: &Styles, width: usize) {
    let (literal, place) = (styles.get_literal(), styles.get_placeholder());
    let variable = setting.variable;
    match setting.flag {
        Some(flag) => {
            let value = FIRST.iter().find(|(name, ..)| *name == setting.name()).map_or("VALUE", |(_, value, _)| value);
            // Both on one line, where they fit.
            let length = format!("  --{flag} <{value}>  ({variable})").len();
            let gap = if length <= width { "  " } else { "\n      " };
            let _ = write!(text, "\n  {literal}--{flag}{literal:#} {place}<{value}>{place:#}{gap}({variable})");
        }
        None => {
            let _ = write!(text, "\n  {literal}{variable}{literal:#}  (a secret)");
        }
    }

    let default = match setting.default {
        "none" => String::new(),
        default => format!(" [default: {default}]"),
    };
    // Kong's own can all stand in files, as it is said above.
    let is_said = setting.flag.is_some() && variable.starts_with("KONG_");
    let in_file = match setting.may_be_in_file() && !is_said {
        true => format!(" [or in a file: {variable}_FILE]"),
        false => String::new(),
    };
    let meaning = format!("{}{default}{in_file}", setting.meaning).replace('`', "");
    let _ = write!(text, "\n{}", indented(&meaning, width, 10));
}

fn write_kong_conf(text: &mut StyledStr, styles: &Styles, width: usize) {
    let (literal, place) = (styles.get_literal(), styles.get_placeholder());
    let meaning = "a kong.conf to read Kong's settings from; a settings file, the environment and flags win over it";
    let _ = write!(text, "\n  {literal}--{KONG_CONF}{literal:#} {place}<PATH>{place:#}");
    let _ = write!(text, "\n{}", indented(meaning, width, 10));
}

// The whole text in lines that fit, each that far from the left.
fn indented(text: &str, width: usize, indent: usize) -> String {
    format!("{:indent$}{}", "", folded(text, Some(width), indent, indent))
}
