//! How to get into an S3 bucket.

use lifeboat_core::time::WallTime;
use reqwest::Url;

use super::{PutObject, Secret};

/// How to get into an S3 bucket.
#[derive(Clone, Debug)]
pub struct S3Access {
    /// An S3-compatible store's URL; `None` is Amazon S3.
    pub endpoint: Option<Url>,
    /// The bucket's region.
    pub region: String,
    /// Who we are to it.
    pub credentials: AwsCredentials,
    /// What every object is written with.
    pub put_object: PutObject,
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

/// That these are set and not read, for the end of a sentence about credentials that are missing; nothing if none is.
pub fn profiles_are_not_read(unread: &[&str]) -> String {
    if unread.is_empty() {
        return String::new();
    }
    let (names, verb) = (unread.join(" and "), if unread.len() == 1 { "is" } else { "are" });
    format!(
        "; {names} {verb} set, but lifeboat does not read the AWS CLI's files: set the variables that aws configure \
         export-credentials --format env prints"
    )
}

impl S3Access {
    /// The domain of Amazon's services in the region.
    pub fn domain(&self) -> &'static str {
        domain(&self.region)
    }
}

/// The domain of Amazon's services in a region.
pub fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
