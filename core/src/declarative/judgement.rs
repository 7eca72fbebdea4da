//! Which findings count. What the published configuration has as well was sent by a control plane, and nodes run it: only
//! what a person added or changed is judged.

use std::collections::HashSet;

use super::Written;
use super::by_schemas::{Examined, Yardstick};
use super::finding::{Finding, Severity};
use crate::kong::Configuration;
use crate::schema::Unchecked;

/// What is to become of a configuration, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What keeps it from being published.
    pub refused: Vec<Finding>,
    /// What somebody should look at.
    pub warnings: Vec<Finding>,
    /// What nobody could look at.
    pub unchecked: Vec<Unchecked>,
    /// How many more mistakes there are than are listed.
    pub further: usize,
}

impl Judgement {
    /// Of what was written, which is to replace `published`.
    pub fn of(written: &Written, published: Option<&Configuration>, by: &Yardstick<'_>) -> Self {
        let examined = Examined::beside(&written.findings, &written.configuration, by);
        let is_published = |published: &&Configuration| published.json() == written.configuration.json();
        let before = match published {
            Some(same) if is_published(&same) => examined.clone(),
            Some(other) => Examined::of(other, by),
            None => Examined::default(),
        };
        let findings = written.findings.iter().cloned().chain(examined.findings).collect();
        let further = if before.further > 0 { 0 } else { examined.further };
        Self { unchecked: examined.unchecked, further, ..Self::of_findings(findings, &before.findings) }
    }

    fn of_findings(findings: Vec<Finding>, published: &[Finding]) -> Self {
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
    use super::super::finding::Authority;
    use super::*;

    fn finding(severity: Severity, identity: &str, field: &str, reason: &str) -> Finding {
        let [kind, name] = ["services", "orders"].map(str::to_owned);
        let [identity, field, reason] = [identity, field, reason].map(str::to_owned);
        Finding { severity, kind, name, identity, field, reason, authority: Authority::Kong }
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
            let judgement = Judgement::of_findings(vec![old.clone(), new.clone()], std::slice::from_ref(&old));
            assert_eq!(judgement.refused, [new]);
        }
    }

    #[test]
    fn one_mistake_is_said_once() {
        let (one, other) = (finding(Severity::Refused, "1", "host", "a"), finding(Severity::Refused, "1", "host", "b"));
        let warning = finding(Severity::Warning, "1", "host", "c");
        let judgement = Judgement::of_findings(vec![one.clone(), warning.clone(), other], &[]);
        assert_eq!((judgement.refused, judgement.warnings), (vec![one], vec![warning]));
    }
}
