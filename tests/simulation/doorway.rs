//! Where the product's code reaches the simulated store: one `ObjectStore` for everybody, behind which each request is the
//! request of whoever is at work at that moment. So several processes can share what one of them has found out about the
//! store, which takes as many requests as everything else that a process does.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use lifeboat::archive::{Archive, Author};
use lifeboat_core::manifest::Exporter;
use lifeboat_storage::Storage;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::clients::Kind;
use super::places::Place;
use super::plan::{Conditions, Plan};
use super::site::{Operation, Refusal, Reply, Site};
use super::store::{Line, error, meta};
use super::{MAX_CONFIG, VERSION};

thread_local! {
    static AT_WORK: RefCell<Option<Line>> = const { RefCell::new(None) };
    /// Of whose conditional writes everything is known.
    static KNOWN: RefCell<Vec<(Conditions, Place, Storage)>> = const { RefCell::new(Vec::new()) };
}

/// The product's way to a store.
struct Doorway(Place);

/// Somebody's work: what it asks of the store, it asks over this line.
pub(crate) struct Work<F> {
    line: Line,
    work: Pin<Box<F>>,
}

/// Work that is done over this line.
pub(crate) fn over<F: Future>(line: Line, work: F) -> Work<F> {
    Work { line, work: Box::pin(work) }
}

impl<F: Future> Future for Work<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let line = self.line.clone();
        AT_WORK.set(Some(line));
        let done = self.work.as_mut().poll(context);
        AT_WORK.set(None);
        done
    }
}

/// The store, of which nothing is known yet. It is one that is reached over a network: in a folder nothing takes long.
pub(crate) fn unknown(place: Place) -> Storage {
    Storage::over(Arc::new(Doorway(place)), place.url())
}

/// The store, of which is known what its conditional writes are worth; this thread finds that out once.
pub(crate) async fn known(conditions: Conditions, place: Place) -> Storage {
    let is_it = |known: &&(Conditions, Place, Storage)| (known.0, known.1) == (conditions, place);
    let find = || KNOWN.with_borrow(|all| all.iter().find(is_it).map(|known| known.2.clone()));
    if let Some(storage) = find() {
        return storage;
    }
    let mut random = StdRng::seed_from_u64(0);
    let site = Site::new(&Plan { conditions, ..Plan::draw(&mut random) }, &mut random);
    site.state().weather.clear_up();
    let (client, _) = site.client("prober".to_owned(), Kind::Operator);
    let storage = unknown(place);
    let archive = Archive::over(storage.clone(), MAX_CONFIG);
    let exporter = Exporter { node_id: "prober".to_owned(), hostname: "prober".to_owned(), lifeboat: "0".to_owned() };
    let author = Author { exporter, version: VERSION };
    let found = over(Line { site, client }, archive.probe(&author)).await.expect("nothing goes wrong");
    assert_eq!(found.lease_possible(), conditions == Conditions::Hold, "{found}");
    KNOWN.with_borrow_mut(|all| all.push((conditions, place, storage.clone())));
    storage
}

fn line() -> Line {
    AT_WORK.with_borrow(Clone::clone).expect("only a process at work asks for something")
}

impl Doorway {
    /// The key of an object in the simulated store.
    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.0.prefix())
    }
}

#[async_trait]
impl ObjectStore for Doorway {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match line().request(Operation::Put(self.key(location.as_ref()), payload.into(), options.mode)).await? {
            Reply::Written(e_tag) => Ok(PutResult { e_tag, version: None, extensions: Default::default() }),
            other => unreachable!("{other:?} answers no write"),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match line().request(Operation::Get(self.key(location.as_ref()))).await? {
            Reply::Object(stored) => {
                let meta = meta(location.as_ref(), &stored);
                let bytes = if options.head { Bytes::new() } else { stored.bytes };
                Ok(GetResult {
                    range: 0..bytes.len() as u64,
                    payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
                    meta,
                    attributes: Default::default(),
                    extensions: Default::default(),
                })
            }
            other => unreachable!("{other:?} answers no reading"),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let place = self.0;
        let deleted = locations.and_then(move |path| async move {
            let key = Doorway(place).key(path.as_ref());
            line().request(Operation::Delete(key)).await.map(|_| path)
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = self.key(prefix.map(AsRef::as_ref).unwrap_or_default());
        let length = self.0.prefix().len();
        let listed = stream::once(async { line().request(Operation::List(folder)).await });
        let objects = listed.map_ok(move |reply| match reply {
            Reply::Listed(objects) => {
                stream::iter(objects.into_iter().map(move |(key, stored)| Ok(meta(&key[length..], &stored))))
            }
            other => unreachable!("{other:?} answers no listing"),
        });
        objects.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(error(Refusal::NotImplemented, "listing folders, which no exporter does".to_owned()))
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(error(Refusal::NotImplemented, location.to_string()))
    }

    async fn copy_opts(&self, from: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(error(Refusal::NotImplemented, from.to_string()))
    }
}

impl fmt::Debug for Doorway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorway")
    }
}

impl fmt::Display for Doorway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated store")
    }
}
