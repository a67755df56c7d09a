//! Every way to end a socket or the port, called from inside every callback: a table. ("Threads" 2 and 5; "Ending".)

use socket_iocp::{Context, ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

on_every_backend!(in_accept, in_recv, in_send, in_error, in_listen_error);

/// The callback that acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Accept,
    Recv,
    Send,
    Error,
    ListenError,
}

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Close,
    Abort,
    Remove,
    ShutdownSend,
    Delete,
}

const ACTIONS: [Action; 5] = [Action::Close, Action::Abort, Action::Remove, Action::ShutdownSend, Action::Delete];

/// What the test hears of.
enum News {
    Event(Event),
    /// The action has returned.
    Acted(Result<(), ErrorCode>),
    /// The handler has been dropped.
    Freed,
}

/// Tells that the handler that holds it has been freed.
struct Tell(mpsc::Sender<News>);

impl Drop for Tell {
    fn drop(&mut self) {
        // The test may have gone, having failed.
        let _ = self.0.send(News::Freed);
    }
}

/// Where the port is, for whoever deletes it.
type Stash = Arc<Mutex<Option<Port<Probe>>>>;

fn lock(stash: &Stash) -> MutexGuard<'_, Option<Port<Probe>>> {
    stash.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn is(self, event: &Event) -> bool {
        match (self, event) {
            (Place::Accept, Event::Accepted { .. })
            | (Place::Send, Event::Sent { .. })
            | (Place::Error, Event::Farewell { .. })
            | (Place::ListenError, Event::ListenerFarewell { .. }) => true,
            (Place::Recv, Event::Received { result: Ok(bytes), .. }) => !bytes.is_empty(),
            _ => false,
        }
    }
}

impl Action {
    fn run(self, stash: &Stash, port: Option<&PortHandle<Probe>>, socket: SocketHandle) -> Result<(), ErrorCode> {
        if self == Action::Delete {
            // Taken out of the lock first: the deletion's callbacks must not meet it.
            let port = lock(stash).take();
            port.expect("deleted once").delete();
            return Ok(());
        }
        let kept = lock(stash).as_ref().map(|port| (**port).clone());
        let port = port.or(kept.as_ref()).expect("a port");
        let done = match self {
            Action::Close => port.close(socket),
            Action::Abort => port.abort(socket),
            Action::Remove => port.remove(socket),
            Action::ShutdownSend | Action::Delete => port.shutdown_send(socket),
        };
        done.map_err(|error| error.code())
    }

    /// Plays the client's part until the connection is as the action leaves it.
    fn watch(self, mut client: Client) {
        match self {
            Action::Close | Action::ShutdownSend => {
                client.read_to_end().unwrap_or_else(|error| panic!("{self:?}: {error}, where a FIN should come"));
            }
            Action::Abort | Action::Delete => {
                client.read_to_reset().unwrap_or_else(|error| panic!("{self:?}: {error}"));
            }
            // However its new owner closes it.
            Action::Remove => while client.read(&mut [0; 64]).is_ok_and(|count| count != 0) {},
        }
    }

    /// The farewell's reason; after a half-close, that of the deletion at the test's end.
    fn reason(self) -> Result<(), ErrorCode> {
        match self {
            Action::Close | Action::Remove => Ok(()),
            Action::Abort | Action::Delete | Action::ShutdownSend => Err(ErrorCode::Cancelled),
        }
    }
}

/// Serves: a recv for each connection, an answer to what comes, and an abort after the answer if the farewell is to
/// act.
fn serve(place: Place, context: Option<&Context<'_, Probe>>, event: &Event) {
    let Some(context) = context else { return };
    match event {
        Event::Accepted { .. } => context.recv().expect("a new socket"),
        Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
            let sent = context.send(&b"an answer"[..], 0).map_err(|rejected| rejected.error.code());
            // The action of an earlier callback, or of a listener's farewell meanwhile, may have been first.
            assert!(matches!(sent, Ok(()) | Err(ErrorCode::Closed | ErrorCode::Shutdown)), "{sent:?}");
        }
        Event::Sent { .. } if place == Place::Error => context.abort().expect("an open socket"),
        _ => {}
    }
}

fn run(lab: &Lab, place: Place, action: Action) {
    let (sender, news) = mpsc::channel();
    let tell = Tell(sender);
    let stash: Stash = Arc::default();
    let inner = stash.clone();
    let acted = AtomicBool::new(false);
    let socket = Mutex::new(None);
    let probe = Probe::reacting(move |probe, context, event| {
        tell.0.send(News::Event(event.clone())).expect("the test listens");
        drop(probe.take_returned());
        serve(place, context, event);
        let mut socket = socket.lock().expect("no panic");
        *socket = event.handle().or(*socket);
        if place.is(event) && !acted.swap(true, Ordering::SeqCst) {
            let port = context.map(Context::port);
            let result = action.run(&inner, port, socket.expect("there was a connection"));
            tell.0.send(News::Acted(result)).expect("the test listens");
        }
        Some(0)
    });
    // The lock is held so that no callback looks for the port before it is there.
    let (listener, address) = {
        let mut stash = lock(&stash);
        let port = stash.insert(Port::new(probe, lab.options()).expect("a port"));
        let (listener, address) = lab.listen();
        (port.add_listener(listener, 4, 0).expect("a listener"), address)
    };
    let mut client = lab.connect(address);
    // A reset may already have come, and then it is this call that has seen it.
    let reset_seen = client.write_all(b"hello").is_err();
    if place == Place::ListenError {
        wait_until(&news, |event| matches!(event, Event::Accepted { .. }));
        drop(lock(&stash).as_ref().expect("a port").remove_listener(listener).expect("a listener"));
    }
    let log = conclude(place, action, &stash, (client, reset_seen), &news);
    check_farewell(place, action, &log);
}

/// The next news. A callback that waits for ever fails the test here.
fn next(news: &mpsc::Receiver<News>) -> News {
    news.recv_timeout(Duration::from_secs(30)).expect("news from the port")
}

fn wait_until(news: &mpsc::Receiver<News>, is_it: impl Fn(&Event) -> bool) {
    while !matches!(next(news), News::Event(event) if is_it(&event)) {}
}

/// Waits for the action, plays the client, deletes the port if the action did not, and answers the events up to its
/// end.
fn conclude(
    place: Place,
    action: Action,
    stash: &Stash,
    (client, reset_seen): (Client, bool),
    news: &mpsc::Receiver<News>,
) -> Vec<Event> {
    let mut log = Vec::new();
    let result = loop {
        match next(news) {
            News::Event(event) => log.push(event),
            News::Acted(result) => break result,
            News::Freed => panic!("{place:?}, {action:?}: freed before the callback has returned"),
        }
    };
    let dead = place == Place::Error && action != Action::Delete;
    assert_eq!(result, if dead { Err(ErrorCode::Closed) } else { Ok(()) }, "{place:?}, {action:?}");
    let is_gone = |log: &[Event]| log.iter().any(|event| matches!(event, Event::Farewell { .. }));
    if place == Place::Error {
        drop(client);
    } else {
        if !reset_seen {
            action.watch(client);
        }
        while matches!(action, Action::Close | Action::Abort | Action::Remove) && !is_gone(&log) {
            if let News::Event(event) = next(news) {
                log.push(event);
            }
        }
    }
    let port = lock(stash).take();
    assert_eq!(port.is_none(), action == Action::Delete);
    drop(port);
    loop {
        match next(news) {
            News::Event(event) => log.push(event),
            News::Acted(_) => panic!("{place:?}, {action:?}: acted twice"),
            News::Freed => return log,
        }
    }
}

fn check_farewell(place: Place, action: Action, log: &[Event]) {
    let of_socket: Vec<_> = log.iter().filter(|event| event.handle().is_some()).collect();
    let is_farewell = |event: &&&Event| matches!(event, Event::Farewell { .. });
    assert_eq!(of_socket.iter().filter(is_farewell).count(), 1, "{place:?}, {action:?}: {of_socket:?}");
    let Some(Event::Farewell { reason, handed_back, .. }) = of_socket.last() else {
        panic!("{place:?}, {action:?}: {of_socket:?}");
    };
    let expected = if place == Place::Error { Err(ErrorCode::Cancelled) } else { action.reason() };
    assert_eq!(reason.map_err(|error| error.code()), expected, "{place:?}, {action:?}");
    assert_eq!(*handed_back, action == Action::Remove && place != Place::Error, "{place:?}, {action:?}");
    let listener_farewells = log.iter().filter(|event| matches!(event, Event::ListenerFarewell { .. })).count();
    assert_eq!(listener_farewells, 1, "{place:?}, {action:?}");
}

fn in_accept(lab: &Lab) {
    ACTIONS.into_iter().for_each(|action| run(lab, Place::Accept, action));
}

fn in_recv(lab: &Lab) {
    ACTIONS.into_iter().for_each(|action| run(lab, Place::Recv, action));
}

fn in_send(lab: &Lab) {
    ACTIONS.into_iter().for_each(|action| run(lab, Place::Send, action));
}

fn in_error(lab: &Lab) {
    ACTIONS.into_iter().for_each(|action| run(lab, Place::Error, action));
}

fn in_listen_error(lab: &Lab) {
    ACTIONS.into_iter().for_each(|action| run(lab, Place::ListenError, action));
}
