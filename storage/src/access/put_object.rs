//! `cluster_fallback_export_s3_config`: what every object is written to S3 with, in the names of PutObject's parameters
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use strsim::levenshtein;

use super::Hidden;

/// What every object is written with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PutObject {
    /// Headers of each PUT.
    pub headers: HeaderMap,
    /// The key with which the store is to encrypt (SSE-C), in base64. It is needed for reading too.
    pub customer_key: Option<Hidden>,
    /// The checksum that is sent with each object.
    pub checksum: Option<Checksum>,
    /// Whether we pay for requests to somebody else's bucket. It is needed for reading too.
    pub requester_pays: bool,
}

/// A checksum that can be computed while an object is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256.
    Sha256,
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// What a parameter is for us.
enum Meaning {
    /// It is this header.
    Header(&'static str),
    /// Its members are headers that begin with `x-amz-meta-`.
    Metadata,
    /// Encryption with a key that the store doesn't keep.
    CustomerAlgorithm,
    CustomerKey,
    CustomerKeyDigest,
    /// Who pays.
    Payer,
    /// Which checksum is computed.
    ChecksumAlgorithm,
    /// Lifeboat's own to set, because of this.
    Own(&'static str),
}

const OF_EACH_OBJECT: &str = "it differs from object to object, and lifeboat sets it";
const CONDITION: &str = "lifeboat's own conditional writes need it";
const COMPUTED: &str = "lifeboat computes it for each object: set ChecksumAlgorithm";

use Meaning::{ChecksumAlgorithm, CustomerAlgorithm, CustomerKey, CustomerKeyDigest, Header, Metadata, Own, Payer};

const PARAMETERS: &[(&str, Meaning)] = &[
    ("ACL", Header("x-amz-acl")),
    ("Body", Own(OF_EACH_OBJECT)),
    ("Bucket", Own("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE names the bucket")),
    ("BucketKeyEnabled", Header("x-amz-server-side-encryption-bucket-key-enabled")),
    ("CacheControl", Header("cache-control")),
    ("ChecksumAlgorithm", ChecksumAlgorithm),
    ("ChecksumCRC32", Own(COMPUTED)),
    ("ChecksumCRC32C", Own(COMPUTED)),
    ("ChecksumCRC64NVME", Own(COMPUTED)),
    ("ChecksumSHA1", Own(COMPUTED)),
    ("ChecksumSHA256", Own(COMPUTED)),
    ("ContentDisposition", Header("content-disposition")),
    ("ContentEncoding", Header("content-encoding")),
    ("ContentLanguage", Header("content-language")),
    ("ContentLength", Own(OF_EACH_OBJECT)),
    ("ContentMD5", Own(OF_EACH_OBJECT)),
    ("ContentType", Header("content-type")),
    ("ExpectedBucketOwner", Header("x-amz-expected-bucket-owner")),
    ("Expires", Header("expires")),
    ("GrantFullControl", Header("x-amz-grant-full-control")),
    ("GrantRead", Header("x-amz-grant-read")),
    ("GrantReadACP", Header("x-amz-grant-read-acp")),
    ("GrantWriteACP", Header("x-amz-grant-write-acp")),
    ("IfMatch", Own(CONDITION)),
    ("IfNoneMatch", Own(CONDITION)),
    ("Key", Own(OF_EACH_OBJECT)),
    ("Metadata", Metadata),
    ("ObjectLockLegalHoldStatus", Header("x-amz-object-lock-legal-hold")),
    ("ObjectLockMode", Header("x-amz-object-lock-mode")),
    ("ObjectLockRetainUntilDate", Header("x-amz-object-lock-retain-until-date")),
    ("RequestPayer", Payer),
    ("SSECustomerAlgorithm", CustomerAlgorithm),
    ("SSECustomerKey", CustomerKey),
    ("SSECustomerKeyMD5", CustomerKeyDigest),
    ("SSEKMSEncryptionContext", Header("x-amz-server-side-encryption-context")),
    ("SSEKMSKeyId", Header("x-amz-server-side-encryption-aws-kms-key-id")),
    ("ServerSideEncryption", Header("x-amz-server-side-encryption")),
    ("StorageClass", Header("x-amz-storage-class")),
    ("Tagging", Header("x-amz-tagging")),
    ("WebsiteRedirectLocation", Header("x-amz-website-redirect-location")),
    ("WriteOffsetBytes", Own("lifeboat writes whole objects")),
];

impl PutObject {
    /// What these parameters say.
    ///
    /// # Errors
    /// All mistakes in them, a sentence each, none of which repeats a value.
    pub fn from_parameters(parameters: &Map<String, Value>) -> Result<Self, Vec<String>> {
        let (mut put_object, mut problems) = (Self::default(), Vec::new());
        for (name, value) in parameters {
            if let Err(problem) = put_object.take(name, value) {
                problems.push(problem);
            }
        }
        problems.extend(put_object.settle(parameters).err());
        if problems.is_empty() { Ok(put_object) } else { Err(problems) }
    }

    /// The same for objects that are replaced again and again.
    pub fn without_lock(&self) -> Self {
        let mut unlocked = self.clone();
        for name in ["x-amz-object-lock-legal-hold", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"] {
            unlocked.headers.remove(name);
        }
        unlocked
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let Some((_, meaning)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            let nearest = PARAMETERS.iter().map(|(known, _)| *known).min_by_key(|known| levenshtein(name, known));
            let nearest = nearest.filter(|nearest| levenshtein(name, nearest) <= 3).unwrap_or("ServerSideEncryption");
            return Err(format!("{name:?} is not a parameter of S3's PutObject: did you mean {nearest}?"));
        };

        match meaning {
            Header(header) => {
                self.headers.insert(HeaderName::from_static(header), header_value(name, value)?);
            }
            Metadata => {
                let Value::Object(members) = value else {
                    return Err(format!("{name} must be an object of texts (valid: {{\"team\":\"edge\"}})"));
                };
                for (member, value) in members {
                    let header = HeaderName::try_from(format!("x-amz-meta-{member}"));
                    let header = header.map_err(|_| format!("{name}: {member:?} can't be a header's name"))?;
                    self.headers.insert(header, header_value(member, value)?);
                }
            }
            CustomerAlgorithm if value == "AES256" => {}
            CustomerAlgorithm => return Err(format!("{name} must be AES256")),
            CustomerKey => {
                let key = value.as_str().unwrap_or_default();
                if STANDARD.decode(key).is_ok_and(|key| key.len() == 32) {
                    self.customer_key = Some(Hidden(key.to_owned()));
                } else {
                    return Err(format!("{name} must be 32 bytes in base64"));
                }
            }
            // Checked when the key is known.
            CustomerKeyDigest => {}
            Payer if value == "requester" => self.requester_pays = true,
            Payer => return Err(format!("{name} must be \"requester\"")),
            ChecksumAlgorithm => {
                self.checksum = Some(match value.as_str() {
                    Some("SHA256") => Checksum::Sha256,
                    Some("CRC64NVME") => Checksum::Crc64Nvme,
                    _ => return Err(format!("{name} must be SHA256 or CRC64NVME")),
                });
            }
            Own(why) => return Err(format!("{name} can't be set here: {why}")),
        }
        Ok(())
    }

    // What depends on several parameters.
    fn settle(&mut self, parameters: &Map<String, Value>) -> Result<(), String> {
        let has = |name: &str| parameters.contains_key(name);
        if (has("SSECustomerAlgorithm") || has("SSECustomerKeyMD5")) && !has("SSECustomerKey") {
            return Err("SSECustomerKey is missing: SSECustomerAlgorithm and SSECustomerKeyMD5 are about it".into());
        }
        if has("SSECustomerKey") && has("ServerSideEncryption") {
            return Err("SSECustomerKey and ServerSideEncryption exclude each other".into());
        }
        if let (Some(Hidden(key)), Some(digest)) = (&self.customer_key, parameters.get("SSECustomerKeyMD5")) {
            let expected = STANDARD.encode(md5_of(&STANDARD.decode(key).unwrap_or_default()));
            if digest != &Value::from(expected) {
                return Err("SSECustomerKeyMD5 is not the digest of SSECustomerKey: leave it out".into());
            }
        }

        // S3 takes locked objects only with a checksum.
        if parameters.keys().any(|name| name.starts_with("ObjectLock")) {
            self.checksum.get_or_insert(Checksum::Sha256);
        }
        Ok(())
    }
}

fn header_value(name: &str, value: &Value) -> Result<HeaderValue, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return Err(format!("{name} must be a text")),
    };
    // What isn't ASCII would be signed otherwise than it is sent.
    let value = HeaderValue::from_str(&text).ok().filter(|value| value.to_str().is_ok());
    value.ok_or_else(|| format!("{name} must be a text of ASCII characters on one line"))
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use md5::{Digest, Md5};
    Md5::digest(bytes).into()
}

impl fmt::Debug for PutObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("PutObject")
            .field("headers", &names)
            .field("customer_key", &self.customer_key)
            .field("checksum", &self.checksum)
            .field("requester_pays", &self.requester_pays)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<PutObject, Vec<String>> {
        PutObject::from_parameters(&serde_json::from_str(json).unwrap())
    }

    fn problem(json: &str) -> String {
        parsed(json).unwrap_err().join("\n")
    }

    #[test]
    fn parameters_become_headers() {
        let put_object = parsed(
            r#"{"ServerSideEncryption":"aws:kms","SSEKMSKeyId":"k","BucketKeyEnabled":true,"Tagging":"a=b&c=d",
                "Metadata":{"Team":"edge"},"RequestPayer":"requester"}"#,
        )
        .unwrap();
        let header = |name: &str| put_object.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(header("x-amz-server-side-encryption-aws-kms-key-id"), Some("k"));
        assert_eq!(header("x-amz-server-side-encryption-bucket-key-enabled"), Some("true"));
        assert_eq!(header("x-amz-tagging"), Some("a=b&c=d"));
        assert_eq!(header("x-amz-meta-team"), Some("edge"));
        assert!(put_object.requester_pays && put_object.headers.len() == 5);
    }

    #[test]
    fn an_unknown_parameter_is_answered_with_the_nearest() {
        assert!(problem(r#"{"ServerSideEncription":"AES256"}"#).contains("did you mean ServerSideEncryption?"));
        assert!(problem(r#"{"sseKMSKeyId":"x"}"#).contains("did you mean SSEKMSKeyId?"));
    }

    #[test]
    fn what_lifeboat_sets_itself_is_refused_with_the_reason() {
        for name in ["Body", "Key", "ContentMD5", "IfMatch", "IfNoneMatch", "ChecksumSHA256", "Bucket"] {
            let problem = problem(&format!("{{{name:?}:\"x\"}}"));
            assert!(problem.contains(&format!("{name} can't be set here: ")), "{problem}");
        }
    }

    #[test]
    fn all_mistakes_are_found_and_no_value_is_repeated() {
        let problems = problem(r#"{"SSECustomerKey":"wonderful","ACL":["x"],"StorageClass":"a\nb","Metadata":"x"}"#);
        assert_eq!(problems.lines().count(), 4, "{problems}");
        assert!(!problems.contains("wonderful"), "{problems}");
    }

    #[test]
    fn a_customer_key_is_checked_and_does_not_print() {
        let key = STANDARD.encode([7; 32]);
        let digest = STANDARD.encode(md5_of(&[7; 32]));
        let put_object = parsed(&format!(
            r#"{{"SSECustomerAlgorithm":"AES256","SSECustomerKey":"{key}","SSECustomerKeyMD5":"{digest}"}}"#
        ))
        .unwrap();
        assert!(put_object.customer_key.is_some() && !format!("{put_object:?}").contains(&key));
        assert!(problem(&format!(r#"{{"SSECustomerKey":"{key}","SSECustomerKeyMD5":"x"}}"#)).contains("leave it out"));
        assert!(problem(r#"{"SSECustomerAlgorithm":"AES256"}"#).contains("SSECustomerKey is missing"));
    }

    #[test]
    fn locked_objects_have_a_checksum() {
        let locked = parsed(r#"{"ObjectLockLegalHoldStatus":"ON"}"#).unwrap();
        assert_eq!(locked.checksum, Some(Checksum::Sha256));
        let unlocked = parsed(r#"{"ObjectLockMode":"GOVERNANCE","ACL":"private"}"#).unwrap().without_lock();
        assert!(unlocked.headers.contains_key("x-amz-acl") && unlocked.headers.len() == 1, "{unlocked:?}");
        assert_eq!(parsed(r#"{"ChecksumAlgorithm":"CRC64NVME"}"#).unwrap().checksum, Some(Checksum::Crc64Nvme));
    }
}
