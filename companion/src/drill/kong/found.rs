//! Whether there is a Kong on this host, and which.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use rustix::fs::{Access, access};
use tokio::process::Command;
use tokio::time::timeout;

use super::environment::of_programs;
use crate::drill::outcome::{DrillFailure, Step};
use crate::settings::{KongProgram, KongSettings, Source};

/// It is a script that starts an interpreter.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// A program that is Kong.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) program: PathBuf,
    pub(super) version: KongVersion,
}

/// The program that is to be started, if there is one.
pub(super) async fn find(settings: &KongSettings) -> Result<Option<Found>, DrillFailure> {
    let program = match &settings.program {
        KongProgram::Nowhere => return Ok(None),
        KongProgram::At(path) => path.clone(),
        KongProgram::OnPath => match on_path(&settings.source) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let version = version(&program, &settings.source).await.map_err(|reason| {
        let cure = "give the path of Kong's own program (--kong /usr/local/bin/kong), or leave it out (--no-kong)";
        DrillFailure::new(Step::Kong, format!("{} {reason}", program.display()), cure)
    })?;
    Ok(Some(Found { program, version }))
}

fn on_path(source: &Source) -> Option<PathBuf> {
    let path = source.get("PATH")?.value;
    let is_program = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    std::env::split_paths(&path).map(|folder| folder.join("kong")).find(|path| path.is_absolute() && is_program(path))
}

// It prints `3.9.1`; that of the Enterprise edition `Kong Enterprise 3.4.3.2`.
async fn version(program: &Path, source: &Source) -> Result<KongVersion, String> {
    let mut command = Command::new(program);
    command.arg("version").env_clear().envs(of_programs(source)).stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(VERSION_LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("can't be started: {error}")),
        Err(_) => return Err(format!("does not tell its version within {} s", VERSION_LIMIT.as_secs())),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.split_whitespace().rev().find_map(|word| word.parse().ok());
    version.filter(|_| output.status.success()).ok_or_else(|| "does not tell its version (kong version)".to_owned())
}
