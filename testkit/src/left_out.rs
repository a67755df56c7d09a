//! The tests that a platform leaves out, all of them, each with its reason. Nothing is left out elsewhere: a module that
//! does not compile on a platform is in this table too, and `tests/tests/left_out.rs` checks both.

use crate::platform;

/// Where tests are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// On Windows: what they are about is not there. On completion ports only, unless they do not compile there.
    Windows,
    /// Under Wine, on completion ports only: it does not do as Windows does. On Windows they run.
    Wine,
}

/// Tests that are left out.
#[derive(Debug)]
pub struct LeftOut {
    /// Where.
    pub on: On,
    /// The full name of a test, with its backend or without; or of a module or a binary, with all that is in it.
    pub tests: &'static str,
    /// Why.
    pub reason: &'static str,
}

const fn windows(tests: &'static str, reason: &'static str) -> LeftOut {
    LeftOut { on: On::Windows, tests, reason }
}

const fn wine(tests: &'static str, reason: &'static str) -> LeftOut {
    LeftOut { on: On::Wine, tests, reason }
}

const QUEUE: &str = "Windows does not tell how many connections a listen socket still has; \
    what_it_leaves_is_taken_by_whoever_accepts_next holds there";
const BUFFERS: &str = "a recv that waits has its read buffer with the system; Options::idle_reads is the way without";
const ANSWERS: &str = "with SIO_UDP_CONNRESET off, nothing is told of a datagram that went to nobody";
const UNTIE: &str = "Wine 8 cannot untie a socket from its completion port, so that adding it again is Unsupported, as \
    contract::windows tests";

/// The table.
pub const LEFT_OUT: &[LeftOut] = &[
    windows("contract::driven_pollable", "a completion port is no descriptor that a foreign event loop could poll"),
    windows("contract::connect_unix", "std has no sockets of the Unix family on Windows"),
    windows("contract::unix_sockets", "std has no sockets of the Unix family on Windows"),
    windows("contract::multishot_recv", "the option is io_uring's, and changes nothing there"),
    windows("contract::datagram_errors::what_the_net_answers_is_told_to_a_recv", ANSWERS),
    windows("contract::datagram_errors::what_the_net_answers_is_told_to_a_send", ANSWERS),
    windows("signals", "Windows has no signals"),
    windows("signal_storm", "Windows has no signals"),
    windows("address_space", "Windows has no limit of a process's address space"),
    windows("forked_child", "Windows has no fork"),
    windows("io_uring_forbidden", "Windows has no io_uring"),
    windows("sqpoll", "Windows has no io_uring"),
    windows("contract::accept_backlog::it_bounds_what_is_taken", QUEUE),
    windows("contract::accept_backlog::it_bounds_what_several_workers_take", QUEUE),
    windows("contract::accept_backlog::it_is_raised_and_lowered_while_running", QUEUE),
    windows("passing_descriptors", "what goes over the channel is a description, which any stream carries as bytes"),
    windows("descriptor_exhaustion", "Windows has no limit of a process's handles that a test could reach"),
    windows("idle_memory::ten_thousand_idle_sockets::iocp", BUFFERS),
    windows("idle_memory::ten_thousand_idle_sockets::iocp_pending", BUFFERS),
    windows("hostile_memory", BUFFERS),
    wine(
        "contract::file_sends_ended::a_file_that_cannot_be_read_resets_the_socket",
        "Wine 8 sends from a file that is not open for reading",
    ),
    wine("contract::listener_comes_back::added_again_while_the_old_one_ends", UNTIE),
    wine("contract::remove::a_removed_socket_is_handed_back_and_can_be_added_again", UNTIE),
    wine("contract::remove::another_port_takes_it_inside_the_farewell", UNTIE),
    wine("contract::remove::no_byte_is_lost_between_the_port_and_its_caller", UNTIE),
    wine("owned_types::what_came_out_goes_in_again", UNTIE),
    wine("contract::remove_listener::a_second_port_serves_on", UNTIE),
    wine("handover", UNTIE),
    wine("passing::a_connection_under_way_is_served_by_another_process", UNTIE),
    wine("passing::a_listener_is_served_by_another_process", UNTIE),
];

impl On {
    /// Whether this is such a place.
    pub fn is_here(self) -> bool {
        match self {
            On::Windows => cfg!(windows),
            On::Wine => platform::is_wine(),
        }
    }
}

impl LeftOut {
    /// Whether it is about this test.
    pub fn covers(&self, test: &str) -> bool {
        test.strip_prefix(self.tests).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// Why this test, by its full name with its backend, is left out here; `None` if it is not.
pub fn left_out(test: &str) -> Option<&'static str> {
    let on_real_sockets = !test.ends_with("::sim");
    let entry = LEFT_OUT.iter().find(|entry| on_real_sockets && entry.on.is_here() && entry.covers(test));
    entry.map(|entry| entry.reason)
}
