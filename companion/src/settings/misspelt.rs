//! Names that look like a setting's and are none, and which one was probably meant.

use strsim::levenshtein;

use super::names::{SETTINGS, Setting};

/// What is wrong with the names in an environment: a sentence for each name that begins with `LIFEBOAT_` and is no
/// setting, with the name that was probably meant.
pub(super) fn misspelt<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut unknown: Vec<&str> = names.into_iter().filter(|name| !is_service_link(name)).collect();
    unknown.sort_unstable();
    unknown.into_iter().filter_map(|name| Some(format!("{name} {}", not_a_setting(name)?))).collect()
}

/// The second half of the sentence about a name that begins with `LIFEBOAT_` and is no setting.
pub(super) fn not_a_setting(name: &str) -> Option<String> {
    let plain = name.strip_suffix("_FILE");
    let in_file = |setting: &Setting| plain == Some(setting.variable) && setting.may_be_in_file();
    let is_known = SETTINGS.iter().any(|setting| setting.variable == name || in_file(setting));
    if !name.starts_with("LIFEBOAT_") || is_known {
        return None;
    }
    Some(match by_flag(name).or_else(|| nearest(name)) {
        Some(nearest) => format!("is not a setting: did you mean {nearest}?"),
        None => format!("is not a setting of lifeboat {}: unset it", env!("CARGO_PKG_VERSION")),
    })
}

// Kubernetes tells every pod of a namespace where a Service named lifeboat or lifeboat-relay is, in variables of the form
// that Docker's links had: LIFEBOAT_SERVICE_HOST, LIFEBOAT_RELAY_PORT_8005_TCP_ADDR.
fn is_service_link(name: &str) -> bool {
    let is_port = |rest: &str| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        number.bytes().all(|b| b.is_ascii_digit()) && ["TCP", "UDP", "SCTP"].iter().any(|p| protocol.starts_with(p))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name.rsplit_once("_PORT_").is_some_and(|(_, rest)| is_port(rest))
}

// LIFEBOAT_STORAGE, of somebody who knows the flag --storage: not all settings are ours.
pub(super) fn by_flag(name: &str) -> Option<&'static str> {
    let flag = name.strip_prefix("LIFEBOAT_").unwrap_or(name).to_ascii_lowercase().replace('_', "-");
    SETTINGS.iter().find(|setting| setting.flag == Some(flag.as_str())).map(|setting| setting.variable)
}

fn nearest(name: &str) -> Option<&'static str> {
    let ours = SETTINGS.iter().map(|setting| setting.variable).filter(|known| known.starts_with("LIFEBOAT_"));
    let nearest = ours.map(|known| (levenshtein(name, known), known)).min();
    // In a short name, three different letters already make another name.
    let own_part = name.len() - "LIFEBOAT_".len();
    nearest.filter(|(distance, _)| *distance <= 3 && 2 * distance <= own_part).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_right_one() {
        let names = ["LIFEBOAT_LOG", "LIFEBOAT_PLUGIN", "LIFEBOAT_SIGNING_KEY", "LIFEBOAT_XYZZY", "PATH"];
        let problems = misspelt(names);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(misspelt(["LIFEBOAT_SIGNING_KEY_FILE", "LIFEBOAT_TRUSTED_KEYS_FILE"]), [""; 0]);
        assert_eq!(misspelt(["LIFEBOAT_LOG_FILE"]).len(), 1, "nothing is read from there");
        assert_eq!(problems[0], "LIFEBOAT_PLUGIN is not a setting: did you mean LIFEBOAT_PLUGINS?");
        let by_flag = misspelt(["LIFEBOAT_STORAGE"]);
        assert!(by_flag[0].ends_with("did you mean KONG_CLUSTER_FALLBACK_CONFIG_STORAGE?"), "{by_flag:?}");
        assert!(problems[1].starts_with("LIFEBOAT_XYZZY is not a setting of lifeboat"), "{problems:?}");
    }

    #[test]
    fn what_kubernetes_says_of_a_service_named_lifeboat_is_no_setting() {
        let links = [
            "LIFEBOAT_SERVICE_HOST",
            "LIFEBOAT_SERVICE_PORT_RELAY",
            "LIFEBOAT_PORT",
            "LIFEBOAT_RELAY_PORT_8005_TCP",
            "LIFEBOAT_RELAY_PORT_8005_TCP_ADDR",
        ];
        assert_eq!(misspelt(links), Vec::<String>::new());
        assert_eq!(misspelt(["LIFEBOAT_PORT_OF_CALL"]).len(), 1);
    }

    #[test]
    fn nothing_is_suggested_for_a_name_that_is_like_none() {
        assert!(misspelt(["LIFEBOAT_X"])[0].ends_with("unset it"), "{:?}", misspelt(["LIFEBOAT_X"]));
    }
}
