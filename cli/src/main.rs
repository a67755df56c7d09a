//! `socket-iocp`, the tool: a demonstration, servers, a load generator, a look at the machine, and torture.
//!
//! Exit codes: 0 all went well; 1 it ran and something went wrong; 2 it could not start (one line on standard error
//! says why); 130 a second Ctrl-C ended it.

#![deny(unsafe_code)]
#![cfg_attr(not(windows), forbid(unsafe_code))]

mod address;
mod arguments;
mod bench;
mod demo;
mod failure;
mod limits;
mod load;
mod probe;
mod progress;
mod report;
mod serve;
mod signals;
mod system;
mod torture;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use failure::{Failure, one_line};
use std::ffi::OsString;
use std::process::ExitCode;

/// Completion ports for sockets: demonstration, servers, load, and a look at the machine
///
/// With no command it runs the demonstration.
///
/// SOCKET_IOCP_BACKEND
#[cfg_attr(not(windows), doc = "(io_uring, readiness)")]
#[cfg_attr(windows, doc = "(iocp)")]
/// and SOCKET_IOCP_THREADS in the environment override the backend and the worker count of every port.
#[derive(Parser, Debug)]
#[command(name = "socket-iocp", version, override_usage = "socket-iocp [COMMAND]")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Load(load::LoadArgs),
    Probe(probe::ProbeArgs),
    Bench(bench::BenchArgs),
    Torture(torture::TortureArgs),
    #[cfg(not(windows))]
    #[command(name = socket_iocp_bench::CHILD_COMMAND, hide = true)]
    BenchChild(bench::BenchChildArgs),
}

fn main() -> ExitCode {
    match parse(std::env::args_os().collect()).and_then(|cli| cli.map_or(Ok(ExitCode::SUCCESS), run)) {
        Ok(code) => code,
        Err(failure) => {
            report::warn(&format!("socket-iocp: {failure}"));
            failure.code().into()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Demo(args) => demo::command(&args),
        Command::Serve(args) => serve::command(&args),
        Command::Load(args) => load::command(&args),
        Command::Probe(args) => probe::command(&args),
        Command::Bench(args) => bench::command(&args),
        Command::Torture(args) => torture::command(&args),
        #[cfg(not(windows))]
        Command::BenchChild(args) => bench::child(&args),
    }
}

/// The command to run; `None` if help or the version was asked for, and printed. No arguments at all mean `demo`.
fn parse(mut arguments: Vec<OsString>) -> Result<Option<Cli>, Failure> {
    if arguments.len() < 2 {
        arguments.resize(1, "socket-iocp".into());
        arguments.push("demo".into());
    }
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(Some(cli)),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A reader of the help that goes away early is no error.
        let _ = error.print();
        return Ok(None);
    }
    Err(Failure::cannot_start(explain(&error.render().to_string())))
}

/// One line out of the several that an argument error comes with: its first paragraph, and where to read more.
fn explain(message: &str) -> String {
    let first = message.split("\n\n").next().unwrap_or(message);
    format!("{} (try --help)", one_line(first.strip_prefix("error: ").unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse_text(line: &str) -> Result<Cli, Failure> {
        let arguments = std::iter::once("socket-iocp").chain(line.split_whitespace()).map(OsString::from).collect();
        parse(arguments).map(|cli| cli.expect("neither help nor version"))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_arguments_mean_the_demo() {
        assert!(matches!(parse_text("").expect("demo").command, Command::Demo(_)));
        assert!(matches!(parse(Vec::new()), Ok(Some(Cli { command: Command::Demo(_) }))));
    }

    #[test]
    fn good_command_lines_are_taken() {
        for line in [
            "demo --duration 0.5 --connections 10",
            "serve echo --listen 127.0.0.1:0",
            "serve echo --listen 127.0.0.1:0 --idle-reads --skip-on-success off",
            "serve discard -l [::1]:7 --workers 2 --backend readiness --read-buffer 1 --backlog 1",
            "serve echo --listen 127.0.0.1:0 --idle-timeout 60 --max-queued-bytes 65536",
            "serve chargen --listen unix:/tmp/s --max-connections 5 --linger 1",
            "serve echo --listen 127.0.0.1:7 --reuse-port --workers 1",
            "load localhost:7 --rate 1000 --duration 3 --json --warmup 1",
            "load unix:/tmp/s --messages 1000 --pipeline 16 --threads 2",
            "probe --json",
            "bench",
            #[cfg(not(windows))]
            "bench --hostile --rounds 6 --rate 1000 --share 5 --silent 100 --peers 10 --backend readiness --json",
            #[cfg(not(windows))]
            "bench --rounds 7 -d 0.2 --work echo:50:1 --work answer --backend readiness --json",
            #[cfg(not(windows))]
            "bench --server tokio --no-peers --together --system-calls --plots p --save f",
            #[cfg(not(windows))]
            "bench --from f --plots p",
            #[cfg(windows)]
            "bench --rounds 7 -c 50 -s 1 --json",
            "torture",
            "torture --seed 1 --operations 1000000 --threads 2 --json",
            "torture --seed 18446744073709551615 --programs 1",
            "torture --program found.json",
        ] {
            assert!(parse_text(line).is_ok(), "{line}: {:?}", parse_text(line).err());
        }
    }

    #[test]
    fn bad_command_lines_are_one_line_and_exit_code_2() {
        for (line, part) in [
            ("nonsense", "nonsense"),
            ("serve", "--listen"),
            ("serve echo --listen nowhere", "HOST:PORT"),
            ("serve gopher --listen 127.0.0.1:0", "gopher"),
            ("serve echo --listen 127.0.0.1:0 --workers 0", "--workers"),
            ("serve echo --listen 127.0.0.1:0 --backend sim", "backends are"),
            ("serve echo --listen 127.0.0.1:0 --skip-on-success", "--skip-on-success"),
            ("serve echo --listen 127.0.0.1:0 --skip-on-success yes", "on or off"),
            ("serve echo --listen 127.0.0.1:0 --idle-timeout 0", "--idle-timeout"),
            ("serve echo --listen 127.0.0.1:0 --max-queued-bytes 0", "--max-queued-bytes"),
            ("load", "<ADDR>"),
            ("load 127.0.0.1:7 --duration 1 --messages 5", "--messages"),
            ("load 127.0.0.1:7 --warmup 1 --messages 5", "--messages"),
            ("load 127.0.0.1:7 --size 0", "--size"),
            ("load 127.0.0.1:7 --rate 0", "--rate"),
            ("load 127.0.0.1:7 --connections -5", "-5"),
            ("demo --duration 0", "--duration"),
            ("probe extra", "extra"),
            ("bench --rounds 0", "--rounds"),
            #[cfg(windows)]
            ("bench --size 4097", "--size"),
            #[cfg(not(windows))]
            ("bench --hostile --size 4097", "--size"),
            #[cfg(not(windows))]
            ("bench --work echo:0:64", "--work"),
            #[cfg(not(windows))]
            ("bench --from f --work answer", "--work"),
            #[cfg(not(windows))]
            ("bench --silent 5", "--hostile"),
            #[cfg(not(windows))]
            ("bench-child", "<TASK>"),
            #[cfg(feature = "torture")]
            ("torture --seed -1", "-1"),
            #[cfg(feature = "torture")]
            ("torture --operations 0", "--operations"),
            #[cfg(feature = "torture")]
            ("torture --operations 5 --programs 5", "--programs"),
            #[cfg(feature = "torture")]
            ("torture --threads 0", "--threads"),
            #[cfg(feature = "torture")]
            ("torture --program found.json --seed 5", "--seed"),
        ] {
            let failure = parse_text(line).expect_err(line);
            let text = failure.to_string();
            assert_eq!((failure.code(), text.lines().count()), (2, 1), "{line}: {text}");
            assert!(text.contains(part) && text.ends_with("(try --help)"), "{line}: {text}");
        }
    }
}
