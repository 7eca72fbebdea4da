//! Presigned links: a GET of one object that needs no credentials until it expires.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::time::WallTime;
use object_store::aws::AwsCredentialProvider;
use object_store::path::Path;
use object_store::signer::{Method, Signer};
use rusty_s3::actions::GetObject;
use rusty_s3::{Bucket, Credentials, S3Action};

/// The longest that any of the clouds signs a link for: seven days.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a link is signed for by credentials whose end nothing tells: the longest session of an AWS role, and for how
/// long a signature by one of Google's own keys is sure to be accepted.
const UNKNOWN: Duration = Duration::from_secs(12 * 60 * 60);

/// What makes a store's links.
#[derive(Clone, Debug)]
pub(super) enum Presigner {
    /// Amazon S3 and what is compatible with it.
    S3 {
        bucket: Arc<Bucket>,
        credentials: AwsCredentialProvider,
        /// What is known of the credentials' own end.
        end: CredentialsEnd,
    },
    /// Google Cloud Storage, Azure Blob Storage.
    Cloud {
        signer: Arc<dyn Signer>,
        /// What is known of the signing key's end.
        end: CredentialsEnd,
    },
    /// A folder, or memory.
    Nothing,
}

/// Until when credentials can be used. A link is dead when the credentials that signed it are, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsEnd {
    /// They last until somebody takes them back.
    Never,
    /// They are temporary, and this is their end.
    At(WallTime),
    /// They are temporary, and nothing tells their end.
    Unknown,
}

/// A presigned link. It is a secret: it does not print.
#[derive(Clone)]
pub struct Link {
    /// The link.
    pub url: String,
    /// When it stops working, as far as is known.
    pub expires: WallTime,
    /// What cut it shorter than was asked for, or may do so.
    pub credentials: CredentialsEnd,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum PresignError {
    /// A folder has no links.
    #[error("{0} can't presign links: that takes S3, Google Cloud Storage or Azure")]
    NotThisStore(String),
    /// The credentials end at once.
    #[error("the credentials that would sign the link have expired, or do so within a minute: get new ones first")]
    Expiring,
    /// The credentials can't sign, or can't be had.
    #[error("{place}: the link can't be signed: {reason}")]
    Signing {
        /// The store.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

impl Presigner {
    /// A link to the object with this whole key that lives for `wanted`, or for as long as the credentials do.
    pub(super) async fn link(
        &self,
        place: &str,
        key: &str,
        wanted: Duration,
        now: WallTime,
    ) -> Result<Link, PresignError> {
        let failed = |error: object_store::Error| PresignError::Signing {
            place: place.to_owned(),
            reason: super::diagnosis::deepest(&error),
        };
        match self {
            Self::Nothing => Err(PresignError::NotThisStore(place.to_owned())),
            Self::Cloud { signer, end } => {
                let lifetime = lifetime(wanted, *end, now)?;
                let url = signer.signed_url(Method::GET, &Path::from(key), lifetime).await.map_err(failed)?;
                Ok(Link { url: url.into(), expires: now + lifetime, credentials: *end })
            }
            Self::S3 { bucket, credentials, end } => {
                let signing = credentials.get_credential().await.map_err(failed)?;
                let end = if signing.token.is_none() { CredentialsEnd::Never } else { *end };
                let lifetime = lifetime(wanted, end, now)?;
                let signing = match &signing.token {
                    None => Credentials::new(&signing.key_id, &signing.secret_key),
                    Some(token) => Credentials::new_with_token(&signing.key_id, &signing.secret_key, token),
                };
                let seconds = now.unix_seconds() as i64;
                let at = jiff::Timestamp::from_second(seconds).expect("a wall time is within jiff's range");
                let url = GetObject::new(bucket, Some(&signing), key).sign_with_time(lifetime, &at);
                Ok(Link { url: url.into(), expires: now + lifetime, credentials: end })
            }
        }
    }
}

// Whole seconds, as S3 counts them.
fn lifetime(wanted: Duration, end: CredentialsEnd, now: WallTime) -> Result<Duration, PresignError> {
    let wanted = wanted.min(LONGEST);
    let lifetime = match end {
        CredentialsEnd::At(end) => wanted.min(end.since(now)),
        CredentialsEnd::Never => wanted,
        CredentialsEnd::Unknown => wanted.min(UNKNOWN),
    };
    if lifetime < Duration::from_secs(60).min(wanted) {
        return Err(PresignError::Expiring);
    }
    Ok(Duration::from_secs(lifetime.as_secs()))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("url", &"..").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use object_store::StaticCredentialProvider;
    use object_store::aws::AwsCredential;

    use super::*;

    fn presigner(token: Option<&str>, end: CredentialsEnd) -> Presigner {
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: token.map(str::to_owned),
        };
        let endpoint = "https://s3.amazonaws.com".parse().unwrap();
        let bucket = Bucket::new(endpoint, rusty_s3::UrlStyle::VirtualHost, "examplebucket", "us-east-1").unwrap();
        let credentials = Arc::new(StaticCredentialProvider::new(credential));
        Presigner::S3 { bucket: Arc::new(bucket), credentials, end }
    }

    // 2013-05-24T00:00:00Z
    fn now() -> WallTime {
        WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600))
    }

    #[tokio::test]
    async fn the_link_of_amazons_published_example_is_the_published_one() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        let presigner = presigner(None, CredentialsEnd::Never);
        let link = presigner.link("s3://examplebucket", "test.txt", Duration::from_secs(86_400), now()).await.unwrap();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(link.url.ends_with(&format!("X-Amz-Signature={signature}")), "{}", link.url);
        assert_eq!(link.expires.to_string(), "2013-05-25T00:00:00.000Z");
        assert!(!format!("{link:?}").contains("Signature"));
    }

    #[tokio::test]
    async fn a_link_lives_no_longer_than_seven_days_or_its_credentials() {
        let asked = Duration::from_secs(30 * 24 * 60 * 60);
        let ends = now() + Duration::from_secs(3_600);
        for (token, end, expires) in [
            (None, CredentialsEnd::Never, now() + LONGEST),
            (Some("t"), CredentialsEnd::At(ends), ends),
            (Some("t"), CredentialsEnd::Unknown, now() + UNKNOWN),
        ] {
            let link = presigner(token, end).link("s3://examplebucket", "test.txt", asked, now()).await.unwrap();
            assert_eq!((link.expires, link.credentials), (expires, end));
        }
        let over = CredentialsEnd::At(now() + Duration::from_secs(5));
        let refused = presigner(Some("t"), over).link("s3://examplebucket", "test.txt", asked, now()).await;
        assert!(matches!(refused, Err(PresignError::Expiring)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_folder_has_no_links() {
        let refused = Presigner::Nothing.link("file:///var/lib/lifeboat", "x", LONGEST, now()).await.unwrap_err();
        assert!(refused.to_string().contains("S3, Google Cloud Storage or Azure"), "{refused}");
    }
}
