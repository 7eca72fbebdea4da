//! Where metrics, health and status are read, and by how many at once.

use std::net::SocketAddr;

use super::{Problems, Reader, Source, names};

/// The default, which only this host reaches.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8115);

// How many connections the HTTP listeners take. No settings: the relay leaves room for them.

/// How many may be open without a whole request. This is more than the runtime accepts in a row before it reads, so a
/// request that has already arrived is always read before its connection could become the oldest.
pub(crate) const MOST_WAITING: usize = 128;
/// How many may ask for health at the same time. The answers fit every socket's buffer, so a place is free again at
/// once.
pub(crate) const MOST_HEALTH: usize = 16;
/// How many may ask for anything else.
pub(crate) const MOST_PAGES: usize = 64;

/// How many files these connections may take.
pub(crate) const MOST_CONNECTIONS: usize = MOST_WAITING + MOST_HEALTH + MOST_PAGES;

/// Where metrics, health and status are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpSettings {
    /// Nowhere.
    Off,
    /// Here.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Whose choice it is.
        chosen: Chosen,
    },
}

/// Whose choice an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// An operator's, who relies on it.
    OnPurpose,
    /// Nobody's.
    ByDefault,
}

impl HttpSettings {
    /// Reads them alone, whatever else is set and however wrong that is.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read_alone(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        Self::read(&mut reader).ok_or_else(|| reader.into_problems())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let Some(given) = reader.text(names::LIFEBOAT_HTTP_LISTEN) else {
            return Some(Self::Listen { address: DEFAULT, chosen: Chosen::ByDefault });
        };
        let text = given.value.trim();

        if text.eq_ignore_ascii_case("off") {
            return Some(Self::Off);
        }
        match text.parse() {
            Ok(address) => Some(Self::Listen { address, chosen: Chosen::OnPurpose }),
            Err(_) => {
                reader.wrong(format!(
                    "{}: {text:?} is neither an IP address with a port nor off (valid: 127.0.0.1:8115, 0.0.0.0:8115, \
                     [::1]:8115, off)",
                    given.name
                ));
                None
            }
        }
    }
}

/// Where health alone is answered, besides [`HttpSettings`]: an address that somebody has chosen, or nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthListen(pub Option<SocketAddr>);

impl HealthListen {
    /// Reads it alone, as [`HttpSettings::read_alone`] does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_alone(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        Self::read(&mut reader).ok_or_else(|| reader.into_problems())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let Some(given) = reader.text(names::LIFEBOAT_HEALTH_LISTEN) else { return Some(Self(None)) };
        let text = given.value.trim();
        let Ok(address) = text.parse() else {
            reader.wrong(format!(
                "{}: {text:?} is no IP address with a port (valid: 0.0.0.0:8116, [::]:8116)",
                given.name
            ));
            return None;
        };

        if let Some(HttpSettings::Listen { address: pages, .. }) = HttpSettings::read(reader)
            && pages == address
            && address.port() != 0
        {
            reader.wrong(format!(
                "{}: {address} is already the address of LIFEBOAT_HTTP_LISTEN, where health is answered too. Choose another port, or \
                 leave it out",
                given.name
            ));
            return None;
        }
        Some(Self(Some(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Option<&str>) -> Result<HttpSettings, String> {
        let given = value.map(|value| ("LIFEBOAT_HTTP_LISTEN".to_owned(), value.to_owned()));
        HttpSettings::read_alone(&Source::from_environment(given)).map_err(|problems| problems.to_string())
    }

    #[test]
    fn only_this_host_reaches_it_unless_somebody_says_so() {
        let default = read(None).unwrap();
        assert_eq!(default, HttpSettings::Listen { address: DEFAULT, chosen: Chosen::ByDefault });
        assert!(DEFAULT.ip().is_loopback());
        // The same address, but somebody counts on it.
        assert_eq!(
            read(Some("127.0.0.1:8115")),
            Ok(HttpSettings::Listen { address: DEFAULT, chosen: Chosen::OnPurpose })
        );
        assert_eq!(read(Some("off")), Ok(HttpSettings::Off));
    }

    #[test]
    fn health_may_have_an_address_of_its_own_and_no_other_one() {
        let read = |health: &str, pages: &str| {
            let given = [("LIFEBOAT_HEALTH_LISTEN", health), ("LIFEBOAT_HTTP_LISTEN", pages)];
            let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
            HealthListen::read_alone(&Source::from_environment(given)).map_err(|problems| problems.to_string())
        };
        assert_eq!(read("", ""), Ok(HealthListen(None)));
        assert_eq!(read("0.0.0.0:8116", "off"), Ok(HealthListen(Some(([0, 0, 0, 0], 8116).into()))));
        assert!(read("8116", "").unwrap_err().contains("LIFEBOAT_HEALTH_LISTEN (--health-listen): \"8116\""));
        let twice = read("127.0.0.1:8115", "").unwrap_err();
        assert!(twice.contains("is already the address of LIFEBOAT_HTTP_LISTEN (--http-listen), where"), "{twice}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_valid_ones() {
        for wrong in ["8115", "localhost:8115", "on", "http://127.0.0.1:8115"] {
            let problem = read(Some(wrong)).unwrap_err();
            assert!(problem.contains("LIFEBOAT_HTTP_LISTEN") && problem.contains("valid: 127.0.0.1:8115"), "{problem}");
        }
    }
}
