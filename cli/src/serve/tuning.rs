//! The options that help some and hurt others: `docs/options.md`.

use clap::Args;
use socket_iocp::Options;

/// Options of a serving port that are worth trying on one's own machine.
#[derive(Args, Clone, Debug)]
pub struct TuningArgs {
    /// Keep each worker on one processor; for processors that are the server's alone
    #[arg(long)]
    pub pin_workers: bool,
}

impl TuningArgs {
    /// Sets what was asked for.
    pub fn apply(&self, options: Options) -> Options {
        options.pin_workers(self.pin_workers)
    }
}
