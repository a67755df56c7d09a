//! The works of one direction, and `wake`.

use crate::client::{Client, Outcome, crowd, pattern};
use crate::peer::Server;
use peer_common::{SOURCE_PERIOD, WAKE_BYTES};
use std::time::Duration;

/// Bytes that a client of `source` looks at.
const STREAM_BYTES: usize = 3 << 20;
const ROUND_TRIPS: usize = 1000;

pub fn sink_counts(server: &Server) -> Outcome {
    crowd(|number| {
        let client = Client::connect(server.address())?;
        let count = [0, 1, 197, 4096, 100_003, 5_000_000][number as usize % 6];
        let bytes = vec![number as u8; count];
        if count < 1_000_000 {
            client.send_in_pieces(&bytes, number)?
        } else {
            client.send(&bytes)?
        }
        client.finish_sending()?;
        client.expect(&(count as u64).to_le_bytes())?;
        client.expect_end()
    })
}

pub fn sink_survives_resets(server: &Server) -> Outcome {
    for number in 0..50 {
        let doomed = Client::connect(server.address())?;
        doomed.send(&pattern(number, 10_000))?;
        doomed.reset()?;
    }
    sink_counts(server)
}

pub fn source_sends_the_stream(server: &Server) -> Outcome {
    let stream: Vec<u8> = (0..STREAM_BYTES).map(|at| (at % SOURCE_PERIOD) as u8).collect();
    let idle = Client::connect_narrow(server.address())?;
    crowd(|number| {
        let client = Client::connect(server.address())?;
        let mut at = 0;
        for count in (1..).step_by(1 + number as usize) {
            let end = (at + count).min(stream.len());
            client.expect(&stream[at..end]).map_err(|error| format!("from byte {at}: {error}"))?;
            at = end;
            if at == stream.len() {
                break;
            }
        }
        if number.is_multiple_of(2) { client.reset() } else { Ok(()) }
    })?;
    idle.expect(&stream)
}

/// The answer is cut in two, and no message may come before the one before has its whole answer.
pub fn wake_goes_round(server: &Server) -> Outcome {
    let client = Client::connect(server.address())?;
    for trip in 0..ROUND_TRIPS {
        let message = client.receive(WAKE_BYTES)?;
        let (head, tail) = message.split_at(trip % WAKE_BYTES);
        client.send(head)?;
        if trip.is_multiple_of(100) && client.receives_within(Duration::from_millis(20))? {
            return Err("a message came before the answer to the one before".into());
        }
        client.send(tail)?;
    }
    Ok(())
}
