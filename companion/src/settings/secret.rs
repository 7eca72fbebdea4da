//! Secrets among the settings: the value itself, or with `_FILE` after the name the file that holds it.

use lifeboat_storage::access::Secret;

use super::Reader;

/// A setting that holds a secret, or with `_FILE` after its name the file that does. A file that can't be read now,
/// or holds nothing, is a problem.
pub(super) fn read(reader: &mut Reader<'_>, variable: &str) -> Option<Secret> {
    // Also checks that not both are set and that the file can be read.
    let value = reader.secret(variable)?;
    match reader.text(&format!("{variable}_FILE")) {
        Some(given) if value.is_empty() => {
            reader.wrong(format!("{}: the file {} is empty", given.name, given.value.trim()));
            None
        }
        Some(given) => Some(Secret::File(given.value.trim().into())),
        None => Some(Secret::Value(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    #[test]
    fn a_file_is_read_again_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first\n").unwrap();
        let path = file.path().display().to_string();
        let source = Source::from_environment([("AWS_SESSION_TOKEN_FILE".to_owned(), path.clone())]);
        let secret = read(&mut Reader::new(&source), "AWS_SESSION_TOKEN").unwrap();
        assert_eq!(secret.reveal().unwrap(), "first");
        std::fs::write(file.path(), "second\n").unwrap();
        assert_eq!(secret.reveal().unwrap(), "second");
        drop(file);
        assert!(secret.reveal().unwrap_err().to_string().contains(&path));
    }

    #[test]
    fn an_empty_file_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let source = Source::from_environment([("AWS_SESSION_TOKEN_FILE".to_owned(), path)]);
        let mut reader = Reader::new(&source);
        assert_eq!(read(&mut reader, "AWS_SESSION_TOKEN"), None);
        assert!(reader.problems().mention("AWS_SESSION_TOKEN_FILE"));
    }
}
