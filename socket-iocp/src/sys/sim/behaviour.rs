//! What the simulated network does to the operations, in probabilities.

/// How a network behaves. Every probability is from 0 to 1; one that makes an operation start again (`again`, `ready`,
/// `spurious_ready`, `no_buffer`, `shortage`) must be below 1, or the operation never ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Behaviour {
    /// An operation that can end when it is submitted does so at once.
    pub immediate_probability: f64,
    /// The most steps between the moment when a pending operation could end and the one when it does.
    pub max_delay_steps: usize,
    /// A send moves fewer bytes than there is room for.
    pub partial_send_probability: f64,
    /// A recv brings fewer bytes than are there.
    pub recv_fragment_probability: f64,
    /// A read of a file that is sent brings fewer bytes than are there.
    pub short_read_probability: f64,
    /// An operation ends without effect, to be submitted again (EINTR, EAGAIN).
    pub again_probability: f64,
    /// A pending operation that could end is instead reported ready, as a readiness backend does.
    pub ready_probability: f64,
    /// In a wait, one pending operation is reported ready although nothing has happened.
    pub spurious_ready_probability: f64,
    /// A recv finds no read buffer.
    pub no_buffer_probability: f64,
    /// The kernel has no memory for an operation that could end.
    pub shortage_probability: f64,
    /// A recv fails and the connection with it, if there is one.
    pub recv_error_probability: f64,
    /// A send fails and the connection with it, if there is one.
    pub send_error_probability: f64,
    /// A connect fails.
    pub connect_error_probability: f64,
    /// An accept fails; the connection stays in the queue.
    pub accept_error_probability: f64,
    /// A cancel ends its operation at once, with no completion.
    pub cancel_done_probability: f64,
    /// A cancelled operation that could still end with success is cancelled all the same.
    pub cancel_beats_success_probability: f64,
    /// A wake-up is reported twice.
    pub duplicate_wake_probability: f64,
    /// A wait reports a wake-up that nobody asked for.
    pub spurious_wake_probability: f64,
    /// A datagram does not arrive.
    pub datagram_loss_probability: f64,
    /// A reset destroys a part of what had been sent before it and not been read. Linux loses nothing that had
    /// arrived; what was on its way, or everything on other systems, is lost.
    pub reset_loss_probability: f64,
    /// The bytes that one direction of a connection holds before it pushes back. At least 1; counts for connections
    /// made from then on.
    pub window_bytes: usize,
}

impl Behaviour {
    /// Every operation ends whole and as soon as it can.
    pub const fn calm() -> Behaviour {
        Behaviour {
            immediate_probability: 1.0,
            max_delay_steps: 0,
            partial_send_probability: 0.0,
            recv_fragment_probability: 0.0,
            short_read_probability: 0.0,
            again_probability: 0.0,
            ready_probability: 0.0,
            spurious_ready_probability: 0.0,
            no_buffer_probability: 0.0,
            shortage_probability: 0.0,
            recv_error_probability: 0.0,
            send_error_probability: 0.0,
            connect_error_probability: 0.0,
            accept_error_probability: 0.0,
            cancel_done_probability: 0.0,
            cancel_beats_success_probability: 1.0,
            duplicate_wake_probability: 0.0,
            spurious_wake_probability: 0.0,
            datagram_loss_probability: 0.0,
            reset_loss_probability: 0.0,
            window_bytes: 64 * 1024,
        }
    }

    /// The default: partial sends, fragmented recvs, late completions, cancels that lose; no errors.
    pub const fn mild() -> Behaviour {
        Behaviour {
            immediate_probability: 0.5,
            max_delay_steps: 8,
            partial_send_probability: 0.25,
            recv_fragment_probability: 0.25,
            short_read_probability: 0.1,
            cancel_done_probability: 0.1,
            cancel_beats_success_probability: 0.5,
            duplicate_wake_probability: 0.1,
            ..Behaviour::calm()
        }
    }

    /// Everything that a healthy network and a busy system may do, often; still no errors.
    pub const fn harsh() -> Behaviour {
        Behaviour {
            immediate_probability: 0.3,
            max_delay_steps: 40,
            partial_send_probability: 0.7,
            recv_fragment_probability: 0.7,
            short_read_probability: 0.5,
            again_probability: 0.1,
            ready_probability: 0.2,
            spurious_ready_probability: 0.05,
            cancel_done_probability: 0.2,
            duplicate_wake_probability: 0.3,
            spurious_wake_probability: 0.05,
            window_bytes: 4 * 1024,
            ..Behaviour::mild()
        }
    }
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour::mild()
    }
}
