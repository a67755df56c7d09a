//! Rounds: yardstick, subject, yardstick again, for each backend.

use crate::Options;
use crate::child::{Role, Server};
use crate::cpus::Cpus;
use crate::error::Error;
use crate::load::Load;
use crate::report::{Placement, Round, Sample};
use socket_iocp::BackendKind;
use std::time::{Duration, Instant};

/// Load before the measurement, by which caches, buffer rings and congestion windows have settled.
const WARM_UP: Duration = Duration::from_millis(200);

pub(crate) fn measure(
    options: &Options,
    kinds: &[BackendKind],
    cpus: &Cpus,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Round>, Error> {
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        for kind in kinds {
            for placement in cpus.placements() {
                progress(&format!("round {number} of {}: {}, load {placement}", options.rounds, kind.name()));
                rounds.push(round(*kind, *placement, options, cpus)?);
            }
        }
    }
    Ok(rounds)
}

fn round(kind: BackendKind, placement: Placement, options: &Options, cpus: &Cpus) -> Result<Round, Error> {
    let _pinned = cpus.pin_load(placement)?;
    let sample = |role| sample(role, kind, options, cpus);
    Ok(Round {
        backend: kind.name().to_owned(),
        placement,
        before: sample(Role::Yardstick)?,
        subject: sample(Role::Subject)?,
        after: sample(Role::Yardstick)?,
    })
}

/// Measures one server, in a process that lives for this measurement only.
fn sample(role: Role, kind: BackendKind, options: &Options, cpus: &Cpus) -> Result<Sample, Error> {
    let server = Server::start(role, kind, options.connections, cpus.server)?;
    let mut load = Load::connect(server.address(), options.connections, options.message_bytes)?;
    load.run_for(WARM_UP)?;
    let (started, cpu_before) = (Instant::now(), server.cpu_time()?);
    let messages = load.run_for(options.window)?;
    let (elapsed, cpu_after) = (started.elapsed(), server.cpu_time()?);
    load.finish()?;
    let outcome = server.outcome()?;
    Ok(Sample {
        messages,
        elapsed_ns: elapsed.as_nanos() as u64,
        cpu_ns: cpu_after.saturating_sub(cpu_before).as_nanos() as u64,
        messages_per_wait: outcome.messages as f64 / outcome.waits.max(1) as f64,
    })
}
