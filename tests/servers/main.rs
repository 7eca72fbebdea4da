//! Tests against stores that somebody else wrote, as the real HTTP servers that they are: moto (S3 with IAM) and Azurite.
//! `tests/servers/run` installs and starts them.

mod azure;
mod azurite;
mod installed;
mod permissions;
mod s3_with_iam;
