//! Which findings count. What the published configuration has as well was sent by a control plane, and nodes run it: only
//! what a person added or changed is judged.

use std::collections::HashSet;

use super::finding::{Finding, Severity};

/// What is to become of a configuration, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What keeps it from being published.
    pub refused: Vec<Finding>,
    /// What somebody should look at.
    pub warnings: Vec<Finding>,
}

impl Judgement {
    /// Of what was found in a configuration, when `published` was found in the one that it is to replace.
    pub fn of(findings: Vec<Finding>, published: &[Finding]) -> Self {
        let known: HashSet<_> = published.iter().map(Finding::key).collect();
        let mut said = HashSet::new();
        let mut judgement = Self::default();
        for finding in findings {
            if known.contains(&finding.key()) {
                continue;
            }
            // Two who look at the same field say the same thing in other words: the first of them knows it best.
            let place = (finding.kind.clone(), finding.identity.clone(), finding.field.clone(), finding.severity);
            if !finding.field.is_empty() && !said.insert(place) {
                continue;
            }
            match finding.severity {
                Severity::Refused => judgement.refused.push(finding),
                Severity::Warning => judgement.warnings.push(finding),
            }
        }
        judgement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, identity: &str, field: &str, reason: &str) -> Finding {
        let (kind, name) = ("services".to_owned(), "orders".to_owned());
        Finding {
            severity,
            kind,
            name,
            identity: identity.to_owned(),
            field: field.to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn what_the_published_one_has_too_is_not_judged() {
        let old = finding(Severity::Refused, "1", "host", "no");
        let new = [
            finding(Severity::Refused, "1", "port", "no"),
            finding(Severity::Refused, "2", "host", "no"),
            finding(Severity::Refused, "1", "host", "no, and for another reason"),
        ];
        for new in new {
            let judgement = Judgement::of(vec![old.clone(), new.clone()], std::slice::from_ref(&old));
            assert_eq!(judgement.refused, [new]);
        }
    }

    #[test]
    fn one_mistake_is_said_once() {
        let (one, other) = (finding(Severity::Refused, "1", "host", "a"), finding(Severity::Refused, "1", "host", "b"));
        let warning = finding(Severity::Warning, "1", "host", "c");
        let judgement = Judgement::of(vec![one.clone(), warning.clone(), other], &[]);
        assert_eq!((judgement.refused, judgement.warnings), (vec![one], vec![warning]));
    }
}
