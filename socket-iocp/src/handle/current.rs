//! Which workers the current thread is running: how an issue call made inside a callback finds its own worker.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static CURRENT: Cell<Option<Running>> = const { Cell::new(None) };
}

/// Names a port for the life of the process; never used twice. It also stands for the type `T` of the port's workers.
#[derive(Debug)]
pub(crate) struct PortNumber<T> {
    number: u64,
    stands_for: PhantomData<fn() -> T>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    port: u64,
    worker: NonNull<()>,
}

/// Puts the worker before back when the one above it is left, by a panic too.
struct Restore(Option<Running>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl<T> PortNumber<T> {
    pub(crate) fn new() -> PortNumber<T> {
        PortNumber { number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed), stands_for: PhantomData }
    }

    pub(crate) fn get(&self) -> u64 {
        self.number
    }

    /// Runs `body` as this worker of the port: [`worker`](PortNumber::worker) finds it.
    pub(crate) fn run_as<R>(&self, worker: &T, body: impl FnOnce() -> R) -> R {
        let running = Running { port: self.number, worker: NonNull::from(worker).cast() };
        let _restore = Restore(CURRENT.replace(Some(running)));
        body()
    }

    /// Calls `body` with the worker of this port that the current thread is running, if it is running one.
    pub(crate) fn worker<R>(&self, body: impl FnOnce(Option<&T>) -> R) -> R {
        match CURRENT.get() {
            Some(running) if running.port == self.number => {
                // SAFETY: `run_as` put the pointer there from a `&T`: only it writes one under this number, and the
                // number was given to one `PortNumber`, of this type. It borrows the worker for as long as it is
                // current.
                body(Some(unsafe { running.worker.cast::<T>().as_ref() }))
            }
            _ => body(None),
        }
    }
}

/// Whether the current thread is inside a worker, of any port: then the caller is a callback.
pub(crate) fn is_inside() -> bool {
    CURRENT.get().is_some()
}
