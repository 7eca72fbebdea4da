//! What is logged, and in which form. A mistake is told with all other mistakes; the log itself falls back to its default.

use tracing_subscriber::EnvFilter;

use super::{Reader, Source, names};

/// The log's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives that [`EnvFilter`] takes.
    pub directives: String,
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
        Self { directives: filter(reader).unwrap_or_else(|| directives(default)), format: format(reader) }
    }
}

fn filter(reader: &mut Reader<'_>) -> Option<String> {
    let given = reader.text(names::LIFEBOAT_LOG)?;
    let directives = directives(given.value.trim());
    match EnvFilter::try_new(&directives) {
        Ok(_) => Some(directives),
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

// A bare level is meant for Lifeboat. From its libraries only warnings are wanted: what they say at finer levels is
// theirs to decide, and could be a header with a credential.
fn directives(text: &str) -> String {
    if text.contains(['=', ',']) { text.to_owned() } else { format!("warn,lifeboat={text},lifeboat_core={text}") }
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
