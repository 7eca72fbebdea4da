//! The page for browsers: by which names it may be asked for, and whether it compares snapshots.

use super::{Reader, names};

/// The names under which the page is answered, and whether it compares snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSettings {
    /// Names of this host, in lower case, besides `localhost` and its IP addresses.
    pub hosts: Vec<String>,
    /// Whether it compares snapshots.
    pub compares: Compares,
}

/// Whether the page compares snapshots. Their configurations then leave the process, with their secrets masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compares {
    /// It shows the command for it.
    #[default]
    Off,
    /// It does.
    On,
}

impl PageSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut hosts = Vec::new();
        for name in reader.list(names::LIFEBOAT_HTTP_HOSTS) {
            let Some(host) = host(&name) else {
                reader.wrong(format!(
                    "LIFEBOAT_HTTP_HOSTS: {name:?} is no name of a host: leave out scheme, port and wildcards (valid: \
                     lifeboat.example.com, lifeboat.kong.svc)"
                ));
                return None;
            };
            hosts.push(host);
        }

        let compares = if reader.switch(names::LIFEBOAT_HTTP_PAGE) { Compares::On } else { Compares::Off };
        Some(Self { hosts, compares })
    }
}

/// The name as it is compared.
fn host(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (name.len() <= 253 && name.split('.').all(is_part)).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::{Problems, Source};
    use super::*;

    fn read(hosts: &str, page: &str) -> Result<PageSettings, Problems> {
        let given = [("LIFEBOAT_HTTP_HOSTS", hosts), ("LIFEBOAT_HTTP_PAGE", page)];
        let source = Source::from_environment(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut reader = Reader::new(&source);
        let settings = PageSettings::read(&mut reader);
        match settings {
            Some(settings) if reader.problems().list().is_empty() => Ok(settings),
            _ => Err(reader.into_problems()),
        }
    }

    #[test]
    fn hosts_are_names_and_comparing_is_off_unless_it_is_switched_on() {
        assert_eq!(read("", "").unwrap(), PageSettings::default());
        let hosts = vec!["lifeboat.example.com".to_owned(), "edge-7".to_owned()];
        assert_eq!(
            read("Lifeboat.example.com., edge-7", "on").unwrap(),
            PageSettings { hosts, compares: Compares::On }
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_valid_ones() {
        for wrong in ["*", "*.example.com", "http://lifeboat", "lifeboat:8115", "a b", "."] {
            let problem = read(wrong, "").unwrap_err().to_string();
            assert!(problem.contains("LIFEBOAT_HTTP_HOSTS") && problem.contains("valid:"), "{wrong}: {problem}");
        }
        assert!(read("", "maybe").unwrap_err().to_string().contains("LIFEBOAT_HTTP_PAGE"));
    }
}
