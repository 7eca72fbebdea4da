//! A bucket of Amazon S3, or of what is compatible with it, as a store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{HeaderName, HeaderValue};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider, Checksum as S3Checksum};
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rusty_s3::UrlStyle;

use super::no_retries;
use crate::access::{Checksum, PutObject, S3Access};
use crate::credentials::aws;
use crate::presign::Presigner;
use crate::wire::Wire;

/// A bucket, with one client for writing and one for all else: what each object is to be written with are headers, and
/// S3 refuses most of them on other requests.
#[derive(Debug)]
pub(super) struct Bucket {
    reading: AmazonS3,
    writing: AmazonS3,
    /// The same with a checksum, for a bucket that asks for one: not every store that speaks S3's protocol knows it.
    writing_with_checksum: AmazonS3,
    asks_for_checksum: AtomicBool,
}

/// The header by which SDKs say that they send a checksum. Some stores look only for this header.
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");

pub(super) fn open(
    access: &S3Access,
    bucket: &str,
    options: &ClientOptions,
    wire: &Wire,
) -> Result<(Bucket, Presigner)> {
    let credentials = aws::credentials(&access.credentials, options, wire)?;
    let presigner = presigner(access, bucket, credentials.clone());
    let is_plain_http = access.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    let options = options.clone().with_allow_http(is_plain_http);
    let builder = |options| {
        let builder = at(access, bucket, credentials.provider.clone()).with_client_options(options);
        encrypted(builder, &access.put_object).with_http_connector(wire.clone())
    };
    let reading = builder(options.clone()).build()?;
    let mut headers = access.put_object.headers.clone();
    let mut writing = builder(options.clone().with_default_headers(headers.clone()));
    headers.insert(ALGORITHM, HeaderValue::from_static("SHA256"));
    let with_checksum = builder(options.with_default_headers(headers)).with_checksum_algorithm(S3Checksum::SHA256);

    if let Some(checksum) = access.put_object.checksum {
        writing = writing.with_checksum_algorithm(match checksum {
            Checksum::Sha256 => S3Checksum::SHA256,
            Checksum::Crc64Nvme => S3Checksum::CRC64NVME,
        });
    }
    let (writing, writing_with_checksum) = (writing.build()?, with_checksum.build()?);
    Ok((Bucket { reading, writing, writing_with_checksum, asks_for_checksum: AtomicBool::new(false) }, presigner))
}

// What a bucket with Object Lock and a default retention answers 400 to an object without a checksum; nothing was written.
// The code is InvalidRequest, as for much else.
// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html>
fn asks_for_a_checksum(error: &object_store::Error) -> bool {
    let text = error.to_string();
    text.contains("Object Lock") && (text.contains("Content-MD5") || text.contains("checksum"))
}

fn at(access: &S3Access, bucket: &str, credentials: AwsCredentialProvider) -> AmazonS3Builder {
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(access.amazon.region())
        .with_credentials(credentials)
        // One DELETE per object: not every S3-compatible store has the other way, and none says there which permission it
        // is that is missing.
        .with_disable_bulk_delete(true)
        .with_retry(no_retries());
    let is_in_host = access.is_in_host(bucket);
    let endpoint = match access.host() {
        endpoint if is_in_host => endpoint.replacen("://", &format!("://{bucket}."), 1),
        endpoint => endpoint,
    };
    builder.with_endpoint(endpoint).with_virtual_hosted_style_request(is_in_host)
}

// A link can't carry headers, so one to an object under a customer's key would be refused. A name that makes no URL has
// no links either; requests say what is wrong with it.
fn presigner(access: &S3Access, bucket: &str, signing: aws::Signing) -> Presigner {
    let style = if access.is_in_host(bucket) { UrlStyle::VirtualHost } else { UrlStyle::Path };
    let region = access.amazon.region().to_owned();
    let host = access.host().parse().ok();
    let at = host.and_then(|host| rusty_s3::Bucket::new(host, style, bucket.to_owned(), region).ok());
    match at {
        _ if access.put_object.customer_key.is_some() => {
            Presigner::Nothing("objects under a customer-provided key (SSECustomerKey) can't be read by a link")
        }
        Some(bucket) => Presigner::S3 { bucket: Arc::new(bucket), signing },
        None => Presigner::Nothing("the endpoint and the bucket's name make no URL"),
    }
}

// What reading needs too.
fn encrypted(builder: AmazonS3Builder, put_object: &PutObject) -> AmazonS3Builder {
    let builder = builder.with_request_payer(put_object.requester_pays);
    match &put_object.customer_key {
        Some(key) => builder.with_ssec_encryption(&key.0),
        None => builder,
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reading.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if self.asks_for_checksum.load(Ordering::Relaxed) {
            return self.writing_with_checksum.put_opts(location, payload, options).await;
        }
        match self.writing.put_opts(location, payload.clone(), options.clone()).await {
            Err(error) if asks_for_a_checksum(&error) => {
                self.asks_for_checksum.store(true, Ordering::Relaxed);
                self.writing_with_checksum.put_opts(location, payload, options).await
            }
            result => result,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.writing.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reading.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Bytes>> {
        self.reading.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.reading.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reading.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reading.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reading.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.writing.copy_opts(from, to, options).await
    }
}
