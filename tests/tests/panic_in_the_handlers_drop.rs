//! A handler whose drop panics: the port's deletion ends all the same, and unwinds into nobody.

use socket_iocp::{Context, Error, Farewell, Handler, Port, PortHandle, ReadBuffer, Sent};
use socket_iocp_testkit::{Gate, Lab, on_every_backend};
use std::panic;
use std::sync::{Arc, Once};

on_every_backend!(deleted_by_its_owner, deleted_in_its_own_callback);

struct Bomb {
    dropped: Arc<Gate>,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.dropped.pass();
        panic!("a drop that panics, as the test wants");
    }
}

impl Handler for Bomb {
    type Listener = ();
    type Socket = Option<Port<Bomb>>;
    type Write = Option<Port<Bomb>>;

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<Option<Port<Bomb>>> {
        unreachable!("nobody listens")
    }

    fn recv(&self, _: &Context<'_, Self>, _: &mut Self::Socket, _: Result<ReadBuffer, Error>) {}

    fn send(&self, _: &Context<'_, Self>, _: &mut Self::Socket, sent: Sent<Self::Write>) {
        sent.write.expect("the port itself").delete();
    }

    fn error(&self, _: &Context<'_, Self>, _: Self::Socket, _: Farewell) {}
}

fn bomb() -> (Bomb, Arc<Gate>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().downcast_ref::<&str>().is_some_and(|text| text.ends_with("as the test wants")) {
                print(info);
            }
        }));
    });
    let dropped = Arc::new(Gate::new());
    (Bomb { dropped: dropped.clone() }, dropped)
}

fn deleted_by_its_owner(lab: &Lab) {
    let (bomb, dropped) = bomb();
    let port = Port::new(bomb, lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    port.add_connected(socket, None).expect("a connected socket");
    port.delete();
    dropped.wait_for("the handler's drop", 1);
}

fn deleted_in_its_own_callback(lab: &Lab) {
    let (bomb, dropped) = bomb();
    let port = Port::new(bomb, lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, None).expect("a connected socket");
    let handle = PortHandle::clone(&port);
    handle.send(socket, b"x", Some(port)).expect("a live socket");
    drop(handle);
    client.read_exact(1).expect("the byte");
    // The last worker finishes the job.
    while client.read(&mut [0]).is_ok_and(|count| count != 0) {}
    dropped.wait_for("the handler's drop", 1);
}
