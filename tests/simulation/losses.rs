//! What a store loses of what was written there, through no fault of a simulated process: a lifecycle rule, a cleaner,
//! somebody's hand. It is the published payload, gone or cut off, and with it sometimes `config.json`.

use std::future::pending;
use std::time::Duration;

use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::ObjectKeys;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::VERSION;
use super::site::{Site, State};

impl Site {
    /// Loses things now and then, for ever; nothing, where nothing is said of how often.
    pub(crate) async fn lose_things(&self, every: Option<Duration>, mut random: StdRng) {
        let Some(every) = every else { return pending().await };
        loop {
            sleep(every.mul_f64(random.random_range(0.2..1.8))).await;
            let now = self.now();
            self.state().lose(now, &mut random);
        }
    }
}

impl State {
    fn lose(&mut self, now: Duration, random: &mut StdRng) {
        let keys = ObjectKeys::new(VERSION);
        let named = self.objects.get(&keys.manifest()).and_then(|stored| Manifest::decode(&stored.bytes).ok());
        let Some(key) = named.map(|manifest| manifest.snapshot.key) else { return };
        let Some(stored) = self.objects.get(&key).cloned() else { return };
        if random.random() {
            self.log.note(now, &format!("{key} is lost"));
            self.objects.delete(&key, now);
        } else {
            self.log.note(now, &format!("{key} is cut off"));
            self.objects.put(&key, stored.bytes.slice(..stored.bytes.len() / 2), now);
        }
        self.checks.lost(key);
        // Without it, and without anybody's memory, only a control plane can bring the configuration back.
        if random.random_range(0..3) == 0 {
            self.log.note(now, "config.json is lost");
            self.objects.delete(&keys.config_json(), now);
        }
    }
}
