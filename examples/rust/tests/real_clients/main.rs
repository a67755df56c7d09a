//! The examples, served to real clients: curl, wrk, redis-benchmark, redis-cli, nc; each on both backends.
//!
//! A client that is not installed fails its tests: `./test` installs them.

mod chat;
mod client;
mod command_line;
mod echo;
mod http;
mod http_load;
mod redis;
mod server;

/// Makes a test of a function for each backend: `name::io_uring`, `name::readiness`. The function takes the backend's name.
macro_rules! on_both_backends {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn io_uring() {
                super::$name("io_uring");
            }

            #[test]
            fn readiness() {
                super::$name("readiness");
            }
        })+
    };
}
use on_both_backends;
