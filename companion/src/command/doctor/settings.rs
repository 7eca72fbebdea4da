//! Checks of the settings: each mistake is a row, and what is not set is said where it matters.

use super::check::Check;
use crate::settings::{ReadableSettings, Role};

const SETTINGS: &str = "settings";
const ROLE: &str = "role";

pub(super) fn checks(settings: &ReadableSettings) -> Vec<Check> {
    let problems = settings.problems.list();
    let mut checks: Vec<Check> = problems.iter().map(|problem| mistake(problem)).collect();
    if problems.is_empty() {
        checks.push(Check::pass(SETTINGS, "all can be read"));
    }
    checks.push(role(settings.role));
    checks
}

fn mistake(problem: &str) -> Check {
    let between = |before: &str, after: &str| {
        let (_, rest) = problem.split_once(before)?;
        rest.rsplit_once(after).map(|(inside, _)| inside)
    };
    let cure = if let Some(valid) = between("(valid: ", ")") {
        let name = problem.split([':', ' ']).next().unwrap_or_default();
        format!("set {name} to a valid value, such as {valid}")
    } else if let Some(right) = between("did you mean ", "?") {
        format!("rename it to {right}")
    } else if problem.ends_with("unset it") {
        "unset it".to_owned()
    } else {
        "correct it; docs/settings.md lists all settings".to_owned()
    };

    Check::fail(SETTINGS, problem, cure)
}

fn role(role: Role) -> Check {
    match role {
        Role::Exporter => Check::pass(ROLE, "exporter: keeps what the control plane sends"),
        Role::Importer => Check::pass(ROLE, "importer: the relay that new nodes are restored by"),
        Role::Both => Check::pass(ROLE, "exporter and importer"),
        Role::Nothing => Check::warn(
            ROLE,
            "neither export nor import is on; the checks are those of an exporter",
            "set KONG_CLUSTER_FALLBACK_CONFIG_EXPORT=on, or KONG_CLUSTER_FALLBACK_CONFIG_IMPORT=on where the relay runs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_cured_by_what_its_message_offers() {
        for (problem, cure) in [
            (
                "KONG_VERSION is not set: it is needed (valid: 3.9.1)",
                "set KONG_VERSION to a valid value, such as 3.9.1",
            ),
            ("LIFEBOAT_PLUGIN is not a setting: did you mean LIFEBOAT_PLUGINS?", "rename it to LIFEBOAT_PLUGINS"),
            ("LIFEBOAT_X is not a setting of lifeboat 0.1.0: unset it", "unset it"),
        ] {
            assert_eq!(mistake(problem), Check::fail(SETTINGS, problem, cure));
        }
        assert!(mistake("KONG_CLUSTER_CERT: it is damaged").cure.is_some());
    }
}
