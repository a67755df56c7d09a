//! The works that send back what comes in: `echo`, `answer`, `answer-batched`.

use crate::client::{Client, Outcome, beside, crowd, pattern};
use crate::peer::Server;
use peer_common::REQUEST_BYTES;

/// Bytes that an ordinary client sends.
const CONVERSATION_BYTES: usize = 1000 * REQUEST_BYTES;
/// More than fits into the buffers between a client and its echo.
const FLOOD_BYTES: usize = 32 << 20;
/// Connections that are reset.
const RESETS: u64 = 50;

pub fn echoes_come_back(server: &Server) -> Outcome {
    crowd(|number| converse(server, number, 1))
}

pub fn requests_are_answered(server: &Server) -> Outcome {
    crowd(|number| converse(server, number, REQUEST_BYTES))
}

/// Sends and receives at once, then sends FIN, after part of a unit if a unit has more than a byte.
fn converse(server: &Server, number: u64, unit: usize) -> Outcome {
    let client = Client::connect(server.address())?;
    let bytes = pattern(number, CONVERSATION_BYTES + unit / 2);
    let send = || {
        client.send_in_pieces(&bytes, number)?;
        client.finish_sending()
    };
    beside(send, || {
        client.expect(&bytes[..CONVERSATION_BYTES])?;
        client.expect_end()
    })
}

pub fn late_reader_gets_its_echo(server: &Server) -> Outcome {
    read_late(server, 1)
}

pub fn late_reader_gets_its_answers(server: &Server) -> Outcome {
    read_late(server, REQUEST_BYTES)
}

/// Sends until the peer can no longer send back, then receives. Another client is served meanwhile.
fn read_late(server: &Server, unit: usize) -> Outcome {
    let client = Client::connect_narrow(server.address())?;
    let bytes = pattern(0, FLOOD_BYTES);
    let sent = client.send_until_stalled(&bytes)?;
    if sent == bytes.len() {
        return Err("the peer keeps more than it should of what its client does not read".into());
    }
    converse(server, 1, unit)?;
    // Whole units, and a few more than have gone.
    let due = (sent + CONVERSATION_BYTES).next_multiple_of(REQUEST_BYTES).min(bytes.len());
    let send = || {
        client.send(&bytes[sent..due])?;
        client.finish_sending()
    };
    beside(send, || {
        client.expect(&bytes[..due])?;
        client.expect_end()
    })
}

pub fn echo_survives_resets(server: &Server) -> Outcome {
    survive_resets(server)?;
    echoes_come_back(server)
}

pub fn answer_survives_resets(server: &Server) -> Outcome {
    survive_resets(server)?;
    requests_are_answered(server)
}

/// Resets connections with echoes under way, beside one that lives.
fn survive_resets(server: &Server) -> Outcome {
    let survivor = Client::connect(server.address())?;
    for number in 0..RESETS {
        let doomed = Client::connect(server.address())?;
        doomed.send(&pattern(number, 10 * REQUEST_BYTES))?;
        if number % 2 == 0 {
            doomed.receive(REQUEST_BYTES)?;
        }
        doomed.reset()?;
        let bytes = pattern(number, REQUEST_BYTES);
        survivor.send(&bytes)?;
        survivor.expect(&bytes)?;
    }
    Ok(())
}
