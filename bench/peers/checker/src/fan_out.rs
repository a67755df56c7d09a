//! `fan-out` and `fan-out-thread`.

use crate::client::{CROWD, Client, Outcome, Wrong, beside, pattern, same};
use crate::peer::Server;
use peer_common::MESSAGE_BYTES;
use std::ops::Range;
use std::thread;
use std::time::Duration;

/// Messages of one sender among many.
const MESSAGES: usize = 200;
/// Messages that fill every buffer on the way to a member that does not read them.
const FLOOD: usize = 80_000;
/// The sender of messages that only show who has become a member.
const PROBE: u64 = u64::MAX;

/// A message: its sender, its number, and bytes that follow from both.
fn message(sender: u64, number: u64) -> Vec<u8> {
    let mut message = [sender.to_le_bytes(), number.to_le_bytes()].concat();
    message.extend(pattern(sender ^ number << 8, MESSAGE_BYTES - message.len()));
    message
}

fn messages(sender: u64, count: usize) -> Vec<u8> {
    (0..count as u64).flat_map(|number| message(sender, number)).collect()
}

/// Receives a message and says whose and which it is. Every byte is looked at.
fn receive(member: &Client) -> Result<(u64, u64), Wrong> {
    let received = member.receive(MESSAGE_BYTES)?;
    let word = |at: usize| u64::from_le_bytes(received[at..at + 8].try_into().expect("eight bytes"));
    let (sender, number) = (word(0), word(8));
    same(&received, &message(sender, number)).map_err(|error| format!("message {number} of {sender}: {error}"))?;
    Ok((sender, number))
}

/// Lets a client become a member: a message that has come back to it, and to all before it, shows that it is one.
fn join(members: &mut Vec<Client>, client: Client) -> Outcome {
    let mark = members.len() as u64;
    client.send(&message(PROBE, mark))?;
    members.push(client);
    members.iter().try_for_each(|member| expect_message(member, PROBE, mark))
}

fn expect_message(member: &Client, sender: u64, number: u64) -> Outcome {
    match receive(member)? {
        received if received == (sender, number) => Ok(()),
        received => Err(format!("message {received:?} where {:?} is due", (sender, number)).into()),
    }
}

/// Has each of these members send its messages at once with the others, and sees that all get all, in one order.
fn exchange(members: &[Client]) -> Outcome {
    let orders = thread::scope(|scope| {
        let mut sending = Vec::new();
        let mut receiving = Vec::new();
        for (sender, member) in members.iter().enumerate() {
            sending.push(scope.spawn(move || member.send_in_pieces(&messages(sender as u64, MESSAGES), sender as u64)));
            let total = members.len() * MESSAGES;
            receiving.push(scope.spawn(move || (0..total).map(|_| receive(member)).collect::<Result<Vec<_>, _>>()));
        }
        let sent: Outcome = sending.into_iter().try_for_each(|sending| sending.join().expect("no panic"));
        let orders = receiving.into_iter().map(|receiving| receiving.join().expect("no panic"));
        let orders: Result<Vec<_>, _> = orders.collect();
        sent.and(orders)
    })?;
    for (member, order) in orders.iter().enumerate() {
        if let Some(at) = order.iter().zip(&orders[0]).position(|(one, other)| one != other) {
            return Err(format!("member {member} has another order than member 0, from message {at}").into());
        }
    }
    for sender in 0..members.len() as u64 {
        let own = orders[0].iter().filter(|(from, _)| *from == sender).map(|(_, number)| *number);
        if !own.eq(0..MESSAGES as u64) {
            return Err(format!("the messages of {sender} are not in their order").into());
        }
    }
    Ok(())
}

fn crowd_of_members(server: &Server) -> Result<Vec<Client>, Wrong> {
    let mut members = Vec::new();
    while members.len() < CROWD {
        join(&mut members, Client::connect(server.address())?)?;
    }
    Ok(members)
}

pub fn all_get_all_in_one_order(server: &Server) -> Outcome {
    exchange(&crowd_of_members(server)?)
}

/// Some go by FIN, which closes their connection, some by a reset, some with half a message sent.
pub fn leaving_harms_nobody_else(server: &Server) -> Outcome {
    let mut members = crowd_of_members(server)?;
    for leaving in 0..10 {
        let leaver = members.swap_remove(leaving);
        if leaving % 2 == 0 {
            leaver.send(&message(99, 0)[..MESSAGE_BYTES / 2])?;
        }
        if leaving % 3 == 0 {
            leaver.reset()?
        } else {
            drop(leaver)
        }
        let sender = &members[0];
        sender.send(&message(leaving as u64, 0))?;
        members.iter().try_for_each(|member| expect_message(member, leaving as u64, 0))?;
    }
    exchange(&members)
}

pub fn late_member_gets_all(server: &Server) -> Outcome {
    let mut members = Vec::new();
    join(&mut members, Client::connect(server.address())?)?;
    join(&mut members, Client::connect_narrow(server.address())?)?;
    flood(&members[0], &members[0], &members[1], 7)?;
    exchange(&members)
}

/// Sends more than the way to a late member takes. It begins to receive when half has reached the other, so that its socket
/// has room again while messages still come.
fn flood(from: &Client, prompt: &Client, late: &Client, sender: u64) -> Outcome {
    let receive =
        |member, numbers: Range<u64>| numbers.into_iter().try_for_each(|number| expect_message(member, sender, number));
    let half = FLOOD as u64 / 2;
    let all = FLOOD as u64;
    let receive_both = || {
        receive(prompt, 0..half)?;
        beside(|| receive(late, 0..all), || receive(prompt, half..all))
    };
    beside(|| from.send(&messages(sender, FLOOD)), receive_both)
}

/// A client becomes a member of `fan-out-thread` when something that is published reaches it. Then all receive a mark, before
/// which nothing but probes may come.
fn join_publisher(publisher: &Client, members: &mut Vec<Client>, client: Client) -> Outcome {
    let mark = members.len() as u64;
    loop {
        publisher.send(&message(PROBE, u64::MAX))?;
        if client.receives_within(Duration::from_millis(20))? {
            break;
        }
    }
    members.push(client);
    publisher.send(&message(PROBE, mark))?;
    for member in members {
        loop {
            match receive(member)? {
                (PROBE, u64::MAX) => {}
                (PROBE, number) if number == mark => break,
                other => return Err(format!("message {other:?} among the probes").into()),
            }
        }
    }
    Ok(())
}

pub fn thread_reaches_all(server: &Server) -> Outcome {
    let publisher = Client::connect(server.publisher_address())?;
    let mut members = Vec::new();
    while members.len() < CROWD {
        join_publisher(&publisher, &mut members, Client::connect(server.address())?)?;
    }
    let publish = |members: &[Client], sender| {
        beside(
            || publisher.send_in_pieces(&messages(sender, MESSAGES), sender),
            || {
                members.iter().try_for_each(|member| {
                    (0..MESSAGES as u64).try_for_each(|number| expect_message(member, sender, number))
                })
            },
        )
    };
    publish(&members, 1)?;
    members.swap_remove(3).reset()?;
    drop(members.swap_remove(5));
    publish(&members, 2)?;
    members.truncate(1);
    join_publisher(&publisher, &mut members, Client::connect_narrow(server.address())?)?;
    flood(&publisher, &members[0], &members[1], 3)?;
    publish(&members, 4)
}
