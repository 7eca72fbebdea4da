//! The control plane's Admin API, where an operator has given it: which plugins and filters it has, and why it sends a
//! node nothing.

use std::ops::ControlFlow;
use std::time::{Duration, UNIX_EPOCH};

use lifeboat_core::kong::kind_names;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::schema::{SCHEMAS_LIMIT, SchemaSet, canonical_json};
use lifeboat_core::time::WallTime;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::{Map, Value};

use crate::admin_client::{AdminClient, location};
use crate::settings::AdminApi;

const LIMIT: Duration = Duration::from_secs(5);
/// An error's message is short.
const ERROR_BODY_LIMIT: usize = 64 << 10;
/// `/clustering/data-planes` comes in pages; a cluster with more nodes than this has other worries.
const PAGES: usize = 50;
/// The longest answer, in bytes: a page of nodes has 100 of them, and all that a plugin may say of itself.
const LONGEST: usize = 16 << 20;

/// Kinds of entities that only Enterprise has, by its public documentation of the Admin API.
const ENTERPRISE_KINDS: [&str; 5] =
    ["consumer_groups", "consumer_group_consumers", "consumer_group_plugins", "keyauth_enc_credentials", "licenses"];

/// The Admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    url: Url,
    client: AdminClient,
}

/// What a control plane can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loadable {
    /// Names of plugins.
    pub plugins: Vec<String>,
    /// Names of Wasm filters.
    pub filters: Vec<String>,
}

/// A node that a control plane knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPlane {
    /// Its version of Kong.
    pub version: KongVersion,
    /// When it was last there.
    pub last_seen: WallTime,
    /// Whether it is one of ours that keeps backups.
    pub is_backup: bool,
}

/// Why the Admin API did not tell.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It can't be reached, or doesn't answer as it should.
    #[error("LIFEBOAT_ADMIN_URL: {0}")]
    Http(String),
    /// What answers there isn't Kong's Admin API.
    #[error("LIFEBOAT_ADMIN_URL: what answers at {0} is not Kong's Admin API (no plugins.available_on_server)")]
    NotKong(Url),
}

impl Admin {
    /// This Admin API.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(api: &AdminApi) -> Result<Self, AdminError> {
        let client = AdminClient::new(&api.access, Client::builder().timeout(LIMIT));
        Ok(Self { url: api.url.clone(), client: client.map_err(|error| http(&error, ""))? })
    }

    /// Which plugins and filters the control plane has: `GET /`.
    pub async fn loadable(&self) -> Result<Loadable, AdminError> {
        let root = self.get(self.url.clone()).await?;
        loadable(&root).ok_or_else(|| AdminError::NotKong(self.url.clone()))
    }

    /// What the control plane says of a node's synchronisation: `sync_status` of `GET /clustering/data-planes`.
    pub async fn sync_status(&self, node_id: &str) -> Result<Option<String>, AdminError> {
        let found = |page: &Value| match sync_status(page, node_id) {
            Some(status) => ControlFlow::Break(status),
            None => ControlFlow::Continue(()),
        };
        self.each_page_of_data_planes(found).await
    }

    /// The nodes that the control plane knows, those among them that have gone: `GET /clustering/data-planes`. Of what isn't
    /// a version of Kong nothing is said.
    pub async fn data_planes(&self) -> Result<Vec<DataPlane>, AdminError> {
        let mut nodes = Vec::new();
        let noted = |page: &Value| {
            nodes.extend(data_planes(page));
            ControlFlow::<()>::Continue(())
        };
        self.each_page_of_data_planes(noted).await?;
        Ok(nodes)
    }

    async fn each_page_of_data_planes<T>(
        &self,
        mut look: impl FnMut(&Value) -> ControlFlow<T>,
    ) -> Result<Option<T>, AdminError> {
        let mut next = Some("/clustering/data-planes".to_owned());
        for _ in 0..PAGES {
            let Some(path) = next.take() else { break };
            let url =
                self.url.join(path.trim_start_matches('/')).map_err(|error| AdminError::Http(error.to_string()))?;
            let page = self.get(url).await?;
            if let ControlFlow::Break(found) = look(&page) {
                return Ok(Some(found));
            }
            next = page["next"].as_str().map(str::to_owned);
        }
        Ok(None)
    }

    /// The schemas of all entities and plugins that the control plane has, in the form in which they are kept: `GET
    /// /schemas/<entity>` and `/schemas/plugins/<name>`.
    ///
    /// # Errors
    /// Any request that fails but one for a kind of entities that this Kong hasn't: half of the schemas would refuse what
    /// the other half allows.
    pub async fn schemas(&self) -> Result<Vec<u8>, AdminError> {
        let names = self.loadable().await?.plugins;
        let (mut entities, mut plugins, mut bytes) = (Map::new(), Map::new(), 0);

        for kind in kind_names().chain(ENTERPRISE_KINDS) {
            if let Some(schema) = self.schema(&[kind], &mut bytes).await? {
                entities.insert(kind.to_owned(), schema);
            }
        }
        for name in names {
            if let Some(schema) = self.schema(&["plugins", &name], &mut bytes).await? {
                plugins.insert(name, schema);
            }
        }

        let json = canonical_json(entities, plugins);
        SchemaSet::from_json(&json)
            .map_err(|error| AdminError::Http(format!("what it says of its schemas: {error}")))?;
        Ok(json)
    }

    async fn schema(&self, path: &[&str], bytes: &mut usize) -> Result<Option<Value>, AdminError> {
        let mut url = self.url.clone();
        let not_a_base = || AdminError::Http("it can't have a path".to_owned());
        url.path_segments_mut().map_err(|()| not_a_base())?.pop_if_empty().push("schemas").extend(path);

        let response = self.ask(url).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let schema = self.read(response, bytes, SCHEMAS_LIMIT, "its schemas have").await?;
        serde_json::from_slice(&schema)
            .map(Some)
            .map_err(|error| AdminError::Http(format!("{}: {error}", path.join("/"))))
    }

    async fn get(&self, url: Url) -> Result<Value, AdminError> {
        let response = self.ask(url).await?;
        let url = response.url().clone();
        let body = self.read(response, &mut 0, LONGEST, &format!("{url} answers with")).await?;
        serde_json::from_slice(&body).map_err(|error| AdminError::Http(format!("{url}: {error}")))
    }

    // The body of a good answer. `taken` counts its bytes, and may have counted others'.
    async fn read(
        &self,
        response: Response,
        taken: &mut usize,
        limit: usize,
        what: &str,
    ) -> Result<Vec<u8>, AdminError> {
        let mut response = self.taken(response).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.http(&error))? {
            *taken += chunk.len();
            if *taken > limit {
                return Err(AdminError::Http(format!("{what} more than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn ask(&self, url: Url) -> Result<Response, AdminError> {
        let request = self.client.request(Method::GET, url).map_err(AdminError::Http)?;
        request.send().await.map_err(|error| self.http(&error))
    }

    // Anything else than a success tells why not.
    async fn taken(&self, response: Response) -> Result<Response, AdminError> {
        let (status, url, location) = (response.status(), response.url().clone(), location(&response));
        if status.is_success() {
            return Ok(response);
        }
        let body = beginning(response).await;
        let refusal = self.client.refusal(status, location.as_deref(), &body);
        Err(AdminError::Http(format!("{url} {refusal}")))
    }

    fn http(&self, error: &reqwest::Error) -> AdminError {
        http(error, self.client.cure(error))
    }
}

// As much of an error's body as has a message; one that breaks off tells what it has told.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() < ERROR_BODY_LIMIT
    {
        body.extend_from_slice(&chunk);
    }
    body
}

fn http(error: &reqwest::Error, cure: &str) -> AdminError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    AdminError::Http(format!("{text}{cure}"))
}

// Since 3.0 the plugins are objects by name, before that `true`s by name.
fn loadable(root: &Value) -> Option<Loadable> {
    let plugins = root["plugins"]["available_on_server"].as_object()?.keys().cloned().collect();
    let modules = root["configuration"]["wasm_modules_parsed"].as_array();
    let filters = modules.into_iter().flatten().filter_map(|module| module["name"].as_str().map(str::to_owned));
    Some(Loadable { plugins, filters: filters.collect() })
}

fn sync_status(page: &Value, node_id: &str) -> Option<String> {
    let node = page["data"].as_array()?.iter().find(|node| node["id"] == node_id)?;
    node["sync_status"].as_str().map(str::to_owned)
}

fn data_planes(page: &Value) -> impl Iterator<Item = DataPlane> {
    let node = |node: &Value| {
        let last_seen = WallTime::from_system(UNIX_EPOCH + Duration::from_secs(node["last_seen"].as_u64()?));
        let is_backup = node["labels"]["lifeboat"] == "backup";
        Some(DataPlane { version: node["version"].as_str()?.parse().ok()?, last_seen, is_backup })
    };
    page["data"].as_array().into_iter().flatten().filter_map(node)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::AdminAccess;

    fn recorded(name: &str) -> Value {
        let path = format!("{}/../tests/data/kong-3.9.1/{name}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_real_control_plane_lists_its_plugins_and_filters() {
        let loadable = loadable(&recorded("admin-root.json")).unwrap();
        assert!(loadable.plugins.iter().any(|name| name == "rate-limiting"));
        assert_eq!(loadable.filters, ["tinyfilter"]);
    }

    #[test]
    fn a_real_control_plane_says_why_it_sends_a_node_nothing() {
        let page = recorded("admin-clustering-data-planes.json");
        let silent = sync_status(&page, "51322c6a-43a2-4261-94c2-1776dab4c523");
        assert_eq!(silent.as_deref(), Some("kong_version_incompatible"));
        assert_eq!(sync_status(&page, "nobody"), None);
    }

    #[test]
    fn a_real_control_plane_lists_its_nodes_with_their_versions() {
        let page = recorded("admin-clustering-data-planes.json");
        let nodes: Vec<DataPlane> = data_planes(&page).collect();
        assert_eq!(nodes.len(), page["data"].as_array().unwrap().len());
        let first = WallTime::from_system(UNIX_EPOCH + Duration::from_secs(1_795_169_515));
        assert_eq!(nodes[0], DataPlane { version: KongVersion::new(3, 9, 1), last_seen: first, is_backup: false });
        assert!(nodes[3].is_backup && nodes.iter().any(|node| node.version == KongVersion::new(3, 4, 0)));
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_not_read_to_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The request fits into one packet.
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            // Until the client hangs up.
            while stream.write_all(&[b' '; 64 << 10]).await.is_ok() {}
        });
        let admin = Admin::new(&AdminApi { url, access: AdminAccess::default() }).unwrap();
        let error = admin.loadable().await.unwrap_err().to_string();
        assert!(error.contains("answers with more than 16777216 bytes"), "{error}");
    }

    #[test]
    fn another_server_is_not_taken_for_kong() {
        assert_eq!(loadable(&serde_json::json!({ "hello": "world" })), None);
    }
}
