//! Torture by simulation: seeded random programs against the engine on a simulated network, checked step by step by a
//! model of the contract.
//!
//! `program.rs` makes programs, `run.rs` runs them in a world (`world.rs`) with a handler (`handler.rs`) that shows each
//! callback to the model (`model.rs`); `shrink.rs` cuts down one that fails.

#![cfg(feature = "sim")]
#![deny(missing_docs)]

mod bytes;
mod campaign;
mod faults;
mod handler;
mod mail;
mod model;
mod panics;
mod program;
mod refusal;
mod run;
mod shrink;
mod world;

pub use campaign::{Amount, Campaign, Failure, Report};
pub use program::{Call, Faulty, Host, Op, Program, Setup, Whither};
pub use refusal::Allocator;
pub use run::{Outcome, run};
pub use shrink::shrink;
