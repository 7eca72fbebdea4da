//! Texts that may be secrets and were typed in the wrong place: no message repeats them.

/// What stands in their place.
pub const HIDDEN: &str = "(not shown)";

/// Shorter texts would be replaced in the middle of words.
const SHORTEST: usize = 8;
/// A longer text without a blank or a dot is no word that a person would choose.
const LONGEST_WORD: usize = 32;

/// Whether a value may be a secret: a key or certificate, a URL with credentials, or a long text without meaning.
pub fn may_be_secret(value: &str) -> bool {
    let value = value.trim();
    let has_credentials = value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    let is_random = value.len() >= LONGEST_WORD
        && !value.starts_with('/')
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte));
    let is_ours = ["ek1_", "sk1_"].iter().any(|mark| value.contains(mark));
    let is_text = value.contains("-----BEGIN") || value.contains('\n') || value.len() > 400;
    value.len() >= SHORTEST && (has_credentials || is_random || is_ours || is_text)
}

/// The text without those of these values that may be secrets, however it quotes them.
pub fn without_secrets<'a>(text: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let secrets = values.into_iter().filter(|value| may_be_secret(value)).map(str::trim);
    secrets.fold(text.to_owned(), |text, secret| {
        let quoted = secret.escape_debug().to_string();
        text.replace(secret, HIDDEN).replace(&quoted, HIDDEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_told_from_what_people_must_read() {
        for secret in [
            "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----",
            "prod:sk1_abcdefgh",
            "http://user:password@proxy:3128",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ] {
            assert!(may_be_secret(secret), "{secret}");
            for text in [format!("--x: {secret} is wrong"), format!("--x: {secret:?} is wrong")] {
                let said = without_secrets(&text, ["maybe", secret]);
                assert!(
                    said == format!("--x: {HIDDEN} is wrong") || said == format!("--x: \"{HIDDEN}\" is wrong"),
                    "{said}"
                );
            }
        }
        for plain in
            ["maybe", "cp.example.com:8005", "s3://kong-backups/prod", "/etc/kong/a-long-path/of-a-certificate-2026"]
        {
            assert!(!may_be_secret(plain), "{plain}");
        }
    }
}
