//! What the tests share: a lab for each backend, clients, and a handler that writes everything down.

#![cfg(feature = "sim")]

mod census;
mod child;
mod client;
mod gate;
mod lab;
mod probe;
mod watched;

pub use census::{in_own_process, open_descriptors, resident_kib};
pub use child::{child, child_role, run_child};
pub use client::Client;
pub use gate::{BOUND, Gate};
pub use lab::Lab;
pub use probe::{Event, Probe, Reaction};
pub use watched::watched;

/// Makes one test of a function for each backend: `name::io_uring`, `name::readiness`, `name::sim`.
///
/// The function takes a [`Lab`]. With `real:` before it, the simulated network is left out: say why beside it.
#[macro_export]
macro_rules! on_every_backend {
    (real: $($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn io_uring() {
                $crate::watched(stringify!($name), || super::$name(&$crate::Lab::io_uring()));
            }

            #[test]
            fn readiness() {
                $crate::watched(stringify!($name), || super::$name(&$crate::Lab::readiness()));
            }
        })+
    };
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn io_uring() {
                $crate::watched(stringify!($name), || super::$name(&$crate::Lab::io_uring()));
            }

            #[test]
            fn readiness() {
                $crate::watched(stringify!($name), || super::$name(&$crate::Lab::readiness()));
            }

            #[test]
            fn sim() {
                $crate::watched(stringify!($name), || super::$name(&$crate::Lab::sim()));
            }
        })+
    };
}
