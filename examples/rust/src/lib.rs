//! What the examples share: arguments, an address to listen on, serving until a signal comes, an exit code.

#![forbid(unsafe_code)]

use socket_iocp::{Handler, Options, Port};
use socket2::SockRef;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::ExitCode;
use std::sync::mpsc;

/// Connections taken from the kernel ahead of their accept callback.
const BACKLOG: usize = 64;

/// A program's `main`: hands its `N` arguments to `body`. A wrong argument, and whatever keeps the server from starting,
/// gives one line and exit code 2.
pub fn run<const N: usize>(usage: &str, body: impl FnOnce([OsString; N]) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_option = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-");
    let given = if arguments.iter().any(is_option) { Err(arguments) } else { <[OsString; N]>::try_from(arguments) };
    let line = match given.map(body) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("usage: {usage}"),
    };
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(2)
}

/// Serves an address (`HOST:PORT`) until Ctrl-C, SIGTERM or SIGHUP. Prints `listening on ADDRESS`, with the real port,
/// when clients are welcome.
pub fn serve<H: Handler<Listener = ()>>(handler: H, options: Options, address: &OsStr) -> Result<(), Box<dyn Error>> {
    let cannot = |what: &dyn std::fmt::Display| format!("cannot listen on {}: {what}", address.display());
    let text = address.to_str().ok_or_else(|| cannot(&"not an address"))?;
    let listener = TcpListener::bind(text).map_err(|error| cannot(&error))?;
    // The accepted sockets inherit it. The examples send whole answers: nothing is gained by holding their ends back.
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    let address = listener.local_addr()?;
    let port = Port::new(handler, options)?;
    until_stopped(port, address, |port| {
        port.add_listener(listener, BACKLOG, ()).map_err(|refused| refused.error)?;
        Ok(())
    })
}

/// As [`serve`], by one datagram socket.
pub fn serve_datagrams<H: Handler<Socket = ()>>(
    handler: H,
    options: Options,
    address: &OsStr,
) -> Result<(), Box<dyn Error>> {
    let cannot = |what: &dyn std::fmt::Display| format!("cannot listen on {}: {what}", address.display());
    let text = address.to_str().ok_or_else(|| cannot(&"not an address"))?;
    let socket = UdpSocket::bind(text).map_err(|error| cannot(&error))?;
    let address = socket.local_addr()?;
    let port = Port::new(handler, options)?;
    until_stopped(port, address, |port| {
        let handle = port.add_datagram(socket, ()).map_err(|refused| refused.error)?;
        port.recv(handle)
    })
}

/// Begins, says where, and waits for a signal.
fn until_stopped<H: Handler>(
    port: Port<H>,
    address: SocketAddr,
    begin: impl FnOnce(&Port<H>) -> Result<(), socket_iocp::Error>,
) -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        // The receiver goes only when the program ends.
        let _ = stop.send(());
    })?;
    begin(&port)?;
    // A server without a standard output serves all the same.
    let _ = writeln!(io::stdout(), "listening on {address}");
    // The port has threads of its own: this one has nothing to do but wait.
    stopped.recv()?;
    port.delete();
    Ok(())
}
