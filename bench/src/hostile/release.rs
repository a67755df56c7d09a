//! What an idle time-out gives back: the slots and queues of peers that do nothing, while the good ones are served.

use super::attack::{Attack, kept, senders};
use super::good::Good;
use super::options::{HostileOptions, Limits, Strength};
use super::report::Release;
use super::rounds::Scene;
use crate::cpus::Cpus;
use crate::error::Error;
use socket_iocp::BackendKind;
use std::time::{Duration, Instant};

/// The server's time-out is at least so long, and longer by this for each hostile connection: time enough for all of them to
/// be there first, and for the good ones, which say nothing meanwhile.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_secs(2);
const TO_CONNECT: Duration = Duration::from_micros(100);
/// How much longer the end of the last one may take: the option's own slack, and that of a busy machine.
const SLACK: Duration = Duration::from_secs(17);
/// The good load runs for so long between two looks at the server.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) fn measure(
    options: &HostileOptions,
    kinds: &[BackendKind],
    cpus: &Cpus,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Release>, Error> {
    let mut releases = Vec::new();
    for kind in kinds {
        for ends in [false, true] {
            let with = if ends { "with" } else { "without" };
            progress(&format!("idle connections: {}, {with} an idle time-out", kind.name()));
            releases.push(sample(options, *kind, ends, cpus)?);
        }
    }
    Ok(releases)
}

fn sample(options: &HostileOptions, kind: BackendKind, ends: bool, cpus: &Cpus) -> Result<Release, Error> {
    // No events: an attacker that is reset would end with its first one.
    let strength = Strength { messages_per_second: 0.0, connections_per_second: 0.0, ..options.strength };
    let parts: Vec<_> =
        [Attack::Silent, Attack::NeverReading].into_iter().flat_map(|attack| strength.parts(attack)).collect();
    let (hostile, good_count) = (kept(&parts) as u64, options.connections as u64);
    let connections = kept(&parts) + options.connections;
    let timeout = MIN_IDLE_TIMEOUT + TO_CONNECT * hostile as u32;
    let idle_timeout = ends.then_some(timeout);
    let mut scene = Scene::open(kind, Some(Limits { idle_timeout, ..options.limits }), cpus)?;
    let mut good = Good::connect(scene.address(), options.connections, options.message_bytes)?;
    let mut serve = |duration| good.run_for(options.messages_per_second, duration).map(drop);
    serve(LOOK_EVERY)?;

    let started = Instant::now();
    let _attackers = scene.attack(&parts, options.message_bytes)?;
    let full = scene.usage(connections, senders(&parts))?;
    let end = started + timeout + if ends { SLACK } else { timeout / 2 };
    let mut after = scene.state()?;
    while after.memory.sockets > good_count && Instant::now() < end {
        serve(LOOK_EVERY)?;
        after = scene.state()?;
    }
    if ends && (after.memory.sockets, after.timed_out) != (good_count, hostile) {
        return Err(Error::failed(format!("{hostile} idle connections should have ended, and no other: {after:?}")));
    }
    let timed_out = after.timed_out;
    let after = scene.usage(connections, senders(&parts))?;
    let again = if ends {
        let _attackers = scene.attack(&parts, options.message_bytes)?;
        Some(scene.usage(connections, senders(&parts))?)
    } else {
        None
    };
    good.finish()?;
    Ok(Release { backend: kind.name().to_owned(), idle_timeout, connections: hostile, full, after, timed_out, again })
}
