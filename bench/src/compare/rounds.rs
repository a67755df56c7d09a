//! The measuring: rounds, in each of which every server has its turn.

use super::contestants::Contestant;
use super::load::{IdleConnections, Load, Tally};
use super::report::{Latency, Memory, Sample, Work};
use super::server::Server;
use super::{Options, Workload, strace};
use crate::cpus::Cpus;
use crate::error::Error;
use std::time::{Duration, Instant};

/// Load before the measurement, by which caches, buffer rings and congestion windows have settled.
const WARM_UP: Duration = Duration::from_millis(200);

pub(super) struct Measuring<'a> {
    pub(super) options: &'a Options,
    pub(super) contestants: &'a [Contestant],
    pub(super) cpus: &'a Cpus,
    pub(super) progress: &'a mut dyn FnMut(&str),
}

impl Measuring<'_> {
    /// Round by round, so that works can be compared with one another too; memory, which does not vary, at the end.
    pub(super) fn works(&mut self) -> Result<Vec<Work>, Error> {
        let mut works: Vec<Work> = self.options.works.iter().map(|workload| self.empty(*workload)).collect();
        for round in 1..=self.options.rounds {
            for work in works.iter_mut().filter(|work| !work.workload.is_idle()) {
                self.round(round, work)?;
            }
        }
        for work in &mut works {
            if work.workload.is_idle() {
                self.weigh(work)?;
            } else if self.options.system_calls {
                self.count_system_calls(work)?;
            }
        }
        Ok(works)
    }

    fn empty(&self, workload: Workload) -> Work {
        let servers = self.able(workload).map(|contestant| contestant.name.clone()).collect();
        Work { workload, servers, samples: Vec::new(), memory: Vec::new(), system_calls: Vec::new() }
    }

    /// Those that can do the work.
    fn able(&self, workload: Workload) -> impl Iterator<Item = &Contestant> + use<'_> {
        let serving = workload.serving();
        // The yardsticks have one thread.
        self.contestants
            .iter()
            .filter(move |contestant| contestant.can(serving.service))
            .filter(move |contestant| serving.threads == 1 || !contestant.is_yardstick())
    }

    /// The references first and last, and those between in an order that changes from round to round.
    fn order(&self, round: usize, workload: Workload) -> Vec<Contestant> {
        let able: Vec<Contestant> = self.able(workload).cloned().collect();
        let has_yardstick = able.iter().any(Contestant::is_yardstick);
        let is_reference = |one: &&Contestant| if has_yardstick { one.is_yardstick() } else { one.is_subject() };
        let references: Vec<Contestant> = able.iter().filter(is_reference).cloned().collect();
        let mut order = references.clone();
        let mut others: Vec<Contestant> = able.iter().filter(|one| !is_reference(one)).cloned().collect();
        if !others.is_empty() {
            let by = round % others.len();
            others.rotate_left(by);
        }
        order.extend(others);
        order.extend(references);
        order
    }

    fn round(&mut self, round: usize, work: &mut Work) -> Result<(), Error> {
        for contestant in self.order(round, work.workload) {
            let (workload, rounds) = (work.workload, self.options.rounds);
            (self.progress)(&format!("round {round} of {rounds}: {workload}: {}", contestant.name));
            if let Some(sample) = self.sample(round, workload, &contestant)? {
                work.samples.push(sample);
            }
        }
        Ok(())
    }

    fn start(&self, workload: Workload, contestant: &Contestant) -> Result<Server, Error> {
        let serving = workload.serving();
        let _pinned = if serving.threads == 1 { self.cpus.pin_server()? } else { self.cpus.unpin()? };
        Server::start(contestant, serving)
    }

    /// Measures one server, in a process that lives for this measurement only. `None` if it cannot do with so many threads.
    fn sample(&self, round: usize, workload: Workload, contestant: &Contestant) -> Result<Option<Sample>, Error> {
        let about = |error: Error| error.about(&format!("{workload}: {}", contestant.name));
        let server = match self.start(workload, contestant) {
            Err(_) if workload.serving().threads > 1 => return Ok(None),
            started => started.map_err(about)?,
        };
        self.sample_of(round, workload, contestant, server).map(Some).map_err(about)
    }

    fn sample_of(
        &self,
        round: usize,
        workload: Workload,
        contestant: &Contestant,
        server: Server,
    ) -> Result<Sample, Error> {
        let mut load = Load::connect(workload, server.addresses())?;
        load.run_for(WARM_UP, &mut Tally::new())?;
        let mut tally = Tally::new();
        let (started, cpu_before) = (Instant::now(), server.cpu_time()?);
        load.run_for(self.options.window, &mut tally)?;
        let (elapsed, cpu_after) = (started.elapsed(), server.cpu_time()?);
        load.finish()?;
        let outcome = server.stop()?;
        let at = |quantile| tally.latency.value_at_quantile(quantile);
        let latency = || Latency { p50_ns: at(0.5), p99_ns: at(0.99), p999_ns: at(0.999) };
        Ok(Sample {
            server: contestant.name.clone(),
            round,
            units: tally.units,
            elapsed_ns: elapsed.as_nanos() as u64,
            cpu_ns: cpu_after.saturating_sub(cpu_before).as_nanos() as u64,
            latency: (!tally.latency.is_empty()).then(latency),
            completions_per_wait: outcome.map(|outcome| outcome.completions as f64 / outcome.waits.max(1) as f64),
        })
    }

    fn weigh(&mut self, work: &mut Work) -> Result<(), Error> {
        let (workload, contestants) = (work.workload, self.able(work.workload).cloned().collect::<Vec<_>>());
        for contestant in contestants {
            (self.progress)(&format!("{workload}: {}", contestant.name));
            let server = self.start(workload, &contestant)?;
            let shape = workload.shape();
            let before = server.weight()?;
            let connections = IdleConnections::connect(server.addresses()[0], shape)
                .map_err(|error| error.about(&contestant.name))?;
            let after = server.weight()?;
            drop(connections);
            server.stop()?;
            let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / shape.connections as f64;
            work.memory.push(Memory {
                server: contestant.name.clone(),
                private_dirty_each: each(after.private_dirty, before.private_dirty),
                resident_each: each(after.resident, before.resident),
            });
        }
        Ok(())
    }

    fn count_system_calls(&mut self, work: &mut Work) -> Result<(), Error> {
        let (workload, contestants) = (work.workload, self.able(work.workload).cloned().collect::<Vec<_>>());
        for contestant in contestants {
            (self.progress)(&format!("system calls: {workload}: {}", contestant.name));
            let about = |error: Error| error.about(&format!("system calls: {}", contestant.name));
            let server = match self.start(workload, &contestant) {
                Err(_) if workload.serving().threads > 1 => continue,
                started => started.map_err(about)?,
            };
            let mut load = Load::connect(workload, server.addresses()).map_err(about)?;
            load.run_for(WARM_UP, &mut Tally::new()).map_err(about)?;
            let mut tally = Tally::new();
            let trace = strace::Trace::start(server.id())?;
            load.run_for(self.options.window, &mut tally).map_err(about)?;
            work.system_calls.push(trace.stop(&contestant.name, tally.units)?);
            load.finish().map_err(about)?;
            server.stop().map_err(about)?;
        }
        Ok(())
    }
}
