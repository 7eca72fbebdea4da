//! What stands in the body of an answer that is an error: XML of the stores and of STS, JSON of token endpoints. What is
//! neither (a proxy's page) tells nothing.

use std::time::SystemTime;

use lifeboat_runtime::http_time;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

/// Messages are for people; what is longer is cut.
const LONGEST_MESSAGE: usize = 300;

/// The parts of an error's body that somebody acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    /// The error's name: `AccessDenied`, `BlobNotFound`, `invalid_grant`.
    pub(crate) code: Option<String>,
    /// What it says to people.
    pub(crate) message: Option<String>,
    /// What it says besides (Google's `Details`, Azure's `AuthenticationErrorDetail` and `ExtendedErrorDetail`).
    pub(crate) detail: Option<String>,
    /// The region that the bucket is in.
    pub(crate) region: Option<String>,
    /// The time that the request bore, in a complaint about it.
    pub(crate) request_time: Option<SystemTime>,
    /// The server's time, in the same complaint.
    pub(crate) server_time: Option<SystemTime>,
}

impl ErrorBody {
    pub(crate) fn parse(body: &[u8]) -> Self {
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
        let place = match element {
            b"Code" => &mut self.code,
            b"Message" => &mut self.message,
            b"Details" | b"AuthenticationErrorDetail" | b"ExtendedErrorDetail" => &mut self.detail,
            b"Region" => &mut self.region,
            b"RequestTime" => return self.request_time = http_time::parse(&content),
            b"ServerTime" => return self.server_time = http_time::parse(&content),
            _ => return,
        };
        place.get_or_insert(content);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code_and_message(body: &str) -> (Option<String>, Option<String>) {
        let parsed = ErrorBody::parse(body.as_bytes());
        (parsed.code, parsed.message)
    }

    fn both(code: &str, message: &str) -> (Option<String>, Option<String>) {
        (Some(code.to_owned()), Some(message.to_owned()))
    }

    // The vendors' published examples, shortened where they repeat themselves.
    #[test]
    fn each_vendors_published_example_is_read() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        let s3 = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>NoSuchKey</Code>\n  <Message>The resource you \
                  requested does not exist</Message>\n  <Resource>/mybucket/myfoto.jpg</Resource> \n  \
                  <RequestId>4442587FB7D0A2F9</RequestId>\n</Error>";
        assert_eq!(code_and_message(s3), both("NoSuchKey", "The resource you requested does not exist"));
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingRouting.html
        let redirect = "<Error>\n<Code>TemporaryRedirect</Code>\n<Message>Please re-send this request to the\n specified \
                        temporary endpoint.</Message>\n<Endpoint>awsexamplebucket1.s3-gztb4pa9sq.amazonaws.com</Endpoint>\n\
                        </Error>";
        let message = "Please re-send this request to the specified temporary endpoint.";
        assert_eq!(code_and_message(redirect), both("TemporaryRedirect", message));
        // https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html: errors are wrapped there.
        let sts = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                   <Code>InvalidIdentityToken</Code><Message>No OpenIDConnect provider found</Message></Error>\
                   <RequestId>1</RequestId></ErrorResponse>";
        assert_eq!(code_and_message(sts), both("InvalidIdentityToken", "No OpenIDConnect provider found"));
        // https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2; Azure begins with a BOM.
        let azure = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Error>\n  <Code>InvalidQueryParameterValue</Code>\n  \
                     <Message>Value for one of the query parameters specified in the request URI is invalid.</Message>\n  \
                     <QueryParameterName>popreceipt</QueryParameterName>\n</Error>";
        let message = "Value for one of the query parameters specified in the request URI is invalid.";
        assert_eq!(code_and_message(azure), both("InvalidQueryParameterValue", message));
        // https://cloud.google.com/storage/docs/xml-api/reference-status
        let google = "<?xml version='1.0' encoding='UTF-8'?>\n<Error>\n<Code>AccessDenied</Code>\n<Message>Access denied.\
                      </Message>\n<Details>a@b does not have storage.objects.get access to the object.</Details></Error>";
        assert_eq!(code_and_message(google), both("AccessDenied", "Access denied."));
        assert!(ErrorBody::parse(google.as_bytes()).detail.unwrap().contains("storage.objects.get"));
    }

    #[test]
    fn token_endpoints_answer_in_json() {
        // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        let entra = r#"{"error":"invalid_scope","error_description":"AADSTS70011: The provided value isn't valid."}"#;
        assert_eq!(code_and_message(entra), both("invalid_scope", "AADSTS70011: The provided value isn't valid."));
        let google = r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#;
        assert_eq!(code_and_message(google), both("PERMISSION_DENIED", "Permission denied"));
        let container = r#"{"code":"InvalidIdInRequest","message":"CredentialsV2Request: ID not found"}"#;
        assert_eq!(code_and_message(container), both("InvalidIdInRequest", "CredentialsV2Request: ID not found"));
    }

    #[test]
    fn a_complaint_about_the_time_holds_both_times() {
        let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current \
                    time is too large.</Message><RequestTime>20260101T120000Z</RequestTime>\
                    <ServerTime>2026-01-01T12:20:00Z</ServerTime></Error>";
        let parsed = ErrorBody::parse(body.as_bytes());
        let apart = parsed.server_time.unwrap().duration_since(parsed.request_time.unwrap()).unwrap();
        assert_eq!(apart.as_secs(), 20 * 60);
    }

    #[test]
    fn entities_are_resolved_and_what_is_cut_off_is_read_as_far_as_it_goes() {
        let body = "<Error><Code>Odd</Code><Message>&lt;a &amp; b&#33; &unknown;</Message><Region>eu-w";
        assert_eq!(code_and_message(body), both("Odd", "<a & b!"));
    }

    #[test]
    fn what_is_no_error_of_a_store_tells_nothing() {
        for body in ["", "<html><body>502 Bad Gateway</body></html>", "{\"error\":", "nginx", "\u{0}\u{1}"] {
            assert_eq!(ErrorBody::parse(body.as_bytes()), ErrorBody::default(), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            ErrorBody::parse(&body);
            ErrorBody::parse(&[b"<Error><Code>", &body[..]].concat());
        }
    }
}
