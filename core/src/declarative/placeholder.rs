//! Placeholders that nobody has filled in: `${{ env "X" }}` of decK, `$NAME` and `${NAME}` of shells, `{{ .Name }}` of
//! templates. Kong takes them literally, and one that stands for a key is then a key that everybody knows.

/// What a text with a placeholder in it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is written as placeholders are.
    Placeholder,
    /// `$name` in small letters: a placeholder, or a password that begins with a dollar sign.
    Perhaps,
}

/// Plugins whose own templates are written in the same way.
const OWN_TEMPLATES: [&str; 2] = ["ai-prompt-template", "ai-prompt-decorator"];

/// Whether the settings of a plugin may hold `{{ name }}` in a meaning of its own.
pub(super) fn has_own_templates(plugin: &str) -> bool {
    OWN_TEMPLATES.contains(&plugin)
}

/// Whether all of a text is one placeholder, or all that comes after the name in `name: value`, as headers are written.
pub(super) fn whole(text: &str) -> Option<Likeness> {
    let text = text.trim();
    one(text).or_else(|| {
        let (name, value) = text.split_once(':')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_name) { None } else { one(value.trim()) }
    })
}

fn one(text: &str) -> Option<Likeness> {
    let braced = |open: &str, close: &str| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?;
        (!inner.trim().is_empty() && !inner.contains("{{") && !inner.contains("}}")).then_some(inner)
    };
    if braced("${{", "}}").is_some() || braced("{{", "}}").is_some() || braced("${", "}").is_some_and(is_expansion) {
        return Some(Likeness::Placeholder);
    }
    let name = text.strip_prefix('$')?;
    if is_variable(name) {
        return Some(Likeness::Placeholder);
    }
    (is_identifier(name) && name.len() > 1).then_some(Likeness::Perhaps)
}

/// Whether a placeholder stands somewhere in a host or a URL, neither of which can hold these characters for themselves.
pub(super) fn within(text: &str) -> bool {
    if text.contains("{{") {
        return true;
    }
    text.match_indices('$').any(|(at, _)| {
        let rest = &text[at + 1..];
        if let Some(braced) = rest.strip_prefix('{') {
            return braced.split_once('}').is_some_and(|(inner, _)| is_expansion(inner));
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        is_variable(&rest[..end])
    })
}

/// What stands in braces: a name, perhaps with what is taken where it isn't set (`NAME:-80`).
fn is_expansion(inner: &str) -> bool {
    let inner = inner.trim();
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    is_identifier(&name.replace('.', "_")) && (rest.is_empty() || rest.starts_with([':', '-', '?', '+', '=']))
}

fn is_variable(name: &str) -> bool {
    is_identifier(name) && name.len() > 1 && !name.contains(|c: char| c.is_ascii_lowercase())
}

fn is_identifier(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_one_placeholder_is_found() {
        for text in [
            "${{ env \"DECK_HOST\" }}",
            "${{env 'X'}}",
            "$SERVICE_KEY",
            "${NAME}",
            "${name:-80}",
            "{{ .Name }}",
            "{{ .Values.orders.host | quote }}",
            "{{host}}",
            " $SERVICE_KEY ",
            "Authorization: $TOKEN",
            "x-key:${KEY}",
        ] {
            assert_eq!(whole(text), Some(Likeness::Placeholder), "{text}");
        }
        assert_eq!(whole("$ecret"), Some(Likeness::Perhaps));
    }

    #[test]
    fn what_only_looks_a_little_like_one_is_none() {
        for text in [
            "",
            "$",
            "$5",
            "$A",
            "$2a$10$abcdefghijklmnopqrstuv",
            "pa$$WORD",
            "US$PRICE",
            "{vault://env/my-key}",
            "$(headers.authorization)",
            "x-a: $(uri_captures[1])",
            "~/orders/(?<id>\\d+)$",
            "${{ a }} and ${{ b }}",
            "return {{1}}",
            "{}",
            "{{}}",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_or_a_url_with_one_in_it_is_found() {
        for text in ["http://${HOST}:8000/a", "https://$HOST/a", "{{ .Host }}.example.com", "${{ env \"H\" }}.test"] {
            assert!(within(text), "{text}");
        }
        for text in ["http://example.com/$(a)", "http://a/?$filter=b", "a.test", "http://a/${", "*.example.com"] {
            assert!(!within(text), "{text}");
        }
    }
}
