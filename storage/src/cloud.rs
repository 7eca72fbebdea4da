//! Which cloud's words a store speaks: what its permissions are called and what is likely wrong when it can't be reached.
//! Nothing is judged here.

use super::Operation;

/// The kinds of stores that have words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    /// Amazon S3 and what is compatible with it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// A folder, or memory.
    Local,
}

impl Cloud {
    /// The cloud of a store, by the scheme of its URL.
    pub(super) fn of(place: &str) -> Self {
        match place.split_once("://").map_or(place, |(scheme, _)| scheme) {
            "s3" => Self::S3,
            "gs" | "gcs" | "gcp" => Self::Google,
            "azure" => Self::Azure,
            _ => Self::Local,
        }
    }

    /// What this kind of access needs, in the cloud's own words.
    pub(super) fn permission(self, what: Operation) -> &'static str {
        match (self, what) {
            (Self::S3, Operation::Get | Operation::Head) => "s3:GetObject",
            (Self::S3, Operation::Put) => "s3:PutObject",
            (Self::S3, Operation::List) => "s3:ListBucket",
            (Self::S3, Operation::Delete) => "s3:DeleteObject",
            (Self::Google, Operation::Get | Operation::Head) => {
                "storage.objects.get (roles/storage.objectViewer has it)"
            }
            // https://cloud.google.com/storage/docs/access-control/iam-permissions: replacing an object is deleting it.
            (Self::Google, Operation::Put) => {
                "storage.objects.create, and storage.objects.delete to replace an object (roles/storage.objectUser has both)"
            }
            (Self::Google, Operation::List) => "storage.objects.list (roles/storage.objectViewer has it)",
            (Self::Google, Operation::Delete) => "storage.objects.delete (roles/storage.objectUser has it)",
            (Self::Azure, Operation::Get | Operation::Head | Operation::List) => "the role Storage Blob Data Reader",
            (Self::Azure, Operation::Put | Operation::Delete) => "the role Storage Blob Data Contributor",
            (Self::Local, Operation::Get | Operation::Head | Operation::List) => "the right to read",
            (Self::Local, Operation::Put | Operation::Delete) => "the right to write",
        }
    }

    /// What to look at when nobody answers at the store's address.
    pub(super) fn whereabouts(self) -> &'static str {
        match self {
            Self::S3 => "is the store up, and are AWS_CONFIG_STORAGE_ENDPOINT and AWS_REGION right",
            Self::Google => "is Google Cloud Storage reachable from here (firewall, private access)",
            Self::Azure => "is the account in KONG_CLUSTER_FALLBACK_CONFIG_STORAGE right and reachable from here",
            Self::Local => "is KONG_CLUSTER_FALLBACK_CONFIG_STORAGE right",
        }
    }

    /// What this cloud calls the outermost part of a storage URL.
    pub(super) fn container(self) -> &'static str {
        match self {
            Self::Azure => "container",
            _ => "bucket",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The permissions that a role for Google names.
    fn of_role(yaml: &str) -> Vec<&str> {
        yaml.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect()
    }

    // Those that a message about these kinds of access names.
    fn asked_for(access: &[Operation]) -> Vec<&'static str> {
        let words = access.iter().flat_map(|access| Cloud::Google.permission(*access).split([' ', ',']));
        let mut names: Vec<_> = words.filter(|word| word.starts_with("storage.")).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn the_roles_that_are_shipped_for_google_have_what_messages_ask_for_and_nothing_else() {
        let importer = include_str!("../../deploy/iam/gcs-importer.role.yaml");
        assert_eq!(of_role(importer), asked_for(&[Operation::Get, Operation::List]));
        let exporter = include_str!("../../deploy/iam/gcs-exporter.role.yaml");
        let replacing = include_str!("../../deploy/iam/gcs-replacing.role.yaml");
        let mut both = [of_role(exporter), of_role(replacing)].concat();
        both.sort_unstable();
        assert_eq!(both, asked_for(&[Operation::Get, Operation::Put, Operation::List]));
        assert_eq!(of_role(replacing), asked_for(&[Operation::Delete]));
    }
}
