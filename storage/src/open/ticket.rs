//! What one ticket holds, as a store that can only be read: the manifest, which is in the ticket, and the objects to which
//! its links lead: the payload, and the image of a node's cache if there is one.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::ticket::Ticket;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody};
use object_store::path::Path;
use object_store::{
    Attributes, ClientOptions, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::credentials::CredentialError;
use crate::wire::{ErrorBody, Wire};

/// The snapshot of a ticket.
pub(super) struct TicketStore {
    ticket: Ticket,
    manifest_key: Path,
    links: Vec<(Path, String)>,
    client: HttpClient,
}

pub(super) fn open(ticket: &Ticket, options: &ClientOptions, wire: &Wire) -> Result<TicketStore> {
    let broken = |error| Error::Generic { store: "ticket", source: Box::new(error) };
    // Where it stood in the store that it came from. Whether it is to be believed is decided by who restores from it.
    let claims = Manifest::decode(&ticket.manifest).map_err(broken)?;
    let image = claims.cache_image.map(|image| image.object.key.as_str().into());
    let mut links = vec![(claims.snapshot.key.as_str().into(), ticket.payload_url.clone())];
    links.extend(image.zip(ticket.image_url.clone()));
    let is_plain_http = links.iter().any(|(_, link)| link.starts_with("http://"));
    let client = wire.connect(&options.clone().with_allow_http(is_plain_http))?;
    Ok(TicketStore {
        ticket: ticket.clone(),
        manifest_key: ObjectKeys::new(claims.kong_version).manifest().into(),
        links,
        client,
    })
}

impl TicketStore {
    async fn linked(&self, location: &Path, link: &str) -> Result<GetResult> {
        let failed =
            |error: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "ticket", source: error };
        let request = Request::get(link).body(HttpRequestBody::empty());
        let request = request.map_err(|error| failed(error.into()))?;
        let (head, body) = self.client.execute(request).await.map_err(|error| failed(error.into()))?.into_parts();

        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                let source = "what the ticket's link leads to has been deleted".into();
                return Err(Error::NotFound { path: location.to_string(), source });
            }
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                return Err(self.no_longer_accepted(status, &body).into());
            }
            // What it means was heard on the way.
            status => return Err(failed(format!("HTTP {status}").into())),
        }

        let length = head.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let size: u64 = length.unwrap_or(0);
        let pieces = body.into_data_stream().map_err(move |error| failed(error.into()));
        Ok(GetResult {
            payload: GetResultPayload::Stream(pieces.boxed()),
            meta: meta(location, size),
            range: 0..size,
            attributes: Attributes::new(),
            extensions: http::Extensions::new(),
        })
    }

    fn no_longer_accepted(&self, status: StatusCode, body: &[u8]) -> CredentialError {
        let ErrorBody { code, message, .. } = ErrorBody::parse(body);
        let said = match (code, message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(said), None) | (None, Some(said)) => said,
            (None, None) => format!("HTTP {status}"),
        };
        CredentialError::Misconfigured(format!(
            "its link is not accepted ({said}). It was made to work until {}, or until the credentials that \
             signed it ended: make a new ticket with lifeboat presign",
            self.ticket.expires
        ))
    }
}

fn meta(location: &Path, size: u64) -> ObjectMeta {
    // Nobody asks when.
    let last_modified = Default::default();
    ObjectMeta { location: location.clone(), last_modified, size, e_tag: None, version: None }
}

fn read_only<T>() -> Result<T> {
    let source = "a ticket can only be restored from: unset LIFEBOAT_TICKET to write to a store".into();
    Err(Error::NotSupported { source })
}

#[async_trait]
impl ObjectStore for TicketStore {
    async fn get_opts(&self, location: &Path, _options: GetOptions) -> Result<GetResult> {
        if let Some((_, link)) = self.links.iter().find(|(key, _)| key == location) {
            return self.linked(location, link).await;
        }
        if *location != self.manifest_key {
            let source = "the ticket is for one snapshot alone".into();
            return Err(Error::NotFound { path: location.to_string(), source });
        }
        let manifest = Bytes::copy_from_slice(&self.ticket.manifest);
        let size = manifest.len() as u64;

        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(manifest)]).boxed()),
            meta: meta(location, size),
            range: 0..size,
            attributes: Attributes::new(),
            extensions: http::Extensions::new(),
        })
    }

    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::empty().boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        // The version's folder, so that who looks for another version is told which one the ticket is for.
        let folder = self.manifest_key.parts().next().map(|version| Path::from(version.as_ref()));
        let common_prefixes = folder.into_iter().collect();
        Ok(ListResult { common_prefixes, objects: Vec::new(), extensions: http::Extensions::new() })
    }

    async fn put_opts(&self, _location: &Path, _payload: PutPayload, _options: PutOptions) -> Result<PutResult> {
        read_only()
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        read_only()
    }

    fn delete_stream(&self, _locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::iter([read_only()]).boxed()
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        read_only()
    }
}

impl fmt::Display for TicketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ticket")
    }
}

impl fmt::Debug for TicketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketStore").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
