//! Checks every work of every peer: `check DIRECTORY` starts each program that it finds there, with an ordinary and with an
//! odd read buffer, and looks at every byte. A line a check; the first wrong byte ends it with code 1. What a peer is asked
//! stands in `bench/peers/README.md`.

mod arguments;
mod client;
mod fan_out;
mod peer;
mod streams;
mod talk;

use client::Outcome;
use peer::{Peer, Server};
use peer_common::Work;
use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The sizes of the read buffer: a usual one, and one that no request and no message fits into evenly.
const READ_BUFFERS: [usize; 2] = [4096, 197];

/// What is done to a server, and its name.
type Check = (&'static str, fn(&Server) -> Outcome);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory] = &arguments[..] else {
        eprintln!("usage: check DIRECTORY");
        return ExitCode::from(2);
    };
    match check_all(Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("WRONG: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check_all(directory: &Path) -> Result<(), Box<dyn Error>> {
    let programs = programs(directory)?;
    if programs.is_empty() {
        return Err(format!("no program in {}", directory.display()).into());
    }
    for program in programs {
        check_peer(&Peer::new(program))?;
    }
    Ok(())
}

/// The executable files of a directory, by name.
fn programs(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = fs::metadata(&path)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            programs.push(path);
        }
    }
    programs.sort();
    Ok(programs)
}

fn check_peer(peer: &Peer) -> Result<(), Box<dyn Error>> {
    report(peer.name(), "wrong arguments", arguments::wrong_ones_are_told(peer))?;
    let works = peer.works()?;
    for &work in &works {
        for read_buffer in READ_BUFFERS {
            check_work(peer, work, read_buffer)?;
        }
    }
    if works.contains(&Work::Echo) {
        report(peer.name(), "echo with two threads", two_threads(peer))?;
    }
    Ok(())
}

fn check_work(peer: &Peer, work: Work, read_buffer: usize) -> Result<(), Box<dyn Error>> {
    let what = format!("{} {} {read_buffer}", peer.name(), work.name());
    let server = peer.serve(work, read_buffer, 1)?;
    for (name, check) in checks(work) {
        report(&what, name, check(&server))?;
    }
    report(&what, "the end of standard input ends it", server.end())
}

fn report(what: &str, check: &str, outcome: Outcome) -> Result<(), Box<dyn Error>> {
    outcome.map_err(|error| format!("{what}: {check}: {error}"))?;
    println!("{what}: {check}: right");
    Ok(())
}

fn checks(work: Work) -> &'static [Check] {
    match work {
        Work::Echo => &[
            ("twenty connections, odd packets, FIN", talk::echoes_come_back),
            ("a client that reads late", talk::late_reader_gets_its_echo),
            ("resets harm nobody else", talk::echo_survives_resets),
        ],
        Work::Answer | Work::AnswerBatched => &[
            ("twenty connections, odd packets, FIN", talk::requests_are_answered),
            ("a client that reads late", talk::late_reader_gets_its_answers),
            ("resets harm nobody else", talk::answer_survives_resets),
        ],
        Work::FanOut => &[
            ("twenty members, one order", fan_out::all_get_all_in_one_order),
            ("members that leave", fan_out::leaving_harms_nobody_else),
            ("a member that reads late", fan_out::late_member_gets_all),
        ],
        Work::FanOutThread => &[("twenty members, some leave, one reads late", fan_out::thread_reaches_all)],
        Work::Sink => &[
            ("twenty connections are counted", streams::sink_counts),
            ("resets harm nobody else", streams::sink_survives_resets),
        ],
        Work::Source => &[("twenty connections, some that do not read", streams::source_sends_the_stream)],
        Work::Wake => &[("a thousand round trips", streams::wake_goes_round)],
    }
}

/// A peer that has only one thread has to say so.
fn two_threads(peer: &Peer) -> Outcome {
    match peer.serve(Work::Echo, READ_BUFFERS[0], 2) {
        Ok(server) => {
            talk::echoes_come_back(&server)?;
            server.end()
        }
        Err(_) => peer.ends_with(&["echo", "4096", "2"], 3),
    }
}
