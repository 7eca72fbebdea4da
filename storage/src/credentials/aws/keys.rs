//! An access key from the settings. A part of it that stands in a file is read for each request, so that a key that is
//! rotated there is used at once.

use std::sync::Arc;

use async_trait::async_trait;
use lifeboat_core::time::WallTime;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::access::Secret;
use crate::credentials::endpoint::from_now_to;
use crate::credentials::shown;
use crate::credentials::{Expiring, Lifetime};

#[derive(Debug)]
pub(super) struct Keys {
    pub(super) id: Secret,
    pub(super) secret: Secret,
    pub(super) session_token: Option<Secret>,
    pub(super) expires: Option<WallTime>,
}

impl Expiring for Keys {
    fn lifetime(&self) -> Lifetime {
        match (&self.session_token, self.expires) {
            (None, _) => Lifetime::Endless,
            (Some(_), Some(expires)) => Lifetime::Left(from_now_to(expires.to_system())),
            (Some(_), None) => Lifetime::Unknown,
        }
    }
}

#[async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let key_id = shown("AWS_ACCESS_KEY_ID", &self.id)?;
        let secret_key = shown("AWS_SECRET_ACCESS_KEY", &self.secret)?;
        let token = self.session_token.as_ref().map(|token| shown("AWS_SESSION_TOKEN", token)).transpose()?;
        Ok(Arc::new(AwsCredential { key_id, secret_key, token }))
    }
}
