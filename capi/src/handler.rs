//! The engine's one instantiation for C: callbacks through function pointers, states as pointers.

use crate::abi::{
    AcceptCallback, ConnectCallback, DatagramCallback, Dword, ErrorCallback, ListenErrorCallback, Operation,
    RecvCallback, SendCallback, Socket, TimerCallback, WatermarkCallback,
};
use crate::addresses::Addresses;
use crate::current::{self, Report};
use crate::platform;
use engine::{Context, Datagram, Error, Farewell, Handler, PortHandle, ReadBuffer, Sent, Watermark};
use socket2::SockAddr;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::AtomicUsize;

/// A pointer that the library only keeps and gives back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserPointer(pub(crate) *mut c_void);

// SAFETY: the library never follows it. What stands behind it is the caller's, whom the header tells which callbacks
// run on which threads.
unsafe impl Send for UserPointer {}
// SAFETY: as above.
unsafe impl Sync for UserPointer {}

/// What C keeps with a listen socket.
#[derive(Debug)]
pub(crate) struct ListenState {
    pub(crate) socket: Socket,
    pub(crate) user: UserPointer,
}

#[derive(Clone, Copy)]
pub(crate) struct Callbacks {
    pub(crate) accept: AcceptCallback,
    pub(crate) recv: RecvCallback,
    pub(crate) send: SendCallback,
    pub(crate) error: ErrorCallback,
    pub(crate) listen_error: Option<ListenErrorCallback>,
    pub(crate) watermark: Option<WatermarkCallback>,
    pub(crate) timer: Option<TimerCallback>,
    pub(crate) connect: Option<ConnectCallback>,
    pub(crate) datagram: Option<DatagramCallback>,
}

pub(crate) struct CHandler {
    /// The port's handle.
    pub(crate) port: usize,
    pub(crate) callbacks: Callbacks,
    pub(crate) taken_buffers: AtomicUsize,
    pub(crate) max_taken_buffers: usize,
}

// In each callback below the function pointer is called as the header says, with pointers that are valid as long as the
// header says; that the function itself is sound is the caller's part of `socket_iocp_new`.
impl Handler for CHandler {
    type Listener = ListenState;
    type Socket = UserPointer;
    type Write = UserPointer;

    fn accept(&self, context: &Context<'_, Self>, listener: &ListenState) -> Option<UserPointer> {
        let socket = context.raw_socket();
        let report = Report { operation: Operation::Accept, result: Ok(()), byte_count: 0, socket };
        let mut addresses = Addresses::of(context, true);
        let mut user = ptr::null_mut();
        current::run(context.port(), Some(context), report, || {
            let (local, remote) = addresses.as_mut_ptrs();
            // SAFETY: see above the impl.
            unsafe { (self.callbacks.accept)(socket, local, remote, listener.user.0, &raw mut user) }
        });
        Some(UserPointer(user))
    }

    fn connected(&self, context: &Context<'_, Self>, user: &mut UserPointer) {
        let Some(callback) = self.callbacks.connect else { return };
        let socket = context.raw_socket();
        let report = Report { operation: Operation::Connect, result: Ok(()), byte_count: 0, socket };
        let mut addresses = Addresses::of(context, true);
        current::run(context.port(), Some(context), report, || {
            let (local, remote) = addresses.as_mut_ptrs();
            // SAFETY: see above the impl.
            unsafe { callback(socket, local, remote, user.0) }
        });
    }

    fn recv(&self, context: &Context<'_, Self>, user: &mut UserPointer, received: Result<ReadBuffer, Error>) {
        let socket = context.raw_socket();
        let (report, data, byte_count) = take_in(context, received);
        current::run(context.port(), Some(context), report, || {
            // SAFETY: see above the impl.
            unsafe { (self.callbacks.recv)(socket, data, byte_count, user.0) }
        });
    }

    fn datagram(&self, context: &Context<'_, Self>, user: &mut UserPointer, received: Result<Datagram, Error>) {
        // Without one no datagram socket was added.
        let Some(callback) = self.callbacks.datagram else { return };
        let socket = context.raw_socket();
        let truncated = c_int::from(received.as_ref().is_ok_and(|datagram| datagram.truncated));
        let mut sender = received.as_ref().ok().map(|datagram| SockAddr::from(datagram.sender).as_storage());
        let (report, data, byte_count) = take_in(context, received.map(|datagram| datagram.buffer));
        current::run(context.port(), Some(context), report, || {
            let sender = sender.as_mut().map_or(ptr::null_mut(), |sender| ptr::from_mut(sender).cast());
            // SAFETY: see above the impl.
            unsafe { callback(socket, data, byte_count, sender, truncated, user.0) }
        });
    }

    fn send(&self, context: &Context<'_, Self>, user: &mut UserPointer, sent: Sent<UserPointer>) {
        let socket = context.raw_socket();
        let byte_count = sent.bytes as u64;
        let report = Report { operation: Operation::Send, result: sent.result, byte_count, socket };
        current::run(context.port(), Some(context), report, || {
            // SAFETY: see above the impl.
            unsafe { (self.callbacks.send)(socket, user.0, sent.write.0) }
        });
    }

    fn error(&self, context: &Context<'_, Self>, user: UserPointer, farewell: Farewell) {
        // A socket handed back is the caller's from here on.
        if let Some(handed_back) = farewell.socket {
            platform::disown(handed_back);
        }
        let socket = context.raw_socket();
        let report = Report { operation: Operation::Farewell, result: farewell.reason, byte_count: 0, socket };
        current::run(context.port(), Some(context), report, || {
            // SAFETY: see above the impl.
            unsafe { (self.callbacks.error)(socket, user.0) }
        });
    }

    fn timer(&self, context: &Context<'_, Self>, user: &mut UserPointer, result: Result<(), Error>) {
        // Without one no timer was issued.
        let Some(callback) = self.callbacks.timer else { return };
        let socket = context.raw_socket();
        let report = Report { operation: Operation::Timer, result, byte_count: 0, socket };
        let state = ptr::with_exposed_provenance_mut(context.timer_state());
        current::run(context.port(), Some(context), report, || {
            // SAFETY: see above the impl.
            unsafe { callback(socket, user.0, state) }
        });
    }

    fn listen_error(&self, port: &PortHandle<Self>, listener: &ListenState, reason: Result<(), Error>) {
        let Some(callback) = self.callbacks.listen_error else { return };
        let socket = listener.socket;
        let report = Report { operation: Operation::ListenFarewell, result: reason, byte_count: 0, socket };
        current::run(port, None, report, || {
            // SAFETY: see above the impl.
            unsafe { callback(socket, listener.user.0) }
        });
    }

    fn watermark(&self, context: &Context<'_, Self>, user: &mut UserPointer, mark: Watermark) {
        let Some(callback) = self.callbacks.watermark else { return };
        let socket = context.raw_socket();
        let report = Report { operation: Operation::Watermark, result: Ok(()), byte_count: 0, socket };
        current::run(context.port(), Some(context), report, || {
            // SAFETY: see above the impl.
            unsafe { callback(socket, user.0, c_int::from(mark == Watermark::High)) }
        });
    }
}

/// What a recv's callback reports, and the bytes that it has brought, left with their socket.
fn take_in(context: &Context<'_, CHandler>, received: Result<ReadBuffer, Error>) -> (Report, *mut c_void, Dword) {
    let byte_count = received.as_ref().map_or(0, |buffer| buffer.len());
    let result = received.as_ref().map(|_| ()).map_err(|error| *error);
    let socket = context.raw_socket();
    let report = Report { operation: Operation::Recv, result, byte_count: byte_count as u64, socket };
    let data = match received {
        Ok(buffer) if byte_count > 0 => lend(context, buffer),
        _ => ptr::null_mut(),
    };
    (report, data, byte_count as Dword)
}

/// Leaves the buffer with its socket for C to use, and tells where its bytes are.
fn lend(context: &Context<'_, CHandler>, buffer: ReadBuffer) -> *mut c_void {
    let data = buffer.into_raw();
    // SAFETY: the pointer comes from `into_raw` just now.
    context.lend(unsafe { ReadBuffer::from_raw(data) });
    data.cast()
}
