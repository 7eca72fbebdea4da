//! Points in time as HTTP and the clouds write them. No clock is read.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

/// `Fri, 31 Dec 1999 23:59:59 GMT`, `1999-12-31T23:59:59Z`, or AWS's `19991231T235959Z`.
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(time) = httpdate::parse_http_date(text) {
        return Some(time);
    }
    if let (16, Some((day, time))) = (text.len(), text.split_once('T'))
        && let (8, 7) = (day.len(), time.len())
        && text.is_ascii()
    {
        let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
        let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..6]);
        return humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok();
    }
    humantime::parse_rfc3339(text).ok()
}

/// The point in time in this header; none if it isn't there or can't be read.
pub fn header(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse(headers.get(name)?.to_str().ok()?)
}

/// The server's time when it answered. None for an answer that lay in a cache.
pub fn of_answer(headers: &HeaderMap) -> Option<SystemTime> {
    if headers.contains_key(header::AGE) { None } else { header(headers, &header::DATE) }
}

/// The time that a request was signed with.
pub fn of_request(headers: &HeaderMap) -> Option<SystemTime> {
    let names = [HeaderName::from_static("x-amz-date"), HeaderName::from_static("x-ms-date"), header::DATE];
    names.iter().find_map(|name| header(headers, name))
}

/// How long an answer asks to wait: seconds, or a date, which counts from the answer's own (RFC 9110 section 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let answered = header(headers, &header::DATE)?;
    Some(parse(text)?.duration_since(answered).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_moment_is_read_in_each_of_its_forms() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_799);
        for text in ["Fri, 31 Dec 1999 23:59:59 GMT", "1999-12-31T23:59:59Z", "19991231T235959Z"] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "19991331T235959Z", "1999ü231T23595Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_that_counts_from_the_answers_own() {
        assert_eq!(retry_after(&headers(&[("retry-after", "120")])), Some(Duration::from_secs(120)));
        let date = ("date", "Fri, 31 Dec 1999 23:59:00 GMT");
        let later = ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT");
        assert_eq!(retry_after(&headers(&[date, later])), Some(Duration::from_secs(59)));
        let earlier = ("retry-after", "Fri, 31 Dec 1999 23:00:00 GMT");
        assert_eq!(retry_after(&headers(&[date, earlier])), Some(Duration::ZERO));
        for unusable in ["-1", "soon"] {
            assert_eq!(retry_after(&headers(&[("retry-after", unusable)])), None);
        }
        assert_eq!(retry_after(&headers(&[later])), None);
    }

    #[test]
    fn an_answer_from_a_cache_does_not_tell_the_time() {
        let date = ("date", "Fri, 31 Dec 1999 23:59:00 GMT");
        assert!(of_answer(&headers(&[date])).is_some());
        assert_eq!(of_answer(&headers(&[date, ("age", "7")])), None);
    }
}
