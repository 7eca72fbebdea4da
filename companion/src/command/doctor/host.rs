//! Checks of this host: whether its limits allow what the settings ask for. Read from the system; nothing is changed.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::check::Check;
use crate::relay::OTHER_FILES;
use crate::settings::Role;

const FILES: &str = "limit: open files";
const MEMORY: &str = "limit: memory";
/// For the store, the log, the runtime: what there is besides links.
const FILES_OF_OUR_OWN: u64 = 64;
/// A node's link, and while the control plane is there the one to it in the node's name.
const FILES_PER_NODE: u64 = 2;
/// Fewer nodes than this are no service.
const FEW_NODES: u64 = 100;
/// An exporter or a relay without any configuration, generously (docs/sizing.md).
const ITSELF: u64 = 64 << 20;
/// How many configurations each of them may have in memory (docs/sizing.md; tests measure it).
const CONFIGURATIONS: u64 = 3;

pub(super) fn checks(role: Role, max_config: Option<usize>) -> Vec<Check> {
    let mut checks = vec![files(role, getrlimit(Resource::Nofile).current)];
    if let Some(max_config) = max_config {
        checks.push(memory(role, memory_limit(), max_config as u64));
    }
    checks
}

fn files(role: Role, limit: Option<u64>) -> Check {
    let Some(limit) = limit else { return Check::pass(FILES, "no limit") };
    if limit < FILES_OF_OUR_OWN {
        let seen = format!("{limit}: too few for lifeboat itself");
        return Check::fail(FILES, seen, "raise it: ulimit -n, LimitNOFILE of the unit, or the container's ulimits");
    }
    if !role.imports() {
        return Check::pass(FILES, limit.to_string());
    }
    let files = limit.saturating_sub(OTHER_FILES);
    let nodes = files / FILES_PER_NODE;
    let seen = format!("{limit}: enough for {nodes} nodes at a time, and for {files} in an outage");
    if nodes < FEW_NODES {
        let cure =
            "raise it (ulimit -n, LimitNOFILE of the unit, the container's ulimits) if this relay serves more nodes";
        return Check::warn(FILES, seen, cure);
    }
    Check::pass(FILES, seen)
}

fn memory(role: Role, limit: Option<u64>, max_config: u64) -> Check {
    let parts = if role.imports() && role.exports() { 2 } else { 1 };
    let needed = parts * (CONFIGURATIONS * max_config + ITSELF);
    let Some(limit) = limit else { return Check::pass(MEMORY, "no limit") };
    let seen = format!(
        "{}: a configuration of LIFEBOAT_MAX_CONFIG ({}) may take {}",
        megabytes(limit),
        megabytes(max_config),
        megabytes(needed)
    );

    if limit >= needed {
        return Check::pass(MEMORY, seen);
    }
    let largest = (limit / parts).saturating_sub(ITSELF) / CONFIGURATIONS;
    let cure = format!(
        "raise the limit, or set LIFEBOAT_MAX_CONFIG to at most {largest}: what is larger is then refused, and not paid for \
         with the life of the program"
    );
    Check::warn(MEMORY, seen, cure)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

// The tightest of the process's own and those of the groups that it is in.
fn memory_limit() -> Option<u64> {
    let own = getrlimit(Resource::As).current;
    let groups =
        std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| of_groups(&text, Path::new(CGROUPS)));
    [own, groups].into_iter().flatten().min()
}

/// Where cgroups version 2 are mounted (cgroups(7)).
const CGROUPS: &str = "/sys/fs/cgroup";

// A line `0::/path`; each group's parent limits it, too. In a container the path is often not there: its root is its own.
fn of_groups(text: &str, mounted: &Path) -> Option<u64> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group: PathBuf = mounted.join(path);
    let groups = group.ancestors().take_while(|group| group.starts_with(mounted));
    let limit = |group: &Path| std::fs::read_to_string(group.join("memory.max")).ok()?.trim().parse::<u64>().ok();
    groups.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn a_relay_is_told_how_many_nodes_its_open_files_allow() {
        assert_eq!(
            files(Role::Importer, Some(1024)).seen,
            "1024: enough for 312 nodes at a time, and for 624 in an outage"
        );
        assert_eq!(files(Role::Importer, Some(256)).verdict, Verdict::Warn);
        assert_eq!(files(Role::Exporter, Some(256)).verdict, Verdict::Pass);
        assert_eq!(files(Role::Exporter, Some(20)).verdict, Verdict::Fail);
        assert_eq!(files(Role::Both, None).verdict, Verdict::Pass);
    }

    #[test]
    fn a_memory_limit_below_what_the_largest_configuration_takes_is_told_with_one_that_fits() {
        let check = memory(Role::Exporter, Some(256 << 20), 512 << 20);
        assert_eq!(check.verdict, Verdict::Warn);
        let largest = 64 << 20;
        assert!(check.cure.unwrap().contains(&format!("at most {largest}:")));
        assert_eq!(memory(Role::Exporter, Some(256 << 20), largest).verdict, Verdict::Pass);
        assert_eq!(memory(Role::Importer, Some(256 << 20), largest).verdict, Verdict::Pass);
        assert_eq!(memory(Role::Importer, Some(256 << 20), largest + 1).verdict, Verdict::Warn);
        assert_eq!(memory(Role::Both, Some(512 << 20), largest).verdict, Verdict::Pass);
        assert_eq!(memory(Role::Both, Some(512 << 20), largest + 1).verdict, Verdict::Warn);
        assert_eq!(memory(Role::Exporter, None, 1 << 40).verdict, Verdict::Pass);
    }

    #[test]
    fn the_tightest_group_counts() {
        let mounted = tempfile::tempdir().unwrap();
        let inner = mounted.path().join("kubepods/pod");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        std::fs::write(mounted.path().join("kubepods/memory.max"), "1000\n").unwrap();
        assert_eq!(of_groups("0::/kubepods/pod\n", mounted.path()), Some(1000));
        assert_eq!(of_groups("0::/elsewhere\n", mounted.path()), None);
        std::fs::write(mounted.path().join("memory.max"), "900\n").unwrap();
        assert_eq!(of_groups("12:memory:/v1\n0::/elsewhere\n", mounted.path()), Some(900));
    }
}
