//! What a YAML scalar without quotes means, as Kong's YAML reader has it (lyaml, which follows YAML 1.1): `on` and `no` are
//! booleans, `0777` is octal, `1:30` is ninety. A reader of YAML 1.2 would make other values of them.

use serde_json::{Number, Value};

/// The largest whole number below which Lua's numbers have no gaps.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value of a scalar without quotes and tag; none if it is a number that JSON doesn't have.
pub(super) fn plain(text: &str) -> Option<Value> {
    if let Some(literal) = literal(text) {
        return Some(literal);
    }
    match number(text) {
        Some(value) => finite(value),
        None => Some(Value::from(text)),
    }
}

/// `null` or a boolean.
pub(super) fn literal(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// A number in one of YAML 1.1's many forms.
pub(super) fn number(text: &str) -> Option<f64> {
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if text.starts_with('.') => return Some(f64::NAN),
        _ => {}
    }

    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits: String = unsigned.chars().filter(|character| *character != '_').collect();
    let radix = |prefix: &str, radix: u32| {
        let digits = digits.strip_prefix(prefix).filter(|digits| !digits.is_empty())?;
        digits.chars().try_fold(0.0, |value, digit| Some(value * f64::from(radix) + f64::from(digit.to_digit(radix)?)))
    };
    // A text that begins with a digit may be a number; `_1` and words are none.
    let first = unsigned.chars().next().filter(|first| first.is_ascii_digit() || *first == '.')?;
    let octal = || if first == '0' { radix("0", 8) } else { None };
    let value = octal()
        .or_else(|| decimal(&digits))
        .or_else(|| radix("0x", 16))
        .or_else(|| if digits.len() > 3 { radix("0b", 2) } else { None })
        .or_else(|| sexagesimal(unsigned))?;
    Some(sign * value)
}

/// `12`, `08`, `1.5`, `.5`, `1e3`.
fn decimal(digits: &str) -> Option<f64> {
    let is_decimal = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let has_digit = digits.bytes().any(|b| b.is_ascii_digit());
    if is_decimal && has_digit { digits.parse().ok() } else { None }
}

/// `1:30` is 90, `190:20:30` is 685230; `20:30.15` too.
fn sexagesimal(text: &str) -> Option<f64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            (whole, format!("0.{digits}").parse::<f64>().ok()?)
        }
        Some(_) => return None,
        None => (text, 0.0),
    };
    let mut parts = whole.split(':');
    let (first, second) = (parts.next()?, parts.next()?);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());

    // The second has one digit or two, of which the first is at most 5; what comes after may be anything.
    let second_fits = second.len() == 1 || second.len() == 2 && second.as_bytes()[0] <= b'5';
    if !is_number(first) || !is_number(second) || !second_fits || !parts.clone().all(is_number) {
        return None;
    }
    let value = whole.split(':').try_fold(0.0, |value, part| Some(value * 60.0 + part.parse::<f64>().ok()?))?;
    Some(value + fraction)
}

/// As JSON writes it: a whole number as one.
fn finite(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scalar_means_what_it_means_to_kong() {
        // The usage examples and patterns of lyaml's own documentation of implicit types.
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("oN", json!("oN")),
            ("0", json!(0)),
            ("12345", json!(12345)),
            ("-1_000", json!(-1000)),
            ("012345", json!(0o12345)),
            ("08", json!(8)),
            ("0xdeadbeef", json!(0xdead_beef_u32)),
            ("0b1010_0111", json!(0b1010_0111)),
            ("1e-3", json!(0.001)),
            ("-0.12", json!(-0.12)),
            (".5", json!(0.5)),
            ("2.0", json!(2)),
            ("1e3", json!(1000)),
            ("190:20:30", json!(685_230)),
            ("1:30", json!(90)),
            ("20:30.15", json!(1230.15)),
            ("10:80", json!("10:80")),
            ("1795169496.534", json!(1_795_169_496.534)),
            ("3.9.1", json!("3.9.1")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("10.0.0.1:8443", json!("10.0.0.1:8443")),
            ("_1", json!("_1")),
            (".", json!(".")),
            ("-", json!("-")),
            ("1e", json!("1e")),
            ("e1", json!("e1")),
            ("inf", json!("inf")),
            ("infinity", json!("infinity")),
            ("nan", json!("nan")),
            ("2001-01-01", json!("2001-01-01")),
            ("0x", json!("0x")),
            ("0b1", json!("0b1")),
            ("123456789012345678901234567890", json!(1.234_567_890_123_456_8e29)),
        ] {
            assert_eq!(plain(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_json_has_no_number_for_is_none() {
        for text in [".inf", "-.INF", ".nan", "1e999"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
