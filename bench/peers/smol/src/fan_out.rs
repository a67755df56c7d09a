//! The works in which a message goes to every connection.

use crate::Executor;
use peer_common::{Backlog, Intake, MESSAGE_BYTES, read_messages};
use smol::Async;
use smol::channel;
use smol::io::AsyncReadExt;
use std::cell::RefCell;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;

/// Messages of the publishing thread that wait for their turn, at most.
const QUEUED_MESSAGES: usize = 1024;

pub struct Room {
    members: RefCell<Vec<Rc<Member>>>,
    executor: Executor,
}

impl Room {
    pub fn new(executor: &Executor) -> Rc<Room> {
        Rc::new(Room { members: RefCell::default(), executor: executor.clone() })
    }

    fn publish(&self, message: &[u8]) {
        for member in self.members.borrow().iter() {
            self.send(member, message);
        }
    }

    /// An error is left for the member's own task to find.
    fn send(&self, member: &Rc<Member>, message: &[u8]) {
        let mut backlog = member.backlog.borrow_mut();
        let waited = !backlog.is_empty();
        let outcome = backlog.send(message, |bytes| member.stream.get_ref().write(bytes));
        if outcome.is_ok() && !waited && !backlog.is_empty() {
            self.executor.spawn(flush(member.clone())).detach();
        }
    }
}

struct Member {
    stream: Async<TcpStream>,
    /// What its socket did not take; while there is something, a task is about to write it.
    backlog: RefCell<Backlog>,
}

async fn flush(member: Rc<Member>) -> io::Result<()> {
    while !member.backlog.borrow().is_empty() {
        member.stream.writable().await?;
        member.backlog.borrow_mut().flush(|bytes| member.stream.get_ref().write(bytes))?;
    }
    Ok(())
}

pub async fn member(stream: Async<TcpStream>, room: Rc<Room>, read_buffer: usize) -> io::Result<()> {
    let member = Rc::new(Member { stream, backlog: RefCell::default() });
    room.members.borrow_mut().push(member.clone());
    let mut intake = Intake::new(read_buffer, MESSAGE_BYTES);
    while let Ok(count @ 1..) = (&member.stream).read(intake.space()).await {
        intake.received(count);
        let messages = intake.whole();
        messages.chunks_exact(MESSAGE_BYTES).for_each(|message| room.publish(message));
        intake.done(messages.len());
    }
    room.members.borrow_mut().retain(|other| !Rc::ptr_eq(other, &member));
    Ok(())
}

/// Starts the thread that publishes. If it is too fast for the members, it waits.
pub fn publish_from_thread(publishers: TcpListener, room: &Rc<Room>) {
    let (sender, messages) = channel::bounded(QUEUED_MESSAGES);
    thread::spawn(move || {
        read_messages(&publishers, |message| {
            // It fails when the executor has gone, and the process with it.
            let _ = sender.send_blocking(message);
        })
    });
    let members = room.clone();
    let publish = async move {
        while let Ok(message) = messages.recv().await {
            members.publish(&message);
        }
    };
    room.executor.spawn(publish).detach();
}
