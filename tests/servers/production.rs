//! The bucket and the roles of docs/production.md, made by its own commands at an S3 that enforces IAM: with what they
//! leave, an exporter has what it needs, and a relay that and no more.

use std::path::Path;

use lifeboat_fakes::recorded;
use lifeboat_tests::cluster::Cluster;
use lifeboat_tests::document::{Piece, Shell, pieces};
use lifeboat_tests::program::{Finished, Invocation};
use tempfile::TempDir;

use super::installed::{installed, of_repository};
use super::s3_with_iam::S3WithIam;

/// How docs/production.md names this file.
const THIS: &str = "tests/servers/production.rs";

/// A folder in which the page's commands were typed, and the account that they were typed for.
struct Followed {
    folder: TempDir,
    account: S3WithIam,
}

impl Followed {
    async fn page() -> Self {
        let (folder, account) = (tempfile::tempdir().unwrap(), S3WithIam::empty().await);
        std::os::unix::fs::symlink(of_repository("deploy"), folder.path().join("deploy")).unwrap();
        let programs = installed("python/bin");
        let variables = [
            ("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap())),
            ("HOME", folder.path().display().to_string()),
            ("AWS_ENDPOINT_URL", account.endpoint().to_owned()),
            ("AWS_ACCESS_KEY_ID", "setup".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "setup".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-2".to_owned()),
        ];
        let mut shell = Shell::start(folder.path(), &variables).await;
        let page = std::fs::read_to_string(of_repository("docs/production.md")).unwrap();
        let mut blocks = 0;
        for piece in pieces(&page) {
            let Piece::Elsewhere(commands, by) = piece else { continue };
            if by != THIS {
                continue;
            }
            let printed = shell.run(&commands.text).await;
            if let Some(missing) = commands.missing_in(&printed) {
                panic!("the block on line {} does not print {missing:?}, but:\n{printed}", commands.line);
            }
            blocks += 1;
        }
        assert!(blocks > 0, "docs/production.md has nothing that {THIS} runs");
        // From here on every request must be signed by a user, and allowed to that user.
        shell
            .run(&format!(
                "curl --silent --fail --output reset --header 'Content-Type: text/plain' --data 0 {}/moto-api/reset-auth",
                account.endpoint()
            ))
            .await;
        Self { folder, account }
    }

    /// Tells the program to get in with the access key that the page has made for a role.
    fn given_to(&self, invocation: Invocation, role: &str) -> Invocation {
        let file = self.folder.path().join(format!("{role}.access-key"));
        let key = std::fs::read_to_string(&file).unwrap();
        let [id, secret] = key.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{}: two words", file.display())
        };
        assert!(is_of_its_owner_alone(&file), "{} can be read by others", file.display());
        invocation
            .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong-backups/prod")
            .with("AWS_CONFIG_STORAGE_ENDPOINT", self.account.endpoint())
            .with("AWS_REGION", "us-east-2")
            .with("AWS_ACCESS_KEY_ID", id)
            .with("AWS_SECRET_ACCESS_KEY", secret)
    }
}

fn is_of_its_owner_alone(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o077 == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_and_the_roles_of_the_production_guide_are_enough_and_no_more() {
    let (cluster, followed) = (Cluster::start().await, Followed::page().await);
    cluster.control_plane.push(recorded::first());
    let kept = followed.given_to(cluster.lifeboat(["export"]), "exporter").finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    for (role, side) in [("exporter", "--export"), ("importer", "--import")] {
        let doctor = followed.given_to(cluster.lifeboat(["doctor", side, "on"]), role).finish().await;
        assert_eq!(doctor.code, Some(0), "{role}: {doctor}");
        assert!(!has_too_much(&doctor), "{role} may do more than it needs: {doctor}");
    }
    let refused = followed.given_to(cluster.lifeboat(["export"]), "importer").finish().await;
    assert_eq!(refused.code, Some(1), "{refused}");
}

/// Whether the doctor warns of a right that the role doesn't need.
fn has_too_much(doctor: &Finished) -> bool {
    doctor.stdout.lines().any(|line| line.contains("store: write") && line.contains("warn"))
}
