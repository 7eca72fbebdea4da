//! A secret as it is given: the value itself, or the file that holds it. Read as often as it is used, so that a file
//! that is replaced is noticed.

use std::path::PathBuf;
use std::{fmt, io};

use super::Reader;

/// A secret, or where it stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Value(String),
    /// A file that holds it, blanks at its ends aside.
    File(PathBuf),
}

impl Secret {
    /// The secret as it is now.
    ///
    /// # Errors
    /// When its file can't be read.
    pub fn reveal(&self) -> io::Result<String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| {
                    io::Error::new(error.kind(), format!("{} can't be read: {error}", path.display()))
                })?;
                Ok(text.trim().to_owned())
            }
        }
    }

    /// A setting that holds a secret, or with `_FILE` after its name the file that does. A file that can't be read now,
    /// or holds nothing, is a problem.
    pub(super) fn read(reader: &mut Reader<'_>, variable: &str) -> Option<Self> {
        // Also checks that not both are set and that the file can be read.
        let value = reader.secret(variable)?;
        match reader.text(&format!("{variable}_FILE")) {
            Some(given) if value.is_empty() => {
                reader.wrong(format!("{}: the file {} is empty", given.name, given.value.trim()));
                None
            }
            Some(given) => Some(Self::File(given.value.trim().into())),
            None => Some(Self::Value(value)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str(".."),
            Self::File(path) => write!(f, "in {}", path.display()),
        }
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
        let secret = Secret::read(&mut Reader::new(&source), "AWS_SESSION_TOKEN").unwrap();
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
        assert_eq!(Secret::read(&mut reader, "AWS_SESSION_TOKEN"), None);
        assert!(reader.problems().mention("AWS_SESSION_TOKEN_FILE"));
    }

    #[test]
    fn no_value_is_printed() {
        assert_eq!(format!("{:?}", Secret::Value("wonderful".into())), "..");
    }
}
