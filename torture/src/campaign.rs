//! Many programs, on several threads, until so many operations have been done or a rule was broken.

use crate::program::Program;
use crate::run::run;
use crate::shrink::shrink;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The seed of the first program; each next program's is one more.
    pub seed: u64,
    /// How much of it.
    pub amount: Amount,
    /// Threads that run programs, each its own.
    pub threads: usize,
}

/// How much is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many operations at least; programs are run to their end.
    Operations(u64),
    /// Exactly so many programs.
    Programs(u64),
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
    /// Runs it. `progress` is told of the operations done so far, from any of the threads, and may end it early.
    pub fn run(&self, progress: impl Fn(u64) -> ControlFlow<()> + Sync) -> Report {
        let (next, programs) = (AtomicU64::new(0), AtomicU64::new(0));
        let (operations, callbacks) = (AtomicU64::new(0), AtomicU64::new(0));
        let (over, failure) = (AtomicBool::new(false), Mutex::new(None::<(u64, String)>));
        let another = || {
            let done = matches!(self.amount, Amount::Operations(limit) if operations.load(Ordering::Relaxed) >= limit);
            if done || over.load(Ordering::Relaxed) {
                return None;
            }
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let wanted = !matches!(self.amount, Amount::Programs(limit) if nth >= limit);
            wanted.then(|| self.seed.wrapping_add(nth))
        };
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while let Some(seed) = another() {
                        let outcome = run(&Program::from_seed(seed));
                        programs.fetch_add(1, Ordering::Relaxed);
                        callbacks.fetch_add(outcome.callbacks, Ordering::Relaxed);
                        let done = operations.fetch_add(outcome.operations, Ordering::Relaxed) + outcome.operations;
                        if progress(done).is_break() || outcome.broken.is_some() {
                            over.store(true, Ordering::Relaxed);
                        }
                        if let Some(broken) = outcome.broken {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_on(_: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn so_many_programs_are_so_many() {
        for threads in [1, 3] {
            let report = Campaign { seed: 5, amount: Amount::Programs(7), threads }.run(goes_on);
            assert_eq!(report.programs, 7);
        }
    }

    #[test]
    fn so_many_operations_are_reached() {
        let report = Campaign { seed: 5, amount: Amount::Operations(2000), threads: 2 }.run(goes_on);
        assert!(report.operations >= 2000 && report.programs > 1, "{report:?}");
    }

    #[test]
    fn the_caller_may_end_it() {
        let campaign = Campaign { seed: 5, amount: Amount::Programs(u64::MAX), threads: 1 };
        assert_eq!(campaign.run(|_| ControlFlow::Break(())).programs, 1);
    }
}
