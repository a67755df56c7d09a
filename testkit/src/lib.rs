//! What the tests share: a lab for each backend, clients, and a handler that writes everything down.

#![cfg(feature = "sim")]

mod client;
mod lab;
mod probe;

pub use client::Client;
pub use lab::Lab;
pub use probe::{Event, Probe, Reaction};

/// Makes one test of a function for each backend: `name::io_uring`, `name::readiness`, `name::sim`.
///
/// The function takes a [`Lab`]. With `real:` before it, the simulated network is left out: say why beside it.
#[macro_export]
macro_rules! on_every_backend {
    (real: $($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn io_uring() {
                super::$name(&$crate::Lab::io_uring());
            }

            #[test]
            fn readiness() {
                super::$name(&$crate::Lab::readiness());
            }
        })+
    };
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn io_uring() {
                super::$name(&$crate::Lab::io_uring());
            }

            #[test]
            fn readiness() {
                super::$name(&$crate::Lab::readiness());
            }

            #[test]
            fn sim() {
                super::$name(&$crate::Lab::sim());
            }
        })+
    };
}
