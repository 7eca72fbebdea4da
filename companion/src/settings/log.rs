//! What is logged, and in which form. A mistake is told with all other mistakes; the log itself falls back to its default.

use tracing_subscriber::filter::{ParseError, Targets};

use super::{Reader, Source, names};

/// The log's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// From which level on each part is logged.
    pub levels: Targets,
    /// The log's form.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

impl LogSettings {
    /// Those that can be used, whatever is wrong; `default` is the level if none is set.
    pub fn of(source: &Source, default: &str) -> Self {
        Self::read(&mut Reader::new(source), default)
    }

    pub(super) fn read(reader: &mut Reader<'_>, default: &str) -> Self {
        let default = || levels(default).expect("a command's own level is valid");
        Self { levels: given_levels(reader).unwrap_or_else(default), format: format(reader) }
    }
}

fn given_levels(reader: &mut Reader<'_>) -> Option<Targets> {
    let given = reader.text(names::LIFEBOAT_LOG)?;
    match levels(given.value.trim()) {
        Ok(levels) => Some(levels),
        Err(error) => {
            reader.wrong(format!("{}: {error} (valid: info, debug, lifeboat::relay=debug)", given.name));
            None
        }
    }
}

fn format(reader: &mut Reader<'_>) -> LogFormat {
    let Some(given) = reader.text(names::LIFEBOAT_LOG_FORMAT) else { return LogFormat::Text };
    match given.value.trim() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => {
            reader.wrong(format!("{}: {other:?} is neither text nor json", given.name));
            LogFormat::Text
        }
    }
}

// A bare level is meant for Lifeboat itself. From its libraries only warnings are wanted: what they log at finer levels
// is not in our hands, and could be a header with a credential.
fn levels(text: &str) -> Result<Targets, ParseError> {
    let is_bare = !text.contains(['=', ',']);
    if is_bare { format!("warn,lifeboat={text},lifeboat_core={text}").parse() } else { text.parse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_the_others_and_the_log_is_as_by_default() {
        let source = [("LIFEBOAT_LOG", "lifeboat=loud"), ("LIFEBOAT_LOG_FORMAT", "xml")];
        let source = Source::from_environment(source.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut reader = Reader::new(&source);
        reader.check_what_concerns_all();
        let problems = reader.into_problems();
        assert!(problems.list().len() == 2 && problems.mention("LIFEBOAT_LOG (--log):"), "{problems}");
        assert!(problems.mention("\"xml\" is neither text nor json"), "{problems}");
        assert_eq!(LogSettings::of(&source, "info"), LogSettings::of(&Source::default(), "info"));
    }
}
