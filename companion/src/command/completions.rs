//! `lifeboat completions`: what a shell needs to complete commands, flags and values, from the command line's definition.

use clap_complete::{Shell, generate};

use super::{Failure, stdout};
use crate::cli;

/// Prints it for this shell.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let (mut definition, mut script) = (cli::definition(), Vec::new());
    let name = definition.get_name().to_owned();
    generate(shell, &mut definition, name, &mut script);
    Ok(stdout::bytes(&script).map_err(anyhow::Error::from)?)
}
