//! Whether the node that a program starts is one that `lifeboat exec` restores.

use super::names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT as IMPORT;
use super::{Problems, Reader, Source, names};

/// Whether the node that is started is to be restored if it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restoring {
    /// It is a data plane, or it was asked for.
    Wanted,
    /// It is another kind of node, or it was switched off. With the reason.
    Unwanted(String),
    /// Nothing says what kind of node it is. With what is missing.
    Untold(String),
}

impl Restoring {
    /// Reads whether it is.
    ///
    /// The variable for importing is Kong's own, and may be meant for Kong: only its flag is Lifeboat's alone.
    ///
    /// # Errors
    /// When a setting that decides this can't be read.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        source.note(IMPORT);
        let restoring = match source.flag(IMPORT.variable()) {
            Some(_) if reader.switch(IMPORT) => Self::Wanted,
            Some(given) => Self::Unwanted(format!("{} is {}", given.name, given.value.trim())),
            None => Self::by_role(&mut reader),
        };
        // Without its kong.conf nobody knows what a node is, unless it was told otherwise.
        if let Self::Untold(_) = &restoring {
            reader.check_files();
        }
        if reader.problems().list().is_empty() { Ok(restoring) } else { Err(reader.into_problems()) }
    }

    // Kong itself refuses a data plane with a database (Kong's public configuration reference, `role`).
    fn by_role(reader: &mut Reader<'_>) -> Self {
        for (name, wanted) in [(names::KONG_ROLE, "data_plane"), (names::KONG_DATABASE, "off")] {
            match reader.text(name) {
                Some(given) if given.value.trim() == wanted => {}
                Some(given) => {
                    return Self::Unwanted(format!("{} is {}, not {wanted}", given.name, given.value.trim()));
                }
                None => {
                    return Self::Untold(format!(
                        "{name} is not set. Only a node with KONG_ROLE=data_plane and KONG_DATABASE=off is restored: if \
                         they stand in a kong.conf, name it with --kong-conf; --import on restores whatever they are"
                    ));
                }
            }
        }
        Self::Wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pairs: &[(&str, &str)]) -> Source {
        Source::from_environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    const DATA_PLANE: [(&str, &str); 2] = [("KONG_ROLE", "data_plane"), ("KONG_DATABASE", "off")];

    #[test]
    fn a_data_plane_without_a_database_is_restored_wherever_that_is_said() {
        assert_eq!(Restoring::read(&source(&DATA_PLANE)), Ok(Restoring::Wanted));
        let conf = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(conf.path(), "role = data_plane\ndatabase = off\n").unwrap();
        assert_eq!(Restoring::read(&source(&[]).with_kong_conf(conf.path())), Ok(Restoring::Wanted));
        let by_reference =
            source(&[("KONG_ROLE", "{vault://env/the-role}"), ("THE_ROLE", "data_plane"), DATA_PLANE[1]]);
        assert_eq!(Restoring::read(&by_reference), Ok(Restoring::Wanted));
    }

    #[test]
    fn another_node_is_not_and_why_is_said() {
        for (pairs, said) in [
            (vec![("KONG_ROLE", "control_plane")], "KONG_ROLE is control_plane"),
            (vec![("KONG_ROLE", "data_plane"), ("KONG_DATABASE", "postgres")], "KONG_DATABASE is postgres"),
        ] {
            match Restoring::read(&source(&pairs)) {
                Ok(Restoring::Unwanted(why)) => assert!(why.contains(said), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        let untold = Restoring::read(&source(&[("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "on")]));
        assert!(matches!(untold, Ok(Restoring::Untold(_))), "the variable may be meant for Kong: {untold:?}");
    }

    #[test]
    fn the_flag_decides_whatever_the_node_is() {
        let import = |value: &str, pairs| source(pairs).with_flag(IMPORT.variable(), value.to_owned());
        assert_eq!(Restoring::read(&import("on", &[("KONG_ROLE", "traditional")])), Ok(Restoring::Wanted));
        let off = Restoring::read(&import("off", &DATA_PLANE));
        assert_eq!(off, Ok(Restoring::Unwanted("--import is off".to_owned())));
        assert!(Restoring::read(&import("maybe", &DATA_PLANE)).unwrap_err().mention("--import"));
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_only_where_it_would_decide() {
        let lost = std::path::Path::new("/no/such/kong.conf");
        assert!(Restoring::read(&source(&[]).with_kong_conf(lost)).unwrap_err().mention("/no/such/kong.conf"));
        assert_eq!(Restoring::read(&source(&DATA_PLANE).with_kong_conf(lost)), Ok(Restoring::Wanted));
        let elsewhere = source(&[("KONG_ROLE", "{vault://aws/role}"), DATA_PLANE[1]]);
        assert!(Restoring::read(&elsewhere).unwrap_err().mention("KONG_ROLE"));
    }
}
