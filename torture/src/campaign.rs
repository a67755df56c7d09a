//! Many programs, on several threads, until so many operations have been done or a rule was broken.

use crate::program::Program;
use crate::run::run;
use crate::shrink::shrink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The seed of the first program; each next program's is one more.
    pub seed: u64,
    /// Operations to be done at least.
    pub operations: u64,
    /// Threads that run programs, each its own.
    pub threads: usize,
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// Programs run: those of the seeds from the first one on.
    pub programs: u64,
    /// Operations done.
    pub operations: u64,
    /// Callbacks checked.
    pub callbacks: u64,
    /// The failure with the lowest seed, if there was one.
    pub failure: Option<Failure>,
}

/// A rule that was broken.
#[derive(Debug)]
pub struct Failure {
    /// The seed of the program.
    pub seed: u64,
    /// What it broke.
    pub broken: String,
    /// The shortest program found that breaks something, and what that is.
    pub shrunk: (Program, String),
}

impl Campaign {
    /// Runs it. `progress` is told of the operations done so far, from any of the threads.
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Report {
        let (next, programs) = (AtomicU64::new(self.seed), AtomicU64::new(0));
        let (operations, callbacks) = (AtomicU64::new(0), AtomicU64::new(0));
        let (failed, failure) = (AtomicBool::new(false), Mutex::new(None::<(u64, String)>));
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) && operations.load(Ordering::Relaxed) < self.operations {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let outcome = run(&Program::from_seed(seed));
                        programs.fetch_add(1, Ordering::Relaxed);
                        callbacks.fetch_add(outcome.callbacks, Ordering::Relaxed);
                        progress(operations.fetch_add(outcome.operations, Ordering::Relaxed) + outcome.operations);
                        if let Some(broken) = outcome.broken {
                            failed.store(true, Ordering::Relaxed);
                            let mut failure = failure.lock().expect("nothing panics while it is held");
                            if failure.as_ref().is_none_or(|(before, _)| seed < *before) {
                                *failure = Some((seed, broken));
                            }
                        }
                    }
                });
            }
        });
        let failure = failure.into_inner().expect("nothing panics while it is held");
        Report {
            programs: programs.into_inner(),
            operations: operations.into_inner(),
            callbacks: callbacks.into_inner(),
            failure: failure.map(|(seed, broken)| Failure { seed, broken, shrunk: shrunk(seed) }),
        }
    }
}

fn shrunk(seed: u64) -> (Program, String) {
    let shortest = shrink(&Program::from_seed(seed), |program| run(program).broken.is_some());
    let broken = run(&shortest).broken.unwrap_or_default();
    (shortest, broken)
}
