//! What stands in the body of an answer that is an error: XML of the stores and of STS, JSON of token endpoints. What is
//! neither (a proxy's page) tells nothing.

use std::time::SystemTime;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::date;

/// Messages are for people; what is longer is cut.
const LONGEST_MESSAGE: usize = 300;

/// The parts of an error's body that somebody acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::storage) struct ErrorBody {
    /// The error's name: `AccessDenied`, `BlobNotFound`, `invalid_grant`.
    pub(in crate::storage) code: Option<String>,
    /// What it says to people.
    pub(in crate::storage) message: Option<String>,
    /// What it says besides (Google's `Details`, Azure's `AuthenticationErrorDetail`).
    pub(in crate::storage) detail: Option<String>,
    /// The region that the bucket is in.
    pub(in crate::storage) region: Option<String>,
    /// The time that the request bore, in a complaint about it.
    pub(in crate::storage) request_time: Option<SystemTime>,
    /// The server's time, in the same complaint.
    pub(in crate::storage) server_time: Option<SystemTime>,
}

impl ErrorBody {
    pub(super) fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let mut found = match text.as_bytes().first() {
            Some(b'<') => Self::of_xml(text),
            Some(b'{') => serde_json::from_str(text).map(|json| Self::of_json(&json)).unwrap_or_default(),
            _ => Self::default(),
        };
        for text in [&mut found.code, &mut found.message, &mut found.detail] {
            *text = text.take().map(|text| on_one_line(&text)).filter(|text| !text.is_empty());
        }
        found
    }

    // The names are S3's, Google's, Azure's and STS's; each is unlike all others, so where they stand doesn't matter.
    fn of_xml(text: &str) -> Self {
        let mut found = Self::default();
        let mut reader = Reader::from_str(text);
        let mut element = Vec::new();
        let mut content = String::new();
        loop {
            match reader.read_event() {
                Ok(Event::Start(start)) => {
                    element = start.local_name().as_ref().to_vec();
                    content.clear();
                }
                Ok(Event::Text(piece)) => content.push_str(&piece.decode().unwrap_or_default()),
                Ok(Event::CData(piece)) => content.push_str(&piece.decode().unwrap_or_default()),
                Ok(Event::GeneralRef(reference)) => content.push_str(&resolved(&reference)),
                Ok(Event::End(end)) if end.local_name().as_ref() == element => {
                    found.take(&element, std::mem::take(&mut content));
                }
                Ok(Event::End(_)) => element.clear(),
                // Half an error is better than none.
                Ok(Event::Eof) | Err(_) => return found,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self, element: &[u8], content: String) {
        match element {
            b"Code" => self.code.get_or_insert(content),
            b"Message" => self.message.get_or_insert(content),
            b"Details" | b"AuthenticationErrorDetail" => self.detail.get_or_insert(content),
            b"Region" => self.region.get_or_insert(content),
            b"RequestTime" => {
                self.request_time = date::parse(&content);
                return;
            }
            b"ServerTime" => {
                self.server_time = date::parse(&content);
                return;
            }
            _ => return,
        };
    }

    // `{"error":"invalid_grant","error_description":".."}` of RFC 6749 section 5.2; Google's APIs nest it once more; AWS's
    // metadata services write `Code` and `Message`, or both in lower case.
    fn of_json(json: &Value) -> Self {
        let nested = &json["error"];
        let first = |values: &[&Value]| {
            values
                .iter()
                .find_map(|value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string())))
        };
        Self {
            code: first(&[nested, &nested["status"], &nested["code"], &json["Code"], &json["code"]]),
            message: first(&[&json["error_description"], &nested["message"], &json["Message"], &json["message"]]),
            ..Self::default()
        }
    }
}

fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name = reference.decode().unwrap_or_default();
    quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default().to_owned()
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_MESSAGE).collect()
}
