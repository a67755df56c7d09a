//! What the tests share: a lab for each backend, clients, and a handler that writes everything down.

#![cfg(feature = "sim")]

mod calm;
mod child;
mod client;
mod counting;
mod datagrams;
mod deep;
mod far;
mod forever;
mod gate;
mod gives_back;
mod lab;
mod ledger;
mod left_out;
mod own_process;
pub mod platform;
mod probe;
pub mod proxy;
mod talk;
mod test_file;
mod threads;
mod watched;

pub use calm::Calm;
pub use child::{child, child_role, run_child};
pub use client::Client;
pub use counting::Counting;
pub use datagrams::Correspondent;
pub use deep::{is_deep, seeds, tries};
pub use far::{Far, Silent};
pub use forever::forever;
pub use gate::{BOUND, Gate, wait_until};
pub use gives_back::GivesBack;
pub use lab::{Lab, tcp_pair};
pub use ledger::{Account, Book, FINGERPRINT_OF_NOTHING, Ledger, fingerprint};
pub use left_out::{LEFT_OUT, LeftOut, On, left_out};
pub use own_process::in_own_process;
pub use platform::{open_descriptors, resident_kib};
pub use probe::{Completion, Event, Mail, Probe, Reaction, completions};
pub use talk::{Crowd, Talk, crowd, talk};
pub use test_file::TestFile;
pub use threads::{threads, wait_for_threads};
pub use watched::{run, say_left_out, watched};

/// Makes one test of a function for each backend of the platform: `name::io_uring`, `name::readiness`, `name::sim` on Linux,
/// the last two on other POSIX systems; `name::iocp`, `name::iocp_pending`, `name::iocp_idle_reads`, `name::sim` on Windows.
///
/// The function takes a [`Lab`]. With `real:` before it, the simulated network is left out: say why beside it. What a
/// platform leaves out is in `left_out.rs`.
#[macro_export]
macro_rules! on_every_backend {
    (real: $($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::tests_on! { $name: real }
        })+
    };
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::tests_on! { $name: real }
            $crate::tests_on! { $name: sim }
        })+
    };
}

/// The tests of one function, for [`on_every_backend`].
#[doc(hidden)]
#[macro_export]
macro_rules! tests_on {
    ($name:ident: real) => {
        #[cfg(target_os = "linux")]
        $crate::tests_on! { $name: io_uring }
        #[cfg(unix)]
        $crate::tests_on! { $name: readiness }
        #[cfg(windows)]
        $crate::tests_on! { $name: iocp }
        #[cfg(windows)]
        $crate::tests_on! { $name: iocp_pending }
        #[cfg(windows)]
        $crate::tests_on! { $name: iocp_idle_reads }
    };
    ($name:ident: $backend:ident) => {
        #[test]
        fn $backend() {
            $crate::run(module_path!(), &$crate::Lab::$backend(), super::$name);
        }
    };
}
