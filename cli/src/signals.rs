//! Ctrl-C and its relatives: SIGTERM and SIGHUP on POSIX, Ctrl-Break on Windows.

use crate::failure::Failure;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Calls `notice` on a thread of its own for every Ctrl-C and whatever asks the same. To be called once in a process.
pub fn on_interrupt(notice: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(notice).map_err(|error| Failure::cannot_start(format!("cannot catch signals: {error}")))
}

/// A flag that the first Ctrl-C raises; the second one ends the process at once.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    on_interrupt(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(crate::failure::EXIT_INTERRUPTED.into());
        }
    })?;
    Ok(stop)
}
