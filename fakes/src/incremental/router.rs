//! What a node serves: its router, which is built from the database, and may fail to be.

use std::sync::Arc;

use serde_json::Value;

use super::database::{Database, Workspace};

/// More routes than this are not there at once after a full sync (Kong's own mistake).
const BUILT_AT_ONCE: usize = 2_048;

/// A node's router.
#[derive(Debug, Clone, Default)]
pub(super) struct Router {
    /// What it was built from.
    built: Option<Arc<Database>>,
    /// A build broke off, and all later ones fail until Kong is started again.
    blocked: bool,
    /// Nothing can be read.
    unreadable: bool,
}

impl Router {
    /// Builds it; at an error the old one goes on, if there is one.
    ///
    /// # Errors
    /// What Kong's log says.
    pub(super) fn build(&mut self, database: &Arc<Database>, plugins: &[String]) -> Result<(), String> {
        self.unreadable = database.rows.values().any(|row| row.workspace == Workspace::Null);
        if self.unreadable {
            return Err("unexpected end of buffer".to_owned());
        }
        if self.blocked {
            return Err("could not create router: concurrent incremental router rebuild without mutex, this is unsafe"
                .to_owned());
        }

        for plugin in database.entities("plugins") {
            let name = plugin["name"].as_str().unwrap_or_default();
            if !plugins.iter().any(|known| known == name) {
                return Err(format!("{name} plugin is in use but not enabled"));
            }
        }
        for route in database.entities("routes") {
            let service = route["service"]["id"].as_str();
            if service.is_some_and(|service| database.get("services", service).is_none()) {
                return Err(format!("could not find service for route ({})", route["id"]));
            }
            if !route["regex_priority"].is_number() {
                self.blocked = true;
                return Err("could not create router: atc.lua:258: bad argument to 'regex_priority'".to_owned());
            }
        }
        self.built = Some(database.clone());
        Ok(())
    }

    /// Whether a full sync's routes are there at once.
    pub(super) fn is_at_once(database: &Database) -> bool {
        database.of_kind("routes").count() <= BUILT_AT_ONCE
    }

    pub(super) fn is_built(&self) -> bool {
        self.built.is_some()
    }

    /// What it was built from, if anything can be read.
    pub(super) fn serves(&self) -> Option<&Arc<Database>> {
        self.built.as_ref().filter(|_| !self.unreadable)
    }

    /// The status of a request that this route, by name or id, would match.
    pub(super) fn answer(&self, route: &str) -> u16 {
        if self.unreadable {
            return 500;
        }
        let Some(database) = &self.built else { return 404 };
        let is_it = |entity: &&Arc<Value>| entity["name"] == route || entity["id"] == route;
        let Some(route) = database.entities("routes").find(is_it) else { return 404 };
        let Some(service) = route["service"]["id"].as_str() else { return 200 };

        match database.get("services", service).map(|row| &row.entity) {
            Some(service) if service["enabled"] == false => 404,
            // Without its defaults it has port 80, at which nothing is.
            Some(service) if !service["port"].is_number() => 502,
            Some(_) => 200,
            None => 503,
        }
    }
}
