//! What the proxy does to a connection: drawn from a seed before the first byte passes.

use fastrand::Rng;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// How the proxy ends a connection before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// Never.
    None,
    /// By a reset to both ends, when so many bytes have passed that way.
    Reset(Direction, u64),
    /// By a FIN to the server, when so many bytes have passed that way; the server's answer still passes.
    Fin(u64),
    /// By a FIN to the server as above, and a reset when so many bytes more have passed from it.
    FinThenReset(u64, u64),
}

/// How the next bytes pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// So many, in pieces as they come.
    Whole(u64),
    /// So many, each by itself.
    Single(u64),
    /// None, until so many others have passed through the proxy, or nothing else moves in it.
    Hold(u64),
}

/// The plan of one connection.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cut: Cut,
    /// The steps of each direction are drawn from these as they are needed.
    pub(super) to_server: Rng,
    pub(super) to_client: Rng,
    /// The proxy's socket towards the server takes little at once: the server's sends are partial.
    pub(super) small_buffer: bool,
}

impl Plan {
    /// The plan of connection `number` under this seed. Cuts lie within `longest` bytes; a connection that carries less
    /// may never come to its cut.
    pub(super) fn new(seed: u64, number: u64, longest: u64) -> Plan {
        // Neighbouring seeds and numbers must not give related plans.
        let mut random = Rng::with_seed(Rng::with_seed(seed).u64(..) ^ number);
        random = random.fork();
        // Rather early than late: most connections come to their cut.
        let at = random.u64(0..=longest);
        let at = random.u64(0..=at);
        let cut = match random.u32(0..10) {
            0 | 1 => Cut::Reset(Direction::ToServer, at),
            2 | 3 => Cut::Reset(Direction::ToClient, at),
            4 => Cut::Fin(at),
            5 => Cut::FinThenReset(at, random.u64(0..=longest / 8)),
            _ => Cut::None,
        };
        let small_buffer = random.u32(0..4) == 0;
        Plan { cut, to_server: random.fork(), to_client: random.fork(), small_buffer }
    }
}

/// The next step of a direction.
pub(super) fn next_step(random: &mut Rng) -> Step {
    match random.u32(0..10) {
        0..=4 => Step::Whole(random.u64(1..=8192)),
        5..=7 => Step::Single(random.u64(1..=64)),
        _ => Step::Hold(random.u64(1..=32_768)),
    }
}
