//! Tests against what somebody else wrote: stores as the real HTTP servers that they are, moto (S3 with IAM) and Azurite,
//! LMDB's own library, Envoy, and Prometheus' promtool; and the kernel, as it limits a container's memory. `tests/servers/run` installs and starts them.

mod alerts;
mod azure;
mod azurite;
mod contract;
mod envoy;
mod filter;
mod installed;
mod lmdb_node;
mod memory_limit;
mod object_lock;
mod permissions;
mod prefixes;
mod production;
mod s3_with_iam;
mod stores;
