//! A drill's result as a file for node_exporter's textfile collector: a drill by hand or from cron ends before anybody could
//! scrape it.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lifeboat_core::time::WallTime;

use super::{DrillFailure, DrillMetrics, Drilled, VersionDrill};

/// Writes the metrics of a drill into `path`, in one moment, readable by everybody. When it last passed is taken from the
/// file before, where this one has not.
///
/// # Errors
/// When the file can't be written.
pub fn write(path: &Path, drilled: &Drilled) -> io::Result<()> {
    let metrics = DrillMetrics::default();
    metrics.remember(&before(path));
    for version in &drilled.versions {
        metrics.ended(version);
    }
    replace(path, &metrics)
}

/// Notes that a drill, begun then, failed before it was known which versions there are: those that the file tells of.
///
/// # Errors
/// As [`write()`].
pub fn write_failure(path: &Path, failure: &DrillFailure, started: WallTime) -> io::Result<()> {
    let (metrics, before) = (DrillMetrics::default(), before(path));
    metrics.remember(&before);
    for version in DrillMetrics::versions_in(&before) {
        metrics.ended(&VersionDrill::failed(version, started, failure.clone()));
    }
    replace(path, &metrics)
}

fn before(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn replace(path: &Path, metrics: &DrillMetrics) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside it, and under a name that the collector does not read: it takes `*.prom`.
    let mut file = tempfile::Builder::new().prefix(".lifeboat-drill-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(metrics.text().as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
