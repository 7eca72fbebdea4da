//! Differences from a configuration whose secrets were masked before it came here: what can't be known of them is said.

use super::{Difference, Field, True, Values, What};
use crate::masking::without_tags;

impl Difference {
    /// This difference where one side, and only one, was masked before: of its secrets nobody can tell whether they are the
    /// other side's. What differs in nothing else counts as unchanged. Gives how many secrets were not compared.
    pub fn take_out_secrets(&mut self) -> u64 {
        let mut not_compared = 0;
        let changes = std::mem::take(&mut self.changes);
        for mut change in changes {
            if let What::Changed { fields } = &mut change.what {
                for field in fields.iter_mut().filter(|field| differs_in_secrets(field)) {
                    field.values = Values::NotCompared { not_compared: True };
                    not_compared += 1;
                }

                if fields.iter().all(|field| matches!(field.values, Values::NotCompared { .. })) {
                    self.unchanged += 1;
                    continue;
                }
            }
            self.changes.push(change);
        }
        not_compared
    }
}

/// Whether all that differs is masked on one side at least.
fn differs_in_secrets(field: &Field) -> bool {
    match &field.values {
        Values::Masked { .. } | Values::NotCompared { .. } => true,
        Values::Shown { before, after } => {
            before.is_some() && before.as_ref().map(without_tags) == after.as_ref().map(without_tags)
        }
        Values::Reordered { .. } => false,
    }
}
