//! `fan-out`: a task that reads and one that writes for each member, and a queue between them.

use crate::{accept, streams::read_more};
use compio::io::AsyncWriteExt;
use compio::net::{TcpListener, TcpStream};
use compio::runtime::spawn;
use local_sync::mpsc::unbounded;
use peer_common::{MESSAGE_BYTES, whole_records};
use slab::Slab;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::thread;

/// A message that all members' sends share.
type Message = Rc<[u8; MESSAGE_BYTES]>;
/// The queues of those that are there.
type Members = Rc<RefCell<Slab<unbounded::Tx<Message>>>>;

/// Serves members. With a listener for a publisher its messages go to all of them, and what they send is thrown away.
pub async fn serve(listener: &TcpListener, publisher: Option<std::net::TcpListener>, read_buffer: usize) -> ! {
    let members = Members::default();
    let subscribers = members.clone();
    match publisher {
        Some(publisher) => {
            spawn(publish_for(publisher, subscribers)).detach();
            accept_members(listener, &members, read_buffer, |_| {}).await
        }
        None => {
            let heard = move |message: &[u8]| publish(&subscribers, message);
            accept_members(listener, &members, read_buffer, heard).await
        }
    }
}

/// Publishes what a thread that serves no connections reads.
async fn publish_for(publisher: std::net::TcpListener, members: Members) {
    let (sender, messages) = flume::unbounded::<[u8; MESSAGE_BYTES]>();
    thread::spawn(move || {
        peer_common::read_messages(&publisher, |message| {
            let _ = sender.send(message);
        })
    });
    while let Ok(message) = messages.recv_async().await {
        publish(&members, &message);
    }
}

async fn accept_members(
    listener: &TcpListener,
    members: &Members,
    read_buffer: usize,
    heard: impl Fn(&[u8]) + Clone + 'static,
) -> ! {
    loop {
        let (reader, mut writer) = accept(listener).await.into_split();
        let (sender, mut messages) = unbounded::channel::<Message>();
        let member = members.borrow_mut().insert(sender);
        spawn(async move {
            while let Some(message) = messages.recv().await {
                if writer.write_all(message).await.0.is_err() {
                    return;
                }
            }
        })
        .detach();
        let (members, heard) = (members.clone(), heard.clone());
        spawn(async move {
            // However it ended, the member has gone.
            let _ = hear(reader, read_buffer, heard).await;
            members.borrow_mut().remove(member);
        })
        .detach();
    }
}

/// Reads messages until the member goes.
async fn hear(mut reader: TcpStream, read_buffer: usize, heard: impl Fn(&[u8])) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer.max(MESSAGE_BYTES));
    while let Some(mut filled) = read_more(&mut reader, buffer).await? {
        filled.chunks_exact(MESSAGE_BYTES).for_each(&heard);
        filled.drain(..whole_records(filled.len(), MESSAGE_BYTES));
        buffer = filled;
    }
    Ok(())
}

fn publish(members: &Members, message: &[u8]) {
    let message: Message = Rc::new(message.try_into().expect("a whole message"));
    for (_, member) in members.borrow().iter() {
        // One whose writer has failed is about to be left out by its reader.
        let _ = member.send(message.clone());
    }
}
