//! What messages name beside a variable: its flag, or the place where it is set.

use super::names::SETTINGS;

/// A text about settings, with each one's flag beside its variable where it is first named. `place` gives what is said there
/// instead, such as the line of a file in which it is set.
pub(super) fn with_flag(text: &str, place: impl Fn(&str) -> Option<String>) -> String {
    SETTINGS.iter().fold(text.to_owned(), |text, setting| {
        let Some(end) = mention(&text, setting.variable) else { return text };
        let (before, after) = text.split_at(end);
        let beside = match place(setting.variable) {
            Some(place) => place,
            None => match setting.flag {
                Some(flag) => format!("--{flag}"),
                None => return text,
            },
        };
        // Where it stands, or its flag, may have been said already.
        if [" (", " in "].iter().any(|said| after.starts_with(said)) {
            return text;
        }
        format!("{before} ({beside}){after}")
    })
}

// Where the first mention of a variable ends. LIFEBOAT_AWS_REGION and AWS_REGION_FILE are no mentions of AWS_REGION.
// Mentions in parentheses don't count, because further parentheses inside them would be hard to read.
fn mention(text: &str, variable: &str) -> Option<usize> {
    let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    let is_whole = |at: usize| {
        let before = at.checked_sub(1).map(|at| &bytes[at]);
        !is_name(before) && !is_name(bytes.get(at + variable.len()))
    };
    let is_apart = |at: usize| text[..at].matches('(').count() == text[..at].matches(')').count();
    let at = text.match_indices(variable).map(|(at, _)| at).find(|at| is_whole(*at) && is_apart(*at))?;
    Some(at + variable.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_followed_by_its_flag_where_it_is_first_named() {
        let nowhere = |_: &str| None;
        for (text, said) in [
            ("LIFEBOAT_MAX_SHRINK: x", "LIFEBOAT_MAX_SHRINK (--max-shrink): x"),
            ("KONG_PREFIX or KONG_PREFIX", "KONG_PREFIX (--prefix) or KONG_PREFIX"),
            ("AWS_ACCESS_KEY_ID: a secret has no flag", "AWS_ACCESS_KEY_ID: a secret has no flag"),
            ("KONG_CLUSTER_CERT_FILE: another name", "KONG_CLUSTER_CERT_FILE: another name"),
            ("MY_KONG_PREFIX: another name", "MY_KONG_PREFIX: another name"),
            ("KONG_VERSION (--kong-version 3.9.1)", "KONG_VERSION (--kong-version 3.9.1)"),
            ("it is itself (KONG_VERSION 3.9.1)", "it is itself (KONG_VERSION 3.9.1)"),
        ] {
            assert_eq!(with_flag(text, nowhere), said);
        }
        let line = |variable: &str| (variable == "KONG_PREFIX").then(|| "/etc/x line 3".to_owned());
        let said = with_flag("KONG_PREFIX and KONG_VERSION", line);
        assert_eq!(said, "KONG_PREFIX (/etc/x line 3) and KONG_VERSION (--kong-version)");
        assert_eq!(with_flag("KONG_PREFIX in /etc/x line 3: no", line), "KONG_PREFIX in /etc/x line 3: no");
    }
}
