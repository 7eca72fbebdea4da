//! Numbers as Kong's hash sees them: doubles in LuaJIT's `%.14g`. Nothing else is formatted that way.
//!
//! LuaJIT rounds exact decimal ties away from zero, where C and Rust round them to even (seen with LuaJIT 2.1;
//! `tests/data/luajit-numbers.json`).

/// How many significant digits Lua prints.
const DIGITS: usize = 14;

/// Within these decimal exponents a number of at most [`DIGITS`] digits survives the way into a double and back: it
/// neither overflows nor loses digits as a subnormal does.
const SAFE_EXPONENTS: std::ops::RangeInclusive<i64> = -290..=290;

/// Whether a JSON integer is already what Lua would print.
#[inline(always)]
pub(super) fn is_printed_as_it_stands(integer: &[u8]) -> bool {
    // With its sign a number of 14 characters has at most 14 digits.
    integer.len() <= DIGITS
}

/// Appends what Lua prints for the JSON number `text`.
pub(super) fn append(text: &[u8], out: &mut Vec<u8>) {
    if !append_short(text, out) {
        append_double(text, out);
    }
}

/// A decimal number that is not zero: d.ddd × 10^exponent, without trailing zeros.
struct Decimal {
    digits: [u8; DIGITS],
    count: usize,
    exponent: i64,
}

/// Without any arithmetic on doubles, for numbers that have at most 14 significant digits. Returns whether it is one.
fn append_short(text: &[u8], out: &mut Vec<u8>) -> bool {
    let (negative, text) = split_sign(text);
    let end = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(end);
    let Some(exponent) = parse_exponent(exponent) else {
        return false;
    };
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());

    let mut decimal = Decimal { digits: [b'0'; DIGITS], count: 0, exponent: 0 };
    // Zeros wait until a digit follows them: trailing ones don't count.
    let mut zeros = 0;
    for (at, &byte) in mantissa.iter().enumerate().filter(|&(at, _)| at != point) {
        if byte == b'0' {
            zeros += usize::from(decimal.count > 0);
            continue;
        }
        if decimal.count == 0 {
            let places = if at < point { point - at - 1 } else { at - point };
            decimal.exponent = if at < point { places as i64 } else { -(places as i64) } + exponent;
        }
        decimal.count += zeros;
        zeros = 0;
        if decimal.count >= DIGITS {
            return false;
        }
        decimal.digits[decimal.count] = byte;
        decimal.count += 1;
    }
    if decimal.count > 0 && !SAFE_EXPONENTS.contains(&decimal.exponent) {
        return false;
    }
    decimal.append(negative, out);
    true
}

/// By way of a double, for all the others.
fn append_double(text: &[u8], out: &mut Vec<u8>) {
    let (negative, text) = split_sign(text);
    // Every JSON number is one that Rust parses; correctly rounded, as strtod does for Kong.
    let value: f64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    if value.is_infinite() {
        out.extend_from_slice(if negative { b"-inf" } else { b"inf" });
        return;
    }
    Decimal::rounded(value).append(negative, out);
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    }
}

/// The value of `e-12`, of nothing (0), or nothing if it is far beyond any double.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let Some(digits) = text.get(1..) else {
        return Some(0);
    };
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|exponent| (-1000..=1000).contains(exponent))
}

impl Decimal {
    /// The 14 digits nearest to a finite value that is not negative; of two equally near ones the greater.
    fn rounded(value: f64) -> Self {
        // A tie has 15 digits of which the last is a 5. One look at 15 rounded digits rules out nine numbers of ten,
        // the look at all of a double's digits (767 at most) is for the few that are left.
        let fifteen = format!("{value:.DIGITS$e}");
        let candidate = fifteen.split('e').next().is_some_and(|mantissa| mantissa.ends_with('5'));

        if candidate {
            let exact = format!("{value:.766e}");
            let (mantissa, _) = exact.split_once('e').unwrap_or((&exact, "0"));
            // The first digit, the point, and the other 13.
            let rest = &mantissa[1 + DIGITS..];
            if rest.strip_prefix('5').is_some_and(|rest| rest.bytes().all(|digit| digit == b'0')) {
                // `fifteen` is exact here, and one more in its last place is no tie any more.
                let raised = fifteen.replacen("5e", "6e", 1).parse().unwrap_or(value);
                return Self::parse(&format!("{raised:.*e}", DIGITS - 1));
            }
        }
        Self::parse(&format!("{value:.*e}", DIGITS - 1))
    }

    /// From Rust's `1.234e-5`.
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut decimal = Self { digits: [b'0'; DIGITS], count: 0, exponent: exponent.parse().unwrap_or_default() };
        for (place, digit) in decimal.digits.iter_mut().zip(mantissa.bytes().filter(u8::is_ascii_digit)) {
            *place = digit;
        }
        decimal.count = DIGITS - decimal.digits.iter().rev().take_while(|&&digit| digit == b'0').count();
        decimal
    }

    /// As `%.14g` prints it.
    fn append(&self, negative: bool, out: &mut Vec<u8>) {
        if negative {
            out.push(b'-');
        }
        let digits = &self.digits[..self.count];

        match self.exponent {
            _ if digits.is_empty() => out.push(b'0'),
            exponent @ -4..0 => {
                out.extend_from_slice(b"0.");
                out.resize(out.len() + exponent.unsigned_abs() as usize - 1, b'0');
                out.extend_from_slice(digits);
            }
            exponent @ 0..14 => {
                let whole = exponent as usize + 1;
                out.extend_from_slice(&self.digits[..whole]);
                append_fraction(digits.get(whole..).unwrap_or_default(), out);
            }
            exponent => {
                out.push(digits[0]);
                append_fraction(&digits[1..], out);
                let sign = if exponent < 0 { '-' } else { '+' };
                out.extend_from_slice(format!("e{sign}{:02}", exponent.unsigned_abs()).as_bytes());
            }
        }
    }
}

fn append_fraction(digits: &[u8], out: &mut Vec<u8>) {
    if !digits.is_empty() {
        out.push(b'.');
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> String {
        let mut out = Vec::new();
        append(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn printed_by_way_of_a_double(text: &str) -> String {
        let mut out = Vec::new();
        append_double(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_printed_as_luajit_prints_them() {
        let recorded = include_str!("../../../tests/data/luajit-numbers.json");
        let recorded: Vec<(String, String)> = serde_json::from_str(recorded).unwrap();
        assert!(recorded.len() > 4000);
        for (text, luajit) in &recorded {
            assert_eq!(&printed(text), luajit, "{text}");
            assert_eq!(&printed_by_way_of_a_double(text), luajit, "{text}, slowly");
        }
    }

    #[test]
    fn an_exact_tie_is_rounded_away_from_zero() {
        // The fixture's number, and the same in an odd and an even last place.
        assert_eq!(printed("4586537929844250.0"), "4.5865379298443e+15");
        assert_eq!(printed("123456789012345"), "1.2345678901235e+14");
        assert_eq!(printed("-123456789012335"), "-1.2345678901234e+14");
        assert_eq!(printed("99999999999999.5"), "1e+14");
    }

    #[test]
    fn integers_that_stand_as_they_are_printed_are_those_of_few_digits() {
        for text in ["0", "-0", "60000", "-1", "12345678901234", "-1234567890123"] {
            assert!(is_printed_as_it_stands(text.as_bytes()));
            assert_eq!(printed(text), text);
        }
        assert!(!is_printed_as_it_stands(b"123456789012345"));
    }

    proptest! {
        #[test]
        fn both_ways_print_the_same(text in r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?") {
            prop_assert_eq!(printed(&text), printed_by_way_of_a_double(&text));
        }

        #[test]
        fn every_double_prints_within_half_a_unit_of_its_14th_digit(value in proptest::num::f64::NORMAL) {
            let read: f64 = printed(&format!("{value:e}")).parse().unwrap();
            prop_assert!(((read - value) / value).abs() <= 5.1e-14 || read.is_infinite());
        }
    }
}
