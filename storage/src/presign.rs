//! Presigned links: a GET of one object that needs no credentials until it expires.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::time::WallTime;
use object_store::path::Path;
use object_store::signer::{Method, Signer};
use rusty_s3::actions::GetObject;
use rusty_s3::{Bucket, Credentials, S3Action};

use super::credentials::Lifetime;
use super::credentials::aws::Signing;

/// The longest that any of the clouds signs a link for: seven days.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A link with a shorter life would end before somebody has copied it.
const SHORTEST: Duration = Duration::from_secs(60);
/// How long a link is valid if the end of the credentials that sign it is unknown: the longest session of an AWS role.
const UNKNOWN: Duration = Duration::from_secs(12 * 60 * 60);

/// What makes a store's links.
#[derive(Clone, Debug)]
pub(super) enum Presigner {
    /// Amazon S3 and what is compatible with it.
    S3 { bucket: Arc<Bucket>, signing: Signing },
    /// Google Cloud Storage, Azure Blob Storage. The signer encodes the `unsure` characters of a key in a different way
    /// than its cloud documents.
    Cloud { signer: Arc<dyn Signer>, unsure: &'static str },
    /// There are no links, and this is why.
    Nothing(&'static str),
}

/// A presigned link. It is a secret: it does not print.
#[derive(Clone)]
pub struct Link {
    /// The link.
    pub url: String,
    /// When it stops working, as far as is known.
    pub expires: WallTime,
    /// Whether it may stop working earlier, because it is signed by temporary credentials whose end is unknown.
    pub may_end_sooner: bool,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum PresignError {
    /// There are none in this store, or not with these credentials.
    #[error("{place} gives no links that work without credentials: {reason}")]
    NotHere {
        /// The store.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// The signature would be over another text than the store computes it over.
    #[error(
        "{place}: the prefix has the character {character:?}, with which links are not sure to work there: restore with \
         credentials of the store's, or use another prefix"
    )]
    Character {
        /// The store.
        place: String,
        /// The first such character in the key.
        character: char,
    },
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
            Self::Nothing(reason) => Err(PresignError::NotHere { place: place.to_owned(), reason }),
            // A service account's key and Azure's delegation key both last longer than any link.
            Self::Cloud { signer, unsure } => {
                if let Some(character) = key.chars().find(|c| unsure.contains(*c)) {
                    return Err(PresignError::Character { place: place.to_owned(), character });
                }
                let lives = link_lifetime(wanted, Lifetime::Endless)?;
                let url = signer.signed_url(Method::GET, &Path::from(key), lives).await.map_err(failed)?;
                Ok(Link { url: url.into(), expires: now + lives, may_end_sooner: false })
            }
            Self::S3 { bucket, signing } => {
                let credential = signing.provider.get_credential().await.map_err(failed)?;
                let lifetime = signing.expiring.lifetime();
                let lives = link_lifetime(wanted, lifetime)?;
                let credentials = match &credential.token {
                    None => Credentials::new(&credential.key_id, &credential.secret_key),
                    Some(token) => Credentials::new_with_token(&credential.key_id, &credential.secret_key, token),
                };
                let seconds = now.unix_seconds() as i64;
                let at = jiff::Timestamp::from_second(seconds).expect("a wall time is within jiff's range");
                let url = GetObject::new(bucket, Some(&credentials), key).sign_with_time(lives, &at);
                Ok(Link { url: url.into(), expires: now + lives, may_end_sooner: lifetime == Lifetime::Unknown })
            }
        }
    }
}

// Whole seconds, as S3 counts them.
fn link_lifetime(wanted: Duration, lifetime: Lifetime) -> Result<Duration, PresignError> {
    let wanted = wanted.min(LONGEST);
    let lives = match lifetime {
        Lifetime::Endless => wanted,
        Lifetime::Left(left) => wanted.min(left),
        Lifetime::Unknown => wanted.min(UNKNOWN),
    };
    if lives < SHORTEST.min(wanted) {
        return Err(PresignError::Expiring);
    }
    Ok(Duration::from_secs(lives.as_secs()))
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
    use crate::credentials::Expiring;

    #[derive(Debug)]
    struct Fixed(Lifetime);

    impl Expiring for Fixed {
        fn lifetime(&self) -> Lifetime {
            self.0
        }
    }

    fn presigner(token: Option<&str>, life: Lifetime) -> Presigner {
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: token.map(str::to_owned),
        };
        let endpoint = "https://s3.amazonaws.com".parse().unwrap();
        let bucket = Bucket::new(endpoint, rusty_s3::UrlStyle::VirtualHost, "examplebucket", "us-east-1").unwrap();
        let provider = Arc::new(StaticCredentialProvider::new(credential));
        Presigner::S3 { bucket: Arc::new(bucket), signing: Signing { provider, expiring: Arc::new(Fixed(life)) } }
    }

    // 2013-05-24T00:00:00Z
    fn now() -> WallTime {
        WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600))
    }

    #[tokio::test]
    async fn the_link_of_amazons_published_example_is_the_published_one() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        let presigner = presigner(None, Lifetime::Endless);
        let link = presigner.link("s3://examplebucket", "test.txt", Duration::from_secs(86_400), now()).await.unwrap();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(link.url.ends_with(&format!("X-Amz-Signature={signature}")), "{}", link.url);
        assert_eq!(link.expires.to_string(), "2013-05-25T00:00:00.000Z");
        assert!(!format!("{link:?}").contains("Signature"));
    }

    #[tokio::test]
    async fn a_link_lives_no_longer_than_seven_days_or_its_credentials() {
        let asked = Duration::from_secs(30 * 24 * 60 * 60);
        let left = Duration::from_secs(3_600);
        for (token, life, lives) in [
            (None, Lifetime::Endless, LONGEST),
            (Some("t"), Lifetime::Left(left), left),
            (Some("t"), Lifetime::Unknown, UNKNOWN),
        ] {
            let link = presigner(token, life).link("s3://examplebucket", "test.txt", asked, now()).await.unwrap();
            assert_eq!((link.expires, link.may_end_sooner), (now() + lives, life == Lifetime::Unknown));
        }
        let over = Lifetime::Left(Duration::from_secs(5));
        let refused = presigner(Some("t"), over).link("s3://examplebucket", "test.txt", asked, now()).await;
        assert!(matches!(refused, Err(PresignError::Expiring)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_folder_has_no_links() {
        let refused =
            Presigner::Nothing("a folder").link("file:///var/lib/lifeboat", "x", LONGEST, now()).await.unwrap_err();
        assert!(refused.to_string().contains("without credentials: a folder"), "{refused}");
    }
}
