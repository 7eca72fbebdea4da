//! `lifeboat exec --check`: what exec would say of the settings, for an init container or a pipeline, which may stop there.

use super::decision::own_file;
use crate::command::{Failure, stdout};
use crate::one_shot::CommandLine;
use crate::settings::{ImportSettings, Restoring, Source, When};

/// Says that the node would be restored, in an outage and if it is empty.
///
/// # Errors
/// Wrong settings; or that there is nothing to do, for a node that isn't restored anyway.
pub(super) fn check(source: &Source, program: Option<&CommandLine>) -> Result<(), Failure> {
    if let Some(command) = program.and_then(CommandLine::starts_no_gateway) {
        return Err(Failure::NothingToDo(format!("kong {command} starts no gateway")));
    }
    match Restoring::read(source)? {
        Restoring::Wanted => {}
        Restoring::Unwanted(why) | Restoring::Untold(why) => return Err(Failure::NothingToDo(why)),
    }
    let settings = ImportSettings::read(source, None, When::ControlPlaneUnreachable)?;
    if let Some(why) = own_file(source) {
        return Err(Failure::NothingToDo(why));
    }

    let control_plane =
        settings.control_plane.map(|asked| format!(" if {} gives it nothing", asked.cluster.control_plane));
    let said = format!(
        "the settings can be read: an empty node of Kong {} in {} would be restored from {}{}",
        settings.version,
        settings.prefix.path().display(),
        settings.store.url,
        control_plane.unwrap_or_default()
    );
    Ok(stdout::line(&said).map_err(anyhow::Error::from)?)
}
