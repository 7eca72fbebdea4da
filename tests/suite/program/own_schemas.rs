//! The control plane's own schemas, kept by `lifeboat export` and judged by afterwards: what is the control plane's own, a
//! plugin or a version that the program has no schemas of, is known, and where both know something the own ones win.

use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use serde_json::{Value, json};

use super::{Cluster, Store, VERSION};

/// A Kong of somebody's own: a plugin that nobody else has, a field more, and one that may be less than elsewhere.
fn of_our_own(schemas: &mut Value) {
    let config = json!({ "type": "record", "required": true, "fields": [
        { "most": { "type": "integer", "between": [1, 10], "required": true } },
    ] });
    schemas["plugins"]["our-limits"] = json!({ "entity_checks": [], "fields": [{ "config": config }] });
    let fields = schemas["entities"]["services"]["fields"].as_array_mut().unwrap();
    fields.push(json!({ "region": { "type": "string" } }));
    for field in fields {
        if let Some(retries) = field.get_mut("retries") {
            retries["between"] = json!([0, 3]);
        }
    }
}

struct Site {
    cluster: Cluster,
    store: Store,
    folder: tempfile::TempDir,
}

impl Site {
    /// A store with what the control plane has sent to a node of this version, and its schemas.
    async fn of(version: &str, admin: &AdminApi) -> (Self, Finished) {
        let site =
            Self { cluster: Cluster::start().await, store: Store::folder(), folder: tempfile::tempdir().unwrap() };
        site.cluster.control_plane.push(recorded::first());
        let export = site.store.given_to(site.cluster.lifeboat(["export", "--output", "json"]));
        let export = export.with("KONG_VERSION", version).with("LIFEBOAT_ADMIN_URL", admin.url());
        let kept = export.finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
        (site, kept)
    }

    fn with(&self, version: &str, arguments: &[&str]) -> Invocation {
        self.store.given_to(lifeboat(arguments)).with("KONG_VERSION", version)
    }

    async fn publishes(&self, version: &str, text: &str) -> Finished {
        let path = self.folder.path().join("kong.yml");
        std::fs::write(&path, text).unwrap();
        self.with(version, &["export", "--pin", "--from", &format!("file:{}", path.display())]).finish().await
    }
}

fn file(service: &str, most: &str) -> String {
    format!(
        "_format_version: '3.0'\nservices:\n- name: orders\n  host: orders.test\n  {service}\n  routes:\n  - name: orders\n    \
         paths: [/orders]\nplugins:\n- name: our-limits\n  config: {{most: {most}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_export_keeps_them_and_files_the_drill_and_verify_are_judged_by_them() {
    let admin = AdminApi::start_with(of_our_own).await;
    let (site, kept) = Site::of(VERSION, &admin).await;
    let manifest: Value = serde_json::from_str(&kept.stdout).unwrap();
    let key = manifest["schemas"]["key"].as_str().unwrap_or_else(|| panic!("no schemas are named: {kept}"));
    assert!(site.store.objects.join(key).is_file(), "{key} is not there");
    let again = site.store.given_to(site.cluster.lifeboat(["export", "--output", "json"]));
    let again = again.with("LIFEBOAT_ADMIN_URL", admin.url()).finish().await;
    assert_eq!(again.stdout, kept.stdout, "nothing has changed");

    // What the recorded schemas take, these don't, and the other way round.
    let refused = site.publishes(VERSION, &file("retries: 5", "11")).await;
    assert_eq!(refused.code, Some(1), "{refused}");
    for part in [
        "plugins \"our-limits (global)\", config.most: value should be between 1 and 10",
        "services \"orders\", retries: value should be between 0 and 3",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
    let taken = site.publishes(VERSION, &file("region: eu", "5")).await;
    assert_eq!(taken.code, Some(0), "{taken}");
    assert!(!taken.stderr.contains("not known") && !taken.stderr.contains("not checked"), "{taken}");

    let own = "it matches the control plane's own schemas";
    let verified = site.with(VERSION, &["verify"]).finish().await;
    assert!(verified.code == Some(0) && verified.stdout.contains(own), "{verified}");
    let drill = site.with(VERSION, &["drill", "--no-kong"]).with("KONG_CLUSTER_CERT", &site.cluster.certificate);
    let drilled = drill.with("KONG_CLUSTER_CERT_KEY", &site.cluster.key).finish().await;
    assert!(drilled.code == Some(0) && drilled.stdout.contains(own), "{drilled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_recorded_is_judged_by_its_control_plane() {
    let admin = AdminApi::start().await;
    let (site, _) = Site::of("3.5.0", &admin).await;
    let refused = site.publishes("3.5.0", "_format_version: '3.0'\nservices:\n- name: orders\n  hots: a\n").await;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("services \"orders\", hots: unknown field"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_api_without_schemas_is_a_warning_and_the_configuration_is_kept() {
    let admin = AdminApi::start_with(|schemas| schemas["entities"]["services"] = "not a schema".into()).await;
    let (_site, kept) = Site::of(VERSION, &admin).await;
    assert!(
        kept.stderr.contains("the control plane's schemas for Kong 3.9.1 are not kept: LIFEBOAT_ADMIN_URL"),
        "{kept}"
    );
    assert!(kept.stderr.contains("The configuration is kept all the same"), "{kept}");
}
