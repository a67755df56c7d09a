//! `bench --hostile`: what attackers make a good message cost, and what memory they get.

use super::failure;
use crate::failure::Failure;
use crate::{report, system};
use clap::Args;
use socket_iocp_bench::{Attack, HostileOptions, HostileReport, Limits, Strength, measure_hostile};
use std::process::ExitCode;
use std::time::Duration;

/// Rounds where none are asked for: 7 give the median an interval of 98% confidence.
const ROUNDS: u64 = 7;
/// Descriptors of the server's process, or the attackers', beside their connections.
const DESCRIPTORS_BESIDE: u64 = 64;
/// New hostile connections for each hostile message: one costs the attacker several packets, and the server as many.
const CONNECTIONS_A_MESSAGE: f64 = 0.1;

/// What an attacker gets in the server with limits: see `docs/threat-model.md`.
const LIMITS: Limits =
    Limits { idle_timeout: Some(Duration::from_secs(60)), max_queued_sends: 4, max_queued_bytes: 16 << 10 };

/// The options of `bench --hostile`.
#[derive(Args, Clone, Debug)]
pub struct HostileArgs {
    /// Instead: what hostile peers make a good message cost, and what memory they get
    ///
    /// A good load at a fixed rate, alone and beside attackers at a fixed rate: connections that never send, senders of
    /// one byte at a time, peers that never read, half-closers, resetters, and all of them. The exit code is 1 if a server
    /// takes more memory than the bound printed beside it; the CPU time is reported only.
    #[arg(long)]
    pub hostile: bool,

    /// With --hostile: good messages a second, few enough that the server is mostly idle
    #[arg(long, value_name = "N", default_value = "20000", requires = "hostile",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,

    /// With --hostile: hostile messages for each hundred good ones; hostile connections come at a tenth of that
    #[arg(long, value_name = "PERCENT", default_value = "5", requires = "hostile",
        value_parser = clap::value_parser!(u64).range(1..=1000))]
    share: u64,

    /// With --hostile: connections that never send; fewer where the limit of descriptors does not allow so many
    #[arg(long, value_name = "N", default_value = "10000", requires = "hostile",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    silent: u64,

    /// With --hostile: connections of each other kind of attackers at once
    #[arg(long, value_name = "N", default_value = "500", requires = "hostile",
        value_parser = clap::value_parser!(u64).range(1..=100_000))]
    peers: u64,
}

/// What `bench --hostile` shares with `bench`.
pub struct Common {
    pub rounds: Option<u64>,
    pub window: Duration,
    pub connections: usize,
    pub message_bytes: usize,
    pub backends: Vec<String>,
}

/// `socket-iocp bench --hostile`.
pub fn command(args: &HostileArgs, common: Common, json: bool) -> Result<ExitCode, Failure> {
    let options = args.options(common)?;
    let found = measure_hostile(&options, &mut report::warn).map_err(failure)?;
    if json {
        report::print_json(&found)?;
    } else {
        report::print(&found.to_string())?;
    }
    judge(&found)
}

/// Memory above its bound is a failure, on any machine at any time; CPU time is not, since it is the machine's as well.
fn judge(found: &HostileReport) -> Result<ExitCode, Failure> {
    match found.over_bound().first() {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => Err(Failure::failed(format!("memory above its bound: {first}"))),
    }
}

impl HostileArgs {
    fn options(&self, common: Common) -> Result<HostileOptions, Failure> {
        let rate = self.rate as f64;
        let messages_per_second = rate * self.share as f64 / 100.0;
        let strength = Strength {
            silent: self.silent_allowed(common.connections as u64, system::descriptor_limit())? as usize,
            peers: self.peers as usize,
            messages_per_second,
            connections_per_second: messages_per_second * CONNECTIONS_A_MESSAGE,
        };
        Ok(HostileOptions {
            rounds: common.rounds.unwrap_or(ROUNDS) as usize,
            window: common.window,
            connections: common.connections,
            message_bytes: common.message_bytes,
            messages_per_second: rate,
            strength,
            limits: LIMITS,
            backends: common.backends,
            attacks: Attack::ALL.to_vec(),
        })
    }

    /// As many silent connections as fit under the limit of the server's process, and of the attackers', beside the
    /// others.
    fn silent_allowed(&self, good: u64, limit: Option<u64>) -> Result<u64, Failure> {
        // Two kinds of the others are in the server, three with the attackers.
        let others = (2 * self.peers + good).max(3 * self.peers) + DESCRIPTORS_BESIDE;
        let Some(limit) = limit else { return Ok(self.silent) };
        let left = limit.saturating_sub(others);
        if left == 0 {
            return Err(Failure::cannot_start(format!(
                "the attackers need more than {others} descriptors, a process may have {limit} (see `ulimit -Hn`)"
            )));
        }
        Ok(self.silent.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGS: HostileArgs = HostileArgs { hostile: true, rate: 1000, share: 10, silent: 10_000, peers: 100 };

    #[test]
    fn silent_connections_are_as_many_as_descriptors_allow() {
        assert_eq!(ARGS.silent_allowed(100, None).expect("no limit"), 10_000);
        assert_eq!(ARGS.silent_allowed(100, Some(20_000)).expect("room"), 10_000);
        assert_eq!(ARGS.silent_allowed(100, Some(1024)).expect("some room"), 1024 - 300 - DESCRIPTORS_BESIDE);
        let failure = ARGS.silent_allowed(100, Some(364)).expect_err("no room");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("364 descriptors"), "{failure}");
    }

    #[test]
    fn hostile_rates_are_shares_of_the_good_one() {
        let common = Common {
            rounds: None,
            window: Duration::from_secs(1),
            connections: 1,
            message_bytes: 64,
            backends: vec!["readiness".into()],
        };
        let options = ARGS.options(common).expect("descriptors");
        let rates = [options.strength.messages_per_second, options.strength.connections_per_second];
        assert_eq!((options.messages_per_second, rates), (1000.0, [100.0, 10.0]));
    }
}
