//! What differs between two readings of the same flags, the same environment and the same files.

use super::live::LIVE;
use super::names::SETTINGS;
use super::source::{Given, Source};

/// What an operator should know after the files were read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// What is taken over at once, each as a sentence says it.
    pub live: Vec<String>,
    /// What is taken over at the next start, by name.
    pub at_next_start: Vec<String>,
    /// What was changed in a file without effect, with the place that wins.
    pub overridden: Vec<String>,
}

impl Changed {
    /// Compares the settings that were read at the start, those that were read last, and those that are read now.
    pub fn between(started: &Source, last: &Source, now: &Source) -> Self {
        let mut changed = Self::default();
        for setting in SETTINGS {
            let variable = setting.variable;
            let is_live = LIVE.contains(&setting.name());
            let (before, after) = (last.get(variable), now.get(variable));
            if is_live && value(&before) != value(&after) {
                let shown = |given: &Option<Given>| value(given).unwrap_or(setting.default).to_owned();
                changed.live.push(format!("{variable} is {} (was {})", shown(&after), shown(&before)));
            }
            let in_file = setting.name().in_file();
            for name in [variable, &in_file] {
                // The name of the file that is read can't be changed by reading it.
                if !is_live && value(&started.get(name)) != value(&now.get(name)) {
                    changed.at_next_start.push(name.to_owned());
                }
                let layers = [
                    (last.in_settings_file(name), now.in_settings_file(name)),
                    (last.in_kong_conf(name), now.in_kong_conf(name)),
                ];
                let without_effect = |(before, after): (Option<Given>, Option<Given>)| {
                    let (own, wins) = (after?, now.get(name)?);
                    let is_new = before.is_none_or(|before| before.value != own.value);
                    (is_new && wins.value != own.value).then(|| format!("{} ({} wins)", own.name, place(&wins, name)))
                };
                changed.overridden.extend(layers.into_iter().filter_map(without_effect));
            }
        }

        changed
    }
}

fn value(given: &Option<Given>) -> Option<&str> {
    given.as_ref().map(|given| given.value.trim())
}

fn place(given: &Given, variable: &str) -> String {
    match &given.name {
        name if given.is_argument => format!("the flag {name}"),
        name if name == variable => "the environment".to_owned(),
        name => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Flags, environment, settings file and kong.conf, of which the two last are written anew.
    struct Files(tempfile::TempDir, Source);

    impl Files {
        fn new(environment: &[(&str, &str)], settings: &str, conf: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let source = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let source = Source::from_environment(source).with_flag("LIFEBOAT_LOG", "debug".into());
            let mut files = Self(folder, Source::default());
            files.write(settings, conf);
            let source = source.with_flag("LIFEBOAT_SETTINGS_FILE", files.path("settings"));
            files.1 = source.with_settings_file().with_kong_conf(Path::new(&files.path("kong.conf")));
            files
        }

        fn path(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }

        fn write(&self, settings: &str, conf: &str) {
            std::fs::write(self.path("settings"), settings).unwrap();
            std::fs::write(self.path("kong.conf"), conf).unwrap();
        }

        fn then(&self, settings: &str, conf: &str) -> Changed {
            self.write(settings, conf);
            Changed::between(&self.1, &self.1, &self.1.read_again())
        }
    }

    #[test]
    fn what_changes_at_once_is_told_from_what_waits_for_the_next_start() {
        let files = Files::new(&[], "LIFEBOAT_MAX_AGE=1d\nKONG_VERSION=3.9.1\n", "cluster_mtls = pki\n");
        let changed = files.then(
            "LIFEBOAT_FOLLOW=on\nLIFEBOAT_MAX_AGE=2d\nAWS_SESSION_TOKEN=secret\nLIFEBOAT_SIGNING_KEY_FILE=/x\n",
            "cluster_mtls = shared\nproxy_listen = off\n",
        );
        assert_eq!(changed.live, ["LIFEBOAT_MAX_AGE is 2d (was 1d)", "LIFEBOAT_FOLLOW is on (was off)"]);
        let names = ["KONG_VERSION", "KONG_CLUSTER_MTLS", "LIFEBOAT_SIGNING_KEY_FILE", "AWS_SESSION_TOKEN"];
        assert_eq!(changed.at_next_start, names);
        assert_eq!(changed.overridden, [""; 0]);
        let same = Files::new(&[], "KONG_VERSION=3.9.1\n", "");
        assert_eq!(same.then("# moved\nKONG_VERSION='3.9.1'\n", ""), Changed::default());
    }

    #[test]
    fn what_is_changed_without_effect_is_told_with_what_wins() {
        let files = Files::new(&[("LIFEBOAT_MAX_SHRINK", "10")], "KONG_PREFIX=/a\n", "prefix = /b\n");
        let changed = files.then("LIFEBOAT_MAX_SHRINK=90\nLIFEBOAT_LOG=warn\nKONG_PREFIX=/a\n", "prefix = /c\n");
        let path = files.path("settings");
        let said = [
            format!("prefix in kong.conf (KONG_PREFIX in {path} line 3 wins)"),
            format!("LIFEBOAT_MAX_SHRINK in {path} line 1 (the environment wins)"),
            format!("LIFEBOAT_LOG in {path} line 2 (the flag --log wins)"),
        ];
        assert_eq!(changed, Changed { overridden: said.to_vec(), ..Changed::default() });
        // It is said once.
        let now = files.1.read_again();
        assert_eq!(Changed::between(&files.1, &now, &now), Changed::default());
    }
}
