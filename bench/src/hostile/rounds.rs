//! Rounds: alone, attacked, alone, attacked in another way, and so on.

use super::attack::{Attack, Part, kept, senders, stuck};
use super::attackers::{AttackTask, Done};
use super::bound::bound;
use super::good::Good;
use super::options::{HostileOptions, Limits};
use super::report::{Comparison, Cost, Usage};
use super::server::{ServerTask, State};
use crate::child::{Process, Task};
use crate::cpus::Cpus;
use crate::error::Error;
use socket_iocp::BackendKind;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Load before the measurement, by which caches, buffer rings and congestion windows have settled.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long the server may take to have all connections.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause before it is asked again.
const ASK_EVERY: Duration = Duration::from_millis(10);

pub(crate) fn measure(
    options: &HostileOptions,
    kinds: &[BackendKind],
    cpus: &Cpus,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Comparison>, Error> {
    let mut comparisons = Vec::new();
    for number in 1..=options.rounds {
        for kind in kinds {
            for limits in [None, Some(options.limits)] {
                let with = if limits.is_some() { "with" } else { "without" };
                progress(&format!("round {number} of {}: {}, {with} limits", options.rounds, kind.name()));
                comparisons.extend(round(options, *kind, limits, cpus)?);
            }
        }
    }
    Ok(comparisons)
}

/// Every attack once, between two measurements without.
fn round(
    options: &HostileOptions,
    kind: BackendKind,
    limits: Option<Limits>,
    cpus: &Cpus,
) -> Result<Vec<Comparison>, Error> {
    let alone = || Scene::open(kind, limits, cpus)?.measure(options, None).map(|found| found.cost);
    let mut before = alone()?;
    let mut comparisons = Vec::new();
    for attack in &options.attacks {
        let Measured { cost: under, done, usage } = Scene::open(kind, limits, cpus)?.measure(options, Some(*attack))?;
        let after = alone()?;
        let (backend, limited, attack) = (kind.name().to_owned(), limits.is_some(), *attack);
        let Done { events, refused } = done;
        comparisons.push(Comparison { backend, limited, attack, before, under, after, events, refused, usage });
        before = after;
    }
    Ok(comparisons)
}

/// A server in a process that lives for one measurement.
pub(crate) struct Scene {
    kind: BackendKind,
    limits: Option<Limits>,
    server: Process,
    address: SocketAddr,
    empty: State,
}

struct Measured {
    cost: Cost,
    done: Done,
    usage: Usage,
}

impl Scene {
    pub(crate) fn open(kind: BackendKind, limits: Option<Limits>, cpus: &Cpus) -> Result<Scene, Error> {
        let task = ServerTask { backend: kind.name().to_owned(), cpu: cpus.server, limits };
        let mut server = Process::start(&Task::Attacked(task))?;
        let address = server.answer()?;
        let empty = server.ask()?;
        Ok(Scene { kind, limits, server, address, empty })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn state(&mut self) -> Result<State, Error> {
        self.server.ask()
    }

    /// Asks the server how it is until it is as it should be.
    pub(crate) fn wait_for(&mut self, what: &str, is_there: impl Fn(&State) -> bool) -> Result<State, Error> {
        let end = Instant::now() + PATIENCE;
        loop {
            let state = self.state()?;
            if is_there(&state) {
                return Ok(state);
            }
            if Instant::now() > end {
                return Err(Error::failed(format!("waited in vain for {what}: {state:?}")));
            }
            thread::sleep(ASK_EVERY);
        }
    }

    /// Starts attackers, and waits until they are where they should be: those that never read are stuck.
    pub(crate) fn attack(&mut self, parts: &[Part], message_bytes: usize) -> Result<Process, Error> {
        let before = self.state()?;
        let task = AttackTask { address: self.address, parts: parts.to_vec(), message_bytes };
        let mut attackers = Process::start(&Task::Attack(task))?;
        attackers.answer::<Done>()?;
        let sockets = before.memory.sockets + kept(parts) as u64;
        let (stuck, filled) = (stuck(parts) as u64, (stuck(parts) * super::attackers::FILL_BYTES) as u64);
        let limited = self.limits.is_some();
        self.wait_for("the attackers", |state| {
            let is_full = match limited {
                true => state.held_back == stuck,
                false => state.received_bytes - before.received_bytes >= filled,
            };
            state.memory.sockets >= sockets && is_full
        })?;
        Ok(attackers)
    }

    /// The memory that the server takes beyond what it took when it was empty, `connections` being hostile or good.
    pub(crate) fn usage(&mut self, connections: usize, senders: usize) -> Result<Usage, Error> {
        let state = self.state()?;
        Ok(Usage {
            sockets: state.memory.sockets,
            allocated_bytes: state.memory.allocated.saturating_sub(self.empty.memory.allocated),
            resident_bytes: state.peak_resident.saturating_sub(self.empty.memory.resident),
            bound_bytes: bound(self.kind, self.limits.as_ref(), connections, senders),
        })
    }

    fn measure(mut self, options: &HostileOptions, attack: Option<Attack>) -> Result<Measured, Error> {
        let parts = attack.map(|attack| options.strength.parts(attack)).unwrap_or_default();
        let mut attackers = match attack {
            Some(_) => Some(self.attack(&parts, options.message_bytes)?),
            None => None,
        };
        let mut done = || attackers.as_mut().map_or(Ok(Done::default()), Process::ask::<Done>);
        let mut good = Good::connect(self.address, options.connections, options.message_bytes)?;
        good.run_for(options.messages_per_second, WARM_UP)?;
        let before = done()?;
        let waits_before = self.state()?.waits;
        let (started, cpu_before) = (Instant::now(), self.server.cpu_time()?);
        let messages = good.run_for(options.messages_per_second, options.window)?;
        let (elapsed, cpu_after) = (started.elapsed(), self.server.cpu_time()?);
        let waits = self.state()?.waits - waits_before;
        let after = done()?;
        let usage = self.usage(kept(&parts) + options.connections, senders(&parts))?;
        good.finish()?;
        let (elapsed_ns, cpu_ns) = (elapsed.as_nanos() as u64, cpu_after.saturating_sub(cpu_before).as_nanos() as u64);
        Ok(Measured {
            cost: Cost { messages, elapsed_ns, cpu_ns, waits },
            done: Done { events: after.events - before.events, refused: after.refused - before.refused },
            usage,
        })
    }
}
