//! How long something lasts, in the one unit that people would say: in tables and on the page alike.

use std::time::Duration;

/// The unit's whole number, rounded down.
pub(crate) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_begins_where_the_smaller_one_would_need_too_many_digits() {
        let said = [59, 60, 3_599, 3_600, 86_399, 86_400].map(|seconds| lasting(Duration::from_secs(seconds)));
        assert_eq!(said, ["59 s", "1 min", "59 min", "1 h", "23 h", "1 d"]);
    }
}
