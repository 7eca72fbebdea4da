//! How to get into an S3 bucket.

use lifeboat_core::time::WallTime;
use reqwest::Url;

use super::{AmazonEndpoints, PutObject, Secret};

/// How to get into an S3 bucket.
#[derive(Clone, Debug)]
pub struct S3Access {
    /// An S3-compatible store's URL; `None` is Amazon S3.
    pub endpoint: Option<Url>,
    /// Amazon's services in the bucket's region.
    pub amazon: AmazonEndpoints,
    /// Where the bucket's name stands in a request.
    pub addressing: Addressing,
    /// Who we are to it.
    pub credentials: AwsCredentials,
    /// What every object is written with.
    pub put_object: PutObject,
}

/// Where a bucket's name stands in a request's URL.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// Before Amazon's host name, and in the path of any other endpoint.
    #[default]
    Usual,
    /// In the path.
    Path,
    /// Before the host name.
    VirtualHost,
}

/// Where AWS credentials come from.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
#[derive(Clone, Debug)]
pub enum AwsCredentials {
    /// An access key.
    Keys {
        /// Its name.
        id: Secret,
        /// Its secret.
        secret: Secret,
        /// The session token, if the key is a temporary one.
        session_token: Option<Secret>,
        /// When it ends, if it is a temporary one and that is known.
        expires: Option<WallTime>,
    },
    /// A token of an identity provider, for which STS gives credentials of a role: IAM roles for service accounts.
    WebIdentity {
        /// The file of the token, which its provider replaces.
        token: Secret,
        /// The role.
        role_arn: String,
        /// What the session is called in AWS's logs.
        session_name: String,
        /// The security token service.
        sts: Url,
    },
    /// An endpoint inside the container: ECS tasks, EKS Pod Identity.
    Container {
        /// The endpoint.
        url: Url,
        /// What it wants in the header `Authorization`.
        authorization: Option<Secret>,
    },
    /// The instance metadata service, version 2.
    Instance {
        /// Where it is.
        endpoint: Url,
        /// Variables that name files of AWS's tools and are set, though they are not read here.
        unread: Vec<&'static str>,
    },
}

/// That the AWS CLI's files are not read, for the end of a sentence about credentials that are missing; if variables are
/// set that name such files or a profile in them, what to do instead.
pub fn profiles_are_not_read(unread: &[&str]) -> String {
    if unread.is_empty() {
        return "; lifeboat does not read the AWS CLI's files (~/.aws)".to_owned();
    }
    let (names, verb) = (unread.join(" and "), if unread.len() == 1 { "is" } else { "are" });
    format!(
        "; {names} {verb} set, but lifeboat does not read the AWS CLI's files, neither keys nor roles nor SSO sessions: \
         set the variables that aws configure export-credentials --format env (AWS CLI 2) prints"
    )
}

impl S3Access {
    /// The URL of the store, without the bucket and without a slash at its end.
    pub fn host(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None => self.amazon.s3(),
        }
    }

    /// Whether the name of this bucket stands before the host name.
    pub fn is_in_host(&self, bucket: &str) -> bool {
        match self.addressing {
            // Amazon's certificate stands for one label before its own name: a bucket with dots goes into the path.
            Addressing::Usual => self.endpoint.is_none() && !bucket.contains('.'),
            Addressing::Path => false,
            Addressing::VirtualHost => true,
        }
    }
}
