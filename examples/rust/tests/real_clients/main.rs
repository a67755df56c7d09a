//! The examples, served to clients; each on every backend of the platform.
//!
//! On POSIX the clients are curl, wrk, redis-benchmark, redis-cli and nc too. One that is not installed fails its tests:
//! `./test` installs them.

mod command_line;
mod file;
mod forward;
mod keepalive;
mod server;
mod site;
mod sockets;
mod udp_echo;

#[cfg(unix)]
mod chat;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod echo;
#[cfg(unix)]
mod handover;
#[cfg(unix)]
mod http;
#[cfg(unix)]
mod http_load;
#[cfg(unix)]
mod metrics;
#[cfg(unix)]
mod redis;

// Ctrl-C and its relatives, as the tests of the tool send them.
#[cfg(unix)]
#[path = "../../../../cli/tests/common/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "../../../../cli/tests/common/windows.rs"]
mod platform;

/// Makes a test of a function for each backend: `name::io_uring`, `name::readiness`, `name::iocp`. The function takes the
/// backend's name.
macro_rules! on_each_backend {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[cfg(unix)]
            #[test]
            fn io_uring() {
                super::$name("io_uring");
            }

            #[cfg(unix)]
            #[test]
            fn readiness() {
                super::$name("readiness");
            }

            #[cfg(windows)]
            #[test]
            fn iocp() {
                super::$name("iocp");
            }
        })+
    };
}
use on_each_backend;
