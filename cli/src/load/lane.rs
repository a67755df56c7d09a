//! One load thread and the driven port that it runs.
//!
//! A lane drives a port of its own (`threads(0)` and [`PortHandle::run`]) rather than pacing, from a thread beside the
//! port, sends that the port's workers carry out. Pacing from outside wakes a worker for each due message, and that
//! wake-up, a system call and a change of threads, would be in every latency measured. Here the thread that notices
//! that a message is due also sends it and reads the clock when its answer comes, and it sleeps in one system call
//! until the next completion or the next due time, whichever is first: between messages it costs no CPU time (on
//! Windows, a little: `wait/windows.rs`).
//!
//! The schedule is kept whatever the server does. A message that cannot go out on time, since its connection has all it
//! may have on the way, goes out later and is measured from the time when it was due.

use super::connection::{Connection, Work};
use super::schedule::{Cursor, Share, quota};
use super::tally::Tally;
use super::wait::Wait;
use crate::failure::Failure;
use crate::system;
use socket_iocp::{
    BackendKind, Context, Error, ErrorCode, Farewell, Handler, Options, Port, PortHandle, ReadBuffer, Sent,
    SocketHandle,
};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a Ctrl-C may go unnoticed.
const STOP_CHECK_NS: u64 = 100_000_000;
/// How long the connections may take to close when all is over.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A load thread's port with its connections, ready to start.
pub struct Lane {
    port: Port<Load>,
}

/// The callbacks. A lane's thread is the only one that runs them, so its lock is never contended: it is there because a
/// handler must be `Sync`.
#[derive(Debug)]
struct Load {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    work: Arc<Work>,
    lines: Vec<Line>,
    cursor: Option<Cursor>,
    /// Lines that have something left to do.
    unfinished: usize,
    /// Lines that have not had their farewell.
    open: usize,
    start: Instant,
    /// When something was last sent or answered: what the patience with a silent server is counted from.
    active_ns: u64,
    stopped_ns: Option<u64>,
    closing: bool,
    tally: Tally,
    /// Right answers so far, for the progress display.
    progress: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Line {
    handle: SocketHandle,
    connection: Connection,
    finished: bool,
}

impl Lane {
    /// Makes the lane's port and gives it its connections, in the order of their numbers.
    pub fn new(
        work: &Arc<Work>,
        share: Share,
        sockets: Vec<socket2::Socket>,
        options: Options,
    ) -> Result<Lane, Failure> {
        let state = State::new(work.clone(), share, sockets.len());
        let port = Port::new(Load { state: Mutex::new(state) }, options.threads(0))
            .map_err(|error| Failure::cannot_start(format!("cannot make a port: {error}")))?;
        for (local, socket) in sockets.into_iter().enumerate() {
            let handle = port
                .add_connected(socket, local)
                .map_err(|refused| Failure::cannot_start(format!("cannot add a connection: {}", refused.error)))?;
            port.handler().lock().add_line(share.connection(local as u64), handle);
        }
        Ok(Lane { port })
    }

    pub fn backend(&self) -> BackendKind {
        self.port.backend()
    }

    pub fn backend_reason(&self) -> &str {
        self.port.backend_reason()
    }

    /// The count of right answers, to be read while the lane runs.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.port.handler().lock().progress.clone()
    }

    /// Runs the load to its end on the calling thread.
    pub fn run(self, start: Instant, stop: &AtomicBool) -> Result<Tally, Failure> {
        let port = &self.port;
        let on_schedule = port.handler().lock().work.rate.is_some();
        let wait = Wait::new(port, on_schedule);
        port.handler().lock().begin(port, start);
        loop {
            let limit = port.handler().lock().turn(port, stop.load(Ordering::Relaxed));
            let Some(limit) = limit else { break };
            wait.run(port, limit).map_err(port_failed)?;
        }
        self.close()
    }

    /// Closes every connection gracefully and hands the counts over.
    fn close(self) -> Result<Tally, Failure> {
        let port = &self.port;
        port.handler().lock().close(port);
        let end = Instant::now() + CLOSE_LIMIT;
        while port.handler().lock().open > 0 {
            let Some(rest) = end.checked_duration_since(Instant::now()) else { break };
            port.run(Some(rest)).map_err(port_failed)?;
        }
        let mut tally = std::mem::replace(&mut port.handler().lock().tally, Tally::new());
        tally.cpu_time = system::thread_cpu_time();
        Ok(tally)
    }
}

fn port_failed(error: Error) -> Failure {
    Failure::failed(format!("the load's own port failed: {error}"))
}

impl Load {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(work: Arc<Work>, share: Share, lines: usize) -> State {
        State {
            cursor: work.rate.map(|_| Cursor::new(share)),
            work,
            lines: Vec::with_capacity(lines),
            unfinished: 0,
            open: 0,
            start: Instant::now(),
            active_ns: 0,
            stopped_ns: None,
            closing: false,
            tally: Tally::new(),
            progress: Arc::default(),
        }
    }

    fn add_line(&mut self, number: u64, handle: SocketHandle) {
        let quota = self.work.messages.map_or(u64::MAX, |messages| quota(messages, self.work.connections, number));
        let connection = Connection::new(number, quota);
        let finished = connection.is_finished();
        self.unfinished += usize::from(!finished);
        self.open += 1;
        self.lines.push(Line { handle, connection, finished });
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn begin(&mut self, port: &PortHandle<Load>, start: Instant) {
        self.start = start;
        for local in 0..self.lines.len() {
            // A connection that has failed already says so in its farewell.
            let _ = port.recv(self.lines[local].handle);
            self.pump(port, local);
        }
    }

    /// Sends what is due, ends the sending when its time has come, and tells how long there is nothing more to do;
    /// `None` when all is over.
    fn turn(&mut self, port: &PortHandle<Load>, stop: bool) -> Option<Duration> {
        let now_ns = self.now_ns();
        let end_ns = self.work.end_ns.unwrap_or(u64::MAX);
        if self.stopped_ns.is_none() {
            self.release_due(port, now_ns.min(end_ns));
            if stop || now_ns >= end_ns {
                self.stop_sending(now_ns);
            }
        }
        if now_ns >= self.active_ns.saturating_add(self.work.timeout_ns) && !self.is_waiting() {
            // Silence is no fault of the server while the schedule asks for nothing.
            self.active_ns = now_ns;
        }
        let give_up_ns = self.give_up_ns();
        if self.unfinished == 0 || now_ns >= give_up_ns {
            self.settle_accounts(now_ns);
            return None;
        }
        let end_ns = if self.stopped_ns.is_some() { u64::MAX } else { end_ns };
        let wake_ns = self.next_due_ns().min(end_ns).min(give_up_ns).min(now_ns + STOP_CHECK_NS);
        Some(Duration::from_nanos(wake_ns.saturating_sub(now_ns)))
    }

    /// When the cursor's message is due; never, if there is no schedule or its end is reached.
    fn next_due_ns(&self) -> u64 {
        let (Some(cursor), Some(rate), None) = (&self.cursor, self.work.rate, self.stopped_ns) else {
            return u64::MAX;
        };
        let message = cursor.message();
        if self.work.messages.is_some_and(|messages| message >= messages) { u64::MAX } else { rate.due_ns(message) }
    }

    fn release_due(&mut self, port: &PortHandle<Load>, until_ns: u64) {
        while self.next_due_ns() < until_ns {
            let Some(cursor) = &mut self.cursor else { return };
            let local = cursor.local();
            cursor.advance();
            self.lines[local].connection.release();
            self.pump(port, local);
        }
    }

    /// When to wait no longer. With an end by time, patience is counted from that end, so that a server that is behind
    /// cannot stretch the run; with an end by number, from the last sign of life.
    fn give_up_ns(&self) -> u64 {
        match self.stopped_ns {
            Some(stopped_ns) => stopped_ns.saturating_add(self.work.timeout_ns),
            None if self.work.messages.is_some() => self.active_ns.saturating_add(self.work.timeout_ns),
            None => u64::MAX,
        }
    }

    fn is_waiting(&self) -> bool {
        self.lines.iter().any(|line| line.connection.is_waiting())
    }

    fn stop_sending(&mut self, now_ns: u64) {
        self.stopped_ns = Some(now_ns);
        for local in 0..self.lines.len() {
            let work = &self.work;
            self.lines[local].connection.stop_sending(work);
            self.note_finished(local);
        }
    }

    /// The end: a run that all its connections have left early owes what had begun, or what it was asked for by number.
    fn settle_accounts(&mut self, now_ns: u64) {
        if self.work.messages.is_none() && self.stopped_ns.is_none() {
            self.stop_sending(now_ns);
        }
        if let Some(stopped_ns) = self.stopped_ns {
            self.tally.until_ns = self.tally.until_ns.max(stopped_ns.min(self.work.end_ns.unwrap_or(u64::MAX)));
        }
        for line in &self.lines {
            line.connection.count_unanswered(now_ns, &self.work, &mut self.tally);
        }
        if self.tally.unanswered > 0 {
            let unanswered = self.tally.unanswered;
            self.tally.note_fault(|| format!("{unanswered} messages were not answered in time"));
        }
    }

    /// Sends on one connection all that it may send now.
    fn pump(&mut self, port: &PortHandle<Load>, local: usize) {
        // Read once for a burst: the messages of one burst leave together.
        let now_ns = self.now_ns();
        let work = &self.work;
        let line = &mut self.lines[local];
        while let Some(message) = line.connection.next_message(work, now_ns) {
            // With one message on the way the send needs no memory of its own. With more they overlap.
            let issued = if work.limit == 1 {
                port.sync_send(line.handle, message, ())
            } else {
                port.send(line.handle, message, ())
            };
            let Err(refused) = issued else {
                self.active_ns = now_ns;
                continue;
            };
            line.connection.take_back(refused.buffer.into_vec().unwrap_or_default());
            if refused.error.code() != ErrorCode::Closed {
                // Memory was refused: end the connection, its farewell counts it as lost.
                let _ = port.abort(line.handle);
            }
            return;
        }
    }

    fn note_finished(&mut self, local: usize) {
        let line = &mut self.lines[local];
        if !line.finished && line.connection.is_finished() {
            line.finished = true;
            self.unfinished -= 1;
        }
    }

    fn lose(&mut self, local: usize, why: &str) {
        let line = &mut self.lines[local];
        if self.closing || line.connection.is_lost() {
            return;
        }
        line.connection.lose();
        self.tally.lost += 1;
        let number = line.connection.number();
        self.tally.note_fault(|| format!("connection {number} was lost: {why}"));
        self.note_finished(local);
    }

    fn received(&mut self, port: &PortHandle<Load>, local: usize, bytes: &[u8]) {
        if self.closing {
            // What is missing has been counted.
            return;
        }
        let now_ns = self.now_ns();
        self.active_ns = now_ns;
        let connection = &mut self.lines[local].connection;
        connection.receive(bytes, now_ns, &self.work, &mut self.tally);
        self.progress.store(self.tally.answered, Ordering::Relaxed);
        self.note_finished(local);
        self.pump(port, local);
    }

    fn close(&mut self, port: &PortHandle<Load>) {
        self.closing = true;
        for line in &self.lines {
            // One that has ended already is closed.
            let _ = port.close(line.handle);
        }
    }
}

impl Handler for Load {
    type Listener = ();
    /// The connection's place in its lane.
    type Socket = usize;
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<usize> {
        None
    }

    fn recv(&self, context: &Context<'_, Self>, local: &mut usize, received: Result<ReadBuffer, Error>) {
        let Ok(bytes) = received else { return };
        let mut state = self.lock();
        if bytes.is_empty() {
            state.lose(*local, "closed by the server");
            // If it is ending already, its farewell comes without this.
            let _ = context.close();
            return;
        }
        state.received(context.port(), *local, &bytes);
        // A refusal means that the connection is ending: the farewell tells.
        let _ = context.recv();
    }

    fn send(&self, context: &Context<'_, Self>, local: &mut usize, sent: Sent<()>) {
        let Ok(buffer) = sent.buffer.into_vec() else { return };
        let mut state = self.lock();
        state.lines[*local].connection.give_back(buffer);
        if sent.result.is_ok() {
            state.pump(context.port(), *local);
        }
    }

    fn error(&self, _: &Context<'_, Self>, local: usize, farewell: Farewell) {
        let mut state = self.lock();
        state.open -= 1;
        match farewell.reason {
            Ok(()) => state.lose(local, "closed"),
            Err(error) => state.lose(local, &io::Error::from(error).to_string()),
        }
    }
}
