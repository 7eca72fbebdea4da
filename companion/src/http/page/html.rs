//! HTML as it is written: what stands in the program is markup, and all else is text. So nothing that a node, a store or an
//! operator has named can become markup.

use std::fmt::{Display, Write};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use lifeboat_core::time::WallTime;

use crate::lasting::lasting;

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

/// Text on its way into a document.
struct Escaped<'a>(&'a mut String);

impl Html {
    /// Adds markup, which only the program's own text can be.
    pub(super) fn put(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds a text, also inside of a quoted attribute.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// Adds a text as an element's whole content; `element` is its name alone.
    pub(super) fn element(&mut self, element: &'static str, text: impl Display) -> &mut Self {
        self.put("<").put(element).put(">").text(text).put("</").put(element).put(">")
    }

    /// Adds how long ago something was, or how soon it will be, and exactly when where one points at it.
    pub(super) fn time(&mut self, time: WallTime, now: WallTime) -> &mut Self {
        self.put("<time datetime=\"").text(time).put("\" title=\"").text(time).put("\">");
        if time > now {
            self.put("in ").text(lasting(time.since(now)));
        } else {
            self.text(lasting(now.since(time))).put(" ago");
        }
        self.put("</time>")
    }

    /// Adds a command to be pasted.
    pub(super) fn command(&mut self, command: impl Display) -> &mut Self {
        self.put("<pre class=\"command\" tabindex=\"0\"><code>").text(command).put("</code></pre>")
    }

    /// Adds what was made elsewhere.
    pub(super) fn part(&mut self, part: &Self) -> &mut Self {
        self.0.push_str(&part.0);
        self
    }

    /// All of it.
    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                // These would turn the writing around, or have no meaning in a document.
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(self.0, "{}", character.escape_unicode())?;
                }
                control if control.is_control() => write!(self.0, "{}", control.escape_unicode())?,
                plain => self.0.push(plain),
            }
        }
        Ok(())
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], self.0).into_response()
    }
}

/// Bytes, in the one unit that people would say.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A number and what it counts.
pub(super) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn no_text_becomes_markup_or_turns_the_writing_around() {
        let mut html = Html::default();
        html.put("<td title=\"").text("\"><script>alert('1')</script>&\u{202e}\u{1b}").put("\">");
        let expected = "<td title=\"&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\\u{202e}\\u{1b}\">";
        assert_eq!(html.as_str(), expected);
    }

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let mut html = Html::default();
        html.time(now, now + Duration::from_secs(119)).time(now + Duration::from_secs(172_800), now);
        assert!(html.as_str().contains(">1 min ago<") && html.as_str().contains(">in 2 d<"), "{}", html.as_str());
        assert!(html.as_str().contains("datetime=\"1970-01-12T13:46:40.000Z\""), "{}", html.as_str());
        assert_eq!((size(999), size(58_213)), ("999 bytes".to_owned(), "58.2 kB".to_owned()));
    }
}
