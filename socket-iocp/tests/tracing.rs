//! The events that subscribers of `tracing` are told: their names, levels and fields, as the crate's documentation has them.

use socket_iocp::{Context, Error, Farewell, Handler, Options, Port, ReadBuffer, Sent};
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes the library's events down, each as one line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line {
    name: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.name = format!("{value:?}"),
            // These differ from run to run.
            "port" | "socket" | "handle" | "worker" => self.fields += &format!(" {}", field.name()),
            name => self.fields += &format!(" {name}={value:?}"),
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "socket_iocp"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { name: String::new(), fields: String::new() };
        event.record(&mut line);
        let level = *event.metadata().level();
        assert!(level == Level::TRACE || !line.name.contains("issued") && !line.name.contains("completed"));
        let line = format!("{level} {}:{}", line.name, line.fields);
        self.0.lock().expect("no panic under this lock").push(line);
    }
}

struct Echo;

impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Echo>, (): &()) -> Option<()> {
        context.recv().ok()
    }

    fn recv(&self, context: &Context<'_, Echo>, (): &mut (), received: Result<ReadBuffer, Error>) {
        let _ = match received {
            Ok(bytes) if !bytes.is_empty() => context.send(bytes, ()).map_err(|refused| refused.error),
            _ => context.close(),
        };
    }

    fn send(&self, context: &Context<'_, Echo>, (): &mut (), _: Sent<()>) {
        let _ = context.recv();
    }

    fn error(&self, _: &Context<'_, Echo>, (): (), _: Farewell) {}
}

#[test]
fn a_port_tells_what_it_does() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("the first one");
    let port = Port::new(Echo, Options::new(4096).threads(1)).expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    port.add_listener(listener, 1, ()).expect("a listener");
    let mut client = TcpStream::connect(address).expect("a listener");
    client.write_all(b"hello").expect("a live connection");
    client.read_exact(&mut [0; 5]).expect("the echo");
    let backend = port.backend().name();
    // It is closed as idle, when its recv is outstanding.
    port.begin_shutdown(Duration::from_secs(3600)).expect("a live port");
    assert_eq!(client.read_to_end(&mut Vec::new()).expect("a clean end"), 0);
    drop(client);
    let ended = port.shutdown(Duration::from_secs(3600));
    assert_eq!(ended.finished, 1);

    let mut lines = log.0.lock().expect("no panic under this lock").clone();
    lines.retain(|line| !line.starts_with("INFO backend passed over: port reason="));
    // When the listener ends beside the connection is nobody's promise.
    let at = lines.iter().position(|line| line.starts_with("DEBUG listener ended")).expect("its end");
    assert_eq!(lines.remove(at), "DEBUG listener ended: port socket reason=\"cancelled\"");
    let at = lines.iter().position(|line| line.starts_with("INFO port shuts down")).expect("it");
    assert_eq!(lines.remove(at), "INFO port shuts down: port within_ms=3600000");
    lines.retain(|line| !line.starts_with("INFO port shuts down"));
    let first = format!("INFO port made: port backend=\"{backend}\" workers=1");
    assert_eq!(lines[..2], [first.as_str(), "DEBUG listener added: port socket"]);
    let mut rest = lines[2..].iter();
    for expected in [
        "DEBUG socket added: port socket handle",
        "TRACE recv issued: port handle",
        "TRACE recv completed: port handle bytes=5 ok=true",
        "TRACE send issued: port handle bytes=5",
        "TRACE send completed: port handle bytes=5 ok=true",
        "DEBUG socket ended: port socket handle reason=\"closed or removed\"",
        "INFO port deleted: port",
    ] {
        assert!(rest.any(|line| line == expected), "{expected}: {lines:#?}");
    }
    assert_eq!(rest.next(), None, "the last: {lines:#?}");
}
