//! Settings that are read again while the program runs (SIGHUP): all of them are valid, or nothing changes.

use std::sync::Arc;

use lifeboat_runtime::background::computed;
use tracing::{Level, enabled, error, info, warn};

use crate::logging::Log;
use crate::settings::{Changed, LiveRules, Problems, Reloaded, Source};

/// Reads settings again, and says what came of it.
pub struct Reloader {
    /// What the program was started with.
    started: Source,
    /// What was read last without a mistake.
    last: Source,
    log: Log,
    read: Read,
}

type Read = Arc<dyn Fn(&Source) -> Result<LiveRules, Problems> + Send + Sync>;

impl Reloader {
    /// For a program that was started with `source`, of which `read` makes the rules, or says everything that is wrong.
    pub fn new<R>(source: &Source, log: &Log, read: R) -> Self
    where
        R: Fn(&Source) -> Result<LiveRules, Problems> + Send + Sync + 'static,
    {
        Self { started: source.clone(), last: source.clone(), log: log.clone(), read: Arc::new(read) }
    }

    /// Reads them again. The log's level is changed here, the rules by whoever gets them.
    pub async fn reload(&mut self) -> Reloaded {
        let files: Vec<String> = self.last.files().map(|path| path.display().to_string()).collect();
        if files.is_empty() {
            info!(
                "SIGHUP changes nothing: all settings are flags or variables of the environment, which can't change while \
                 lifeboat runs; in a file (--settings) they can"
            );
            return Reloaded::Unchanged;
        }
        let (last, read) = (self.last.clone(), self.read.clone());
        let (now, rules) = computed(move || {
            let now = last.read_again();
            let rules = read(&now);
            (now, rules)
        })
        .await;

        // All that is missing in it would only hide that it is.
        if let Some(problem) = now.unreadable_settings_file() {
            error!("SIGHUP changes nothing: {problem}");
            return Reloaded::Refused;
        }
        let files = files.join(" and ");
        let rules = match rules {
            Ok(rules) => rules,
            Err(problems) => {
                error!("SIGHUP changes nothing, since what stands in {files} now can't be used: {problems}");
                return Reloaded::Refused;
            }
        };
        if let Err(problems) = rules.check(&self.started, &now) {
            error!(
                "SIGHUP changes nothing, since what stands in {files} now can be used after a restart only: {problems}"
            );
            return Reloaded::Refused;
        }
        let changed = Changed::between(&self.started, &self.last, &now);
        self.last = now;
        self.say(&files, &changed);
        if changed.live.is_empty() { Reloaded::Unchanged } else { Reloaded::Applied(rules) }
    }

    fn say(&self, files: &str, changed: &Changed) {
        let say = || match changed.live.as_slice() {
            [] => {
                info!("SIGHUP changes nothing: no setting in {files} that can change while lifeboat runs has changed")
            }
            live => info!(
                "settings were read again from {files}: {}. They hold from the next decision on, and what is held stays held",
                live.join(", ")
            ),
        };

        // Said at the level of before, or else at the new one: whoever has made the log quieter wants to know, too.
        let is_heard = enabled!(Level::INFO);
        if is_heard {
            say();
        }
        self.log.set_level_of(&self.last);
        if !is_heard {
            say();
        }

        for overridden in &changed.overridden {
            warn!("a changed setting has no effect: {overridden}");
        }
        if !changed.at_next_start.is_empty() {
            let names = changed.at_next_start.join(", ");
            warn!("settings were changed that take effect when lifeboat is restarted, and not before: {names}");
        }
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Follow;

    #[tokio::test]
    async fn a_program_that_was_started_without_keys_does_not_begin_to_follow() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = Source::default().with_flag("LIFEBOAT_SETTINGS_FILE", file.path().display().to_string());
        let follow = |source: &Source| source.get("LIFEBOAT_FOLLOW").map(|_| Follow::default());
        let read = move |source: &Source| Ok(LiveRules { follow: follow(source), ..LiveRules::default() });
        for (at_start, expected) in [("", false), ("LIFEBOAT_TRUSTED_KEYS=x\n", true)] {
            std::fs::write(file.path(), at_start).unwrap();
            let mut reloader = Reloader::new(&source.read_again(), &Log::none(), read);
            std::fs::write(file.path(), "LIFEBOAT_TRUSTED_KEYS=x\nLIFEBOAT_FOLLOW=on\n").unwrap();
            let reloaded = reloader.reload().await;
            assert_eq!(
                matches!(reloaded, Reloaded::Applied(rules) if rules.follow.is_some()),
                expected,
                "{reloaded:?}"
            );
            assert_eq!(reloaded == Reloaded::Refused, !expected);
        }
    }
}
