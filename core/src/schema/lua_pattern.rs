//! Lua's patterns, in which schemas say what a text must look like (Lua 5.1 reference manual, section 5.4.1). They may come
//! from strangers, and so may the texts: matching is bounded in steps.

/// A pattern that is longer says nothing here.
const LONGEST: usize = 1024;

/// How many steps all matches of one check may take together: a second or so. Kong's own patterns take a few per byte.
const STEPS: u64 = 100_000_000;

/// How many steps one match may take.
const STEPS_OF_ONE: u64 = 1_000_000;

/// Captures that Lua allows in one pattern.
const MOST_CAPTURES: usize = 32;

/// A pattern that can be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LuaPattern {
    is_anchored: bool,
    items: Vec<Item>,
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Single(Class, Times),
    /// `%b()`: from the first byte to the second that closes it.
    Balanced(u8, u8),
    /// `%f[set]`: from outside of the set to inside.
    Frontier(Class),
    Open(usize),
    Close(usize),
    /// `()`: a place.
    Place(usize),
    /// `%1`: the same text as a capture.
    Same(usize),
    /// `$` at the end.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    AtMostOnce,
    /// As often as possible.
    Any,
    AtLeastOnce,
    /// As seldom as possible.
    Fewest,
}

/// Which bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Class([u64; 4]);

/// What is left of the steps that a check may take.
#[derive(Debug)]
pub(super) struct Budget(u64);

/// No answer within the bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GaveUp;

impl Default for Budget {
    fn default() -> Self {
        Self(STEPS)
    }
}

impl LuaPattern {
    /// From its text; none where Lua would call it malformed, or it is too long.
    pub(super) fn new(source: &str) -> Option<Self> {
        if source.len() > LONGEST {
            return None;
        }
        let bytes = source.as_bytes();
        let (is_anchored, rest) = bytes.strip_prefix(b"^").map_or((false, bytes), |rest| (true, rest));
        let mut reader = Reader { rest, captures: 0, open: Vec::new() };
        let mut items = Vec::new();
        while !reader.rest.is_empty() {
            items.push(reader.item()?);
        }
        reader.open.is_empty().then(|| Self { is_anchored, items, source: source.to_owned() })
    }

    /// The text that it was made from.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches somewhere in a text.
    ///
    /// # Errors
    /// That can't be found out within the bound.
    pub(super) fn is_in(&self, text: &str, budget: &mut Budget) -> Result<bool, GaveUp> {
        let steps = budget.0.min(STEPS_OF_ONE);
        let mut matcher = Matcher { text: text.as_bytes(), steps, captures: [(0, 0); MOST_CAPTURES] };
        let last = if self.is_anchored { 0 } else { text.len() };
        let mut found = Ok(false);
        for start in 0..=last {
            found = matcher.matches(&self.items, start);
            if found != Ok(false) {
                break;
            }
        }
        budget.0 -= steps - matcher.steps;
        found
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    captures: usize,
    open: Vec<usize>,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn item(&mut self) -> Option<Item> {
        match self.rest {
            [b'$'] => {
                self.rest = &[];
                Some(Item::End)
            }
            [b'(', b')', ..] => {
                self.rest = &self.rest[2..];
                Some(Item::Place(self.new_capture()?))
            }
            [b'(', ..] => {
                self.byte()?;
                let capture = self.new_capture()?;
                self.open.push(capture);
                Some(Item::Open(capture))
            }
            [b')', ..] => {
                self.byte()?;
                self.open.pop().map(Item::Close)
            }
            [b'%', b'b', from, to, ..] => {
                let item = Item::Balanced(*from, *to);
                self.rest = &self.rest[4..];
                Some(item)
            }
            [b'%', b'f', b'[', ..] => {
                self.rest = &self.rest[3..];
                self.set().map(Item::Frontier)
            }
            [b'%', digit @ b'1'..=b'9', ..] => {
                let capture = usize::from(digit - b'1');
                self.rest = &self.rest[2..];
                (capture < self.captures && !self.open.contains(&capture)).then_some(Item::Same(capture))
            }
            [b'%', b'b' | b'f', ..] => None,
            _ => self.single(),
        }
    }

    fn new_capture(&mut self) -> Option<usize> {
        let capture = self.captures;
        self.captures += 1;
        (capture < MOST_CAPTURES).then_some(capture)
    }

    fn single(&mut self) -> Option<Item> {
        let class = match self.byte()? {
            b'.' => Class::ALL,
            b'%' => Class::escaped(self.byte()?),
            b'[' => self.set()?,
            literal => Class::of(literal),
        };
        let times = match self.rest.first() {
            Some(b'*') => Times::Any,
            Some(b'+') => Times::AtLeastOnce,
            Some(b'-') => Times::Fewest,
            Some(b'?') => Times::AtMostOnce,
            _ => return Some(Item::Single(class, Times::Once)),
        };

        self.byte()?;
        Some(Item::Single(class, times))
    }

    /// What stands in brackets, after the opening one.
    fn set(&mut self) -> Option<Class> {
        let is_complement = self.rest.first() == Some(&b'^');
        if is_complement {
            self.byte()?;
        }
        let mut set = Class::NONE;
        let mut is_first = true;

        loop {
            match self.byte()? {
                // Right after the opening bracket it stands for itself.
                b']' if !is_first => break,
                b'%' => set = set.or(Class::escaped(self.byte()?)),
                from => match self.rest {
                    [b'-', to, ..] if *to != b']' => {
                        set = (from..=*to).fold(set, |set, byte| set.or(Class::of(byte)));
                        self.rest = &self.rest[2..];
                    }
                    _ => set = set.or(Class::of(from)),
                },
            }
            is_first = false;
        }
        Some(if is_complement { set.not() } else { set })
    }
}

impl Class {
    const NONE: Self = Self([0; 4]);
    const ALL: Self = Self([u64::MAX; 4]);

    fn of(byte: u8) -> Self {
        let mut bits = [0; 4];
        bits[usize::from(byte / 64)] |= 1 << (byte % 64);
        Self(bits)
    }

    fn where_(is_member: impl Fn(u8) -> bool) -> Self {
        (0..=u8::MAX).filter(|byte| is_member(*byte)).fold(Self::NONE, |class, byte| class.or(Self::of(byte)))
    }

    /// What stands for a class after `%`, in capitals for all others; anything else stands for itself.
    fn escaped(letter: u8) -> Self {
        let class = match letter.to_ascii_lowercase() {
            b'a' => Self::where_(|byte| byte.is_ascii_alphabetic()),
            b'c' => Self::where_(|byte| byte.is_ascii_control()),
            b'd' => Self::where_(|byte| byte.is_ascii_digit()),
            b'l' => Self::where_(|byte| byte.is_ascii_lowercase()),
            b'p' => Self::where_(|byte| byte.is_ascii_punctuation()),
            b's' => Self::where_(|byte| matches!(byte, b' ' | b'\t'..=b'\r')),
            b'u' => Self::where_(|byte| byte.is_ascii_uppercase()),
            b'w' => Self::where_(|byte| byte.is_ascii_alphanumeric()),
            b'x' => Self::where_(|byte| byte.is_ascii_hexdigit()),
            b'z' => Self::of(0),
            _ => return Self::of(letter),
        };
        if letter.is_ascii_uppercase() { class.not() } else { class }
    }

    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    fn not(self) -> Self {
        Self(self.0.map(|bits| !bits))
    }

    fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
    }
}

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Class({} bytes)", self.0.iter().map(|bits| bits.count_ones()).sum::<u32>())
    }
}

struct Matcher<'a> {
    text: &'a [u8],
    steps: u64,
    captures: [(usize, usize); MOST_CAPTURES],
}

impl Matcher<'_> {
    fn step(&mut self) -> Result<(), GaveUp> {
        self.steps = self.steps.checked_sub(1).ok_or(GaveUp)?;
        Ok(())
    }

    /// Whether all the items match from here on. It calls itself once per item at the most, so a pattern's length bounds
    /// how deep it goes.
    fn matches(&mut self, items: &[Item], mut at: usize) -> Result<bool, GaveUp> {
        let mut rest = items;
        while let Some((item, after)) = rest.split_first() {
            self.step()?;
            match *item {
                Item::Single(class, Times::Once) if self.is_at(class, at) => at += 1,
                Item::Single(_, Times::Once) => return Ok(false),
                Item::Single(class, times) => return self.repeats(class, times, after, at),
                Item::End if at == self.text.len() => {}
                Item::End => return Ok(false),
                Item::Open(capture) => self.captures[capture].0 = at,
                Item::Close(capture) => self.captures[capture].1 = at,
                Item::Place(capture) => self.captures[capture] = (at, at),
                Item::Same(capture) => {
                    let (from, to) = self.captures[capture];
                    let same = self.text.get(from..to).unwrap_or_default();
                    self.steps = self.steps.saturating_sub(same.len() as u64);
                    if !self.text[at..].starts_with(same) {
                        return Ok(false);
                    }
                    at += same.len();
                }
                Item::Balanced(from, to) => match self.closing(from, to, at)? {
                    Some(end) => at = end,
                    None => return Ok(false),
                },
                Item::Frontier(class) => {
                    // Before the beginning and after the end Lua sees a zero byte.
                    let before = at.checked_sub(1).map_or(0, |before| self.text[before]);
                    let here = self.text.get(at).copied().unwrap_or(0);
                    if class.has(before) || !class.has(here) {
                        return Ok(false);
                    }
                }
            }

            rest = after;
        }
        Ok(true)
    }

    fn is_at(&self, class: Class, at: usize) -> bool {
        self.text.get(at).is_some_and(|byte| class.has(*byte))
    }

    fn repeats(&mut self, class: Class, times: Times, rest: &[Item], at: usize) -> Result<bool, GaveUp> {
        let least = usize::from(times == Times::AtLeastOnce);
        if times == Times::Fewest {
            for end in at.. {
                if self.matches(rest, end)? {
                    return Ok(true);
                }
                self.step()?;
                if !self.is_at(class, end) {
                    break;
                }
            }
            return Ok(false);
        }
        let mut most = 0;

        while self.is_at(class, at + most) && (times != Times::AtMostOnce || most == 0) {
            self.step()?;
            most += 1;
        }

        for count in (least..=most).rev() {
            if self.matches(rest, at + count)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn closing(&mut self, from: u8, to: u8, at: usize) -> Result<Option<usize>, GaveUp> {
        if self.text.get(at) != Some(&from) {
            return Ok(None);
        }
        let mut depth = 1_usize;

        for end in at + 1..self.text.len() {
            self.step()?;
            let byte = self.text[end];
            if byte == to {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(end + 1));
                }
            } else if byte == from {
                depth += 1;
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_in(pattern: &str, text: &str) -> bool {
        LuaPattern::new(pattern).unwrap().is_in(text, &mut Budget::default()).unwrap()
    }

    #[test]
    fn patterns_match_as_lua_matches_them() {
        // What LuaJIT 2.1 answers to `text:find(pattern) ~= nil`.
        for (pattern, text, expected) in [
            ("^%u+$", "GET", true),
            ("^%u+$", "GeT", false),
            ("^[^*]*%*?[^*]*$", "*.example.com", true),
            ("^[^*]*%*?[^*]*$", "*.*.com", false),
            ("^%*%.", "*.a", true),
            ("%.%*$", "a.*", true),
            ("//", "/a//b", true),
            ("^[Hh][Oo][Ss][Tt]$", "hOst", true),
            ("^[a-z][a-z%d-]-[a-z%d]+$", "my-vault-1", true),
            ("^[a-z][a-z%d-]-[a-z%d]+$", "my-vault-", false),
            ("%w*%p*@+%w*%.?%w*", "a.b@c.d", true),
            ("^.*[^:]$", "a:", false),
            ("^[^*&%%\\`]+$", "/dev/null", true),
            ("^[^*&%%\\`]+$", "100%", false),
            ("^[0-9]+-[0-9]+$", "200-299", true),
            ("^(%a)%1$", "aa", true),
            ("^(%a)%1$", "ab", false),
            ("^%b()$", "(a(b)c)", true),
            ("^%b()$", "(a(b)c", false),
            ("%f[%w]the%f[%W]", "in the end", true),
            ("%f[%w]the%f[%W]", "other", false),
            ("[]]", "]", true),
            ("^[%a-z]$", "-", true),
            ("a$b", "a$b", true),
            ("", "", true),
            ("^()$", "", true),
            ("%S", " \t\n", false),
        ] {
            assert_eq!(is_in(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_lua_calls_malformed_is_no_pattern() {
        for malformed in ["[a", "%", "(a", "a)", "%1", "(%1)", "[a%", "%b(", "%f"] {
            assert_eq!(LuaPattern::new(malformed), None, "{malformed}");
        }
        assert!(LuaPattern::new(&"a".repeat(LONGEST + 1)).is_none());
    }

    #[test]
    fn a_pattern_that_would_take_for_ever_is_given_up() {
        let hostile = LuaPattern::new(&format!("^{}b$", "a*".repeat(30))).unwrap();
        let mut budget = Budget::default();
        assert_eq!(hostile.is_in(&"a".repeat(60), &mut budget), Err(GaveUp));
        assert_eq!(budget.0, STEPS - STEPS_OF_ONE);
        let mut nothing_left = Budget(0);
        assert_eq!(LuaPattern::new("a").unwrap().is_in("a", &mut nothing_left), Err(GaveUp));
    }

    proptest! {
        #[test]
        fn no_pattern_of_a_stranger_panics_or_takes_for_ever(pattern in r"[a%\[\]()*+?\-^$.bf1é]{0,24}", text in r"[a()b\]é-]{0,60}") {
            if let Some(pattern) = LuaPattern::new(&pattern) {
                let mut budget = Budget::default();
                let _ = pattern.is_in(&text, &mut budget);
                prop_assert!(STEPS - budget.0 <= STEPS_OF_ONE);
            }
        }

        #[test]
        fn a_text_matches_itself_when_it_is_escaped(text in "[ -~]{0,40}") {
            let escaped: String = text.chars().flat_map(|c| if c.is_alphanumeric() { vec![c] } else { vec!['%', c] }).collect();
            let pattern = format!("^{escaped}$");
            prop_assert!(is_in(&pattern, &text));
        }
    }
}
