//! The command in a build that has not got it: it says how to get it.

use crate::failure::Failure;
use clap::Args;
use std::ffi::OsString;
use std::process::ExitCode;

/// Seeded random programs against the engine, every rule of the contract checked (not in this build)
///
/// It needs the simulated network: cargo run --release -p socket-iocp-cli --features torture -- torture
#[derive(Args, Clone, Debug)]
pub struct TortureArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<OsString>,
}

/// `socket-iocp torture`.
pub fn command(args: &TortureArgs) -> Result<ExitCode, Failure> {
    let mut line = String::from("cargo run --release -p socket-iocp-cli --features torture -- torture");
    for argument in &args.arguments {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    Err(Failure::cannot_start(format!("the simulated network is not in this build; in the source tree: {line}")))
}
