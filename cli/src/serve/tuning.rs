//! The options that help some and hurt others: `docs/options.md`.

use clap::Args;
use socket_iocp::{MAX_BUSY_POLL, MAX_SQPOLL, Options};
use std::time::Duration;

/// Options of a serving port that are worth trying on one's own machine.
#[derive(Args, Clone, Debug)]
pub struct TuningArgs {
    /// Keep each worker on one processor; for processors that are the server's alone
    #[arg(long)]
    pub pin_workers: bool,

    /// Look for work so long before a worker sleeps; for workers that have a processor each
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(..=MAX_BUSY_POLL.as_micros() as u64))]
    pub busy_poll: u64,

    /// Send so many bytes or more without a copy, for network cards; only io_uring minds [default: never]
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true, hide = cfg!(not(target_os = "linux")))]
    pub zero_copy_from: u32,

    /// Give each worker a kernel's thread for its submissions, which sleeps when idle for so long; only io_uring minds
    /// [default: none]
    #[arg(long, value_name = "MILLISECONDS", hide = cfg!(not(target_os = "linux")),
          value_parser = clap::value_parser!(u64).range(1..=MAX_SQPOLL.as_millis() as u64))]
    pub sqpoll: Option<u64>,

    /// Leave each socket's recv with the kernel from one message to the next; only io_uring minds
    #[arg(long, hide = cfg!(not(target_os = "linux")))]
    pub multishot_recv: bool,
}

impl TuningArgs {
    /// Sets what was asked for.
    pub fn apply(&self, options: Options) -> Options {
        let options = options.pin_workers(self.pin_workers).busy_poll(Duration::from_micros(self.busy_poll));
        let options = options.zero_copy_from(self.zero_copy_from).multishot_recv(self.multishot_recv);
        match self.sqpoll {
            Some(idle) => options.sqpoll(Duration::from_millis(idle)),
            None => options,
        }
    }
}
