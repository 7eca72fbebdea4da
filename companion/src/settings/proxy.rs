//! The forward proxy on the way to the control plane: Kong's `cluster_use_proxy` and `proxy_server`.

use lifeboat_link::Proxy;

use super::{Reader, names};

const VALID: &str = "valid: http://proxy.example.com:3128, http://user:password@proxy.example.com:3128";

/// The proxy, if one is to be used. The outer option: whether that could be read.
#[allow(clippy::option_option)]
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Option<Proxy>> {
    if !reader.switch(names::KONG_CLUSTER_USE_PROXY) {
        return Some(None);
    }
    let Some(value) = reader.secret(names::KONG_PROXY_SERVER).ok()? else {
        reader.wrong(format!("KONG_PROXY_SERVER is not set, but KONG_CLUSTER_USE_PROXY is on ({VALID})"));
        return None;
    };
    match Proxy::from_url(&value) {
        Ok(proxy) => Some(Some(proxy)),
        Err(why) => {
            reader.wrong(format!("KONG_PROXY_SERVER: {why} ({VALID})"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::Source;
    use super::*;

    fn read(server: Option<&str>) -> Result<Option<Proxy>, String> {
        let server = server.map(|server| ("KONG_PROXY_SERVER".to_owned(), server.to_owned()));
        let on = ("KONG_CLUSTER_USE_PROXY".to_owned(), "on".to_owned());
        let source = Source::from_environment([on].into_iter().chain(server));
        let mut reader = Reader::new(&source);
        super::read(&mut reader).ok_or_else(|| reader.into_problems().to_string())
    }

    #[test]
    fn a_proxy_is_read_from_its_url() {
        for (url, address) in [
            ("http://proxy.example.com:3128", "proxy.example.com:3128"),
            ("http://proxy.example.com", "proxy.example.com:443"),
            ("http://proxy.example.com:80/", "proxy.example.com:80"),
            ("http://[::1]:3128", "[::1]:3128"),
        ] {
            let proxy = read(Some(url)).unwrap().unwrap();
            assert_eq!((proxy.address.to_string().as_str(), proxy.authorization), (address, None));
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_printed() {
        let proxy = read(Some("http://kong:s%40cret:wonderful@proxy.example.com:3128")).unwrap().unwrap();
        let expected = format!("Basic {}", STANDARD.encode("kong:s@cret:wonderful"));
        assert_eq!(proxy.authorization.as_ref().unwrap(), expected.as_str());
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example.com:3128, ..)");
        assert!(!format!("{:?}", proxy.authorization).contains("Basic"));
    }

    #[test]
    fn what_is_wrong_is_said_with_a_valid_one_and_without_the_password() {
        assert!(read(None).unwrap_err().contains("KONG_PROXY_SERVER is not set"));
        for url in ["https://u:wonderful@proxy:1", "wonderful", "ftp://u:wonderful@proxy"] {
            let problem = read(Some(url)).unwrap_err();
            assert!(problem.contains("KONG_PROXY_SERVER") && problem.contains("valid: http://"), "{problem}");
            assert!(!problem.contains("wonderful"), "{problem}");
        }
    }
}
