//! What a file costs that is sent by `send_file`, by a program that reads and sends it itself, and by loops without a library:
//! processor time of the sending process for 64 KiB, on loopback, the file being in the page cache. The reader is a process of its
//! own.
//!
//! `cargo run --release -p socket-iocp-bench --example files`

#[cfg(target_os = "linux")]
mod linux {
    use socket_iocp::{BackendKind, Context, Error, Farewell, Handler, Options, Port, ReadBuffer, Sent};
    use std::fs::{self, File};
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::FileExt;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::mpsc::{self, Sender};
    use std::time::{Duration, Instant};
    use std::{env, error, process};

    /// What a program reads and sends at once, and what the figures are for.
    const PIECE: usize = 64 << 10;
    const FILE_BYTES: u64 = 64 << 20;
    /// So often the file is sent in one round.
    const TIMES: u32 = 4;
    /// Rounds of each way; the ways take turns.
    const ROUNDS: usize = 21;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Way {
        SendFile,
        ReadAndSend,
    }

    /// Who is measured.
    #[derive(Clone, Copy)]
    enum Contestant {
        Port(BackendKind, Way),
        /// A loop around pread(2) and send(2), or around sendfile(2).
        Loop(Way),
    }

    impl Contestant {
        const ALL: [Contestant; 6] = [
            Contestant::Port(BackendKind::IoUring, Way::SendFile),
            Contestant::Port(BackendKind::IoUring, Way::ReadAndSend),
            Contestant::Port(BackendKind::Readiness, Way::SendFile),
            Contestant::Port(BackendKind::Readiness, Way::ReadAndSend),
            Contestant::Loop(Way::ReadAndSend),
            Contestant::Loop(Way::SendFile),
        ];

        fn name(self) -> String {
            match self {
                Contestant::Port(kind, Way::SendFile) => format!("{}, `send_file`", kind.name()),
                Contestant::Port(kind, Way::ReadAndSend) => format!("{}, the program reads, then sends", kind.name()),
                Contestant::Loop(Way::ReadAndSend) => "a loop of pread and send".to_owned(),
                Contestant::Loop(Way::SendFile) => "a loop of sendfile".to_owned(),
            }
        }
    }

    /// What a round has taken.
    #[derive(Clone, Copy)]
    struct Taken {
        processor: Duration,
        time: Duration,
    }

    struct Server {
        file: Arc<File>,
        way: Way,
        done: Sender<Taken>,
    }

    struct Connection {
        /// Where the next piece begins, in a file that is as long as all of them.
        at: u64,
        times_left: u32,
        processor: Duration,
        began: Instant,
    }

    impl Server {
        /// Sends what is next. False when all has gone.
        fn send_next(&self, context: &Context<'_, Server>, connection: &mut Connection, buffer: Vec<u8>) -> bool {
            if connection.times_left == 0 {
                return false;
            }
            match self.way {
                Way::SendFile => {
                    connection.times_left -= 1;
                    context.send_file(self.file.clone(), .., ()).is_ok()
                }
                Way::ReadAndSend => {
                    let mut buffer = buffer;
                    buffer.resize(PIECE, 0);
                    self.file.read_exact_at(&mut buffer, connection.at).expect("the file");
                    connection.at = (connection.at + PIECE as u64) % FILE_BYTES;
                    connection.times_left -= u32::from(connection.at == 0);
                    context.send(buffer, ()).is_ok()
                }
            }
        }
    }

    impl Handler for Server {
        type Listener = ();
        type Socket = Connection;
        type Write = ();

        fn accept(&self, context: &Context<'_, Server>, (): &()) -> Option<Connection> {
            let (processor, began) = (processor_time(), Instant::now());
            let mut connection = Connection { at: 0, times_left: TIMES, processor, began };
            self.send_next(context, &mut connection, Vec::new()).then_some(connection)
        }

        fn recv(&self, _: &Context<'_, Server>, _: &mut Connection, _: Result<ReadBuffer, Error>) {}

        fn send(&self, context: &Context<'_, Server>, connection: &mut Connection, sent: Sent<()>) {
            sent.result.expect("a reader that reads to the end");
            if !self.send_next(context, connection, sent.buffer.into_vec().unwrap_or_default()) {
                let processor = processor_time() - connection.processor;
                let _ = self.done.send(Taken { processor, time: connection.began.elapsed() });
                let _ = context.close();
            }
        }

        fn error(&self, _: &Context<'_, Server>, _: Connection, _: Farewell) {}
    }

    /// The processor time of this process so far.
    fn processor_time() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one `timespec`.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// The reader: reads to the end.
    fn read(address: &str) -> Result<(), Box<dyn error::Error>> {
        let mut stream = TcpStream::connect(address)?;
        let mut buffer = vec![0; 1 << 20];
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn start_reader(address: &str) -> io::Result<Child> {
        Command::new(env::current_exe()?).args(["read", address]).stdin(Stdio::null()).spawn()
    }

    fn by_port(kind: BackendKind, way: Way, file: &Arc<File>) -> Result<Taken, Box<dyn error::Error>> {
        let (done, taken) = mpsc::channel();
        let options = Options::new(4096).threads(1).backend(kind);
        let port = Port::new(Server { file: file.clone(), way, done }, options)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        port.add_listener(listener, 1, ()).map_err(|refused| refused.error)?;
        let mut reader = start_reader(&address)?;
        let taken = taken.recv()?;
        reader.wait()?;
        Ok(taken)
    }

    /// The least that can be done: one connection, which the loop waits for when it is full.
    fn by_loop(way: Way, file: &File) -> Result<Taken, Box<dyn error::Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut reader = start_reader(&listener.local_addr()?.to_string())?;
        let (mut stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        let (processor, began) = (processor_time(), Instant::now());
        let mut buffer = vec![0; PIECE];
        let (mut at, mut times_left) = (0, TIMES);
        while times_left > 0 {
            let sent = match way {
                Way::SendFile => send_by_kernel(&stream, file, at),
                Way::ReadAndSend => file.read_at(&mut buffer, at).and_then(|len| stream.write(&buffer[..len])),
            };
            match sent {
                Ok(bytes) => at += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(&stream),
                Err(error) => return Err(error.into()),
            }
            if at == FILE_BYTES {
                (at, times_left) = (0, times_left - 1);
            }
        }
        let taken = Taken { processor: processor_time() - processor, time: began.elapsed() };
        drop(stream);
        reader.wait()?;
        Ok(taken)
    }

    fn send_by_kernel(stream: &TcpStream, file: &File, at: u64) -> io::Result<usize> {
        let mut offset = at as libc::off_t;
        // SAFETY: both descriptors are open, and the offset can be written.
        let sent = unsafe { libc::sendfile(stream.as_raw_fd(), file.as_raw_fd(), &raw mut offset, PIECE) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn wait_for_room(stream: &TcpStream) {
        let mut query = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // A failure is met by the next send.
        // SAFETY: one `pollfd`, borrowed for the call.
        unsafe { libc::poll(&raw mut query, 1, -1) };
    }

    fn measure() -> Result<(), Box<dyn error::Error>> {
        let path = env::temp_dir().join(format!("socket-iocp-bench-{}", process::id()));
        File::create(&path)?.write_all(&vec![7; FILE_BYTES as usize])?;
        let file = Arc::new(File::open(&path)?);
        fs::remove_file(&path)?;
        let mut results = Contestant::ALL.map(|contestant| (contestant, Vec::new()));
        for _ in 0..ROUNDS {
            for (contestant, taken) in &mut results {
                taken.push(match contestant {
                    Contestant::Port(kind, way) => by_port(*kind, *way, &file)?,
                    Contestant::Loop(way) => by_loop(*way, &file)?,
                });
            }
        }
        let pieces = FILE_BYTES as f64 / PIECE as f64 * f64::from(TIMES);
        println!("| | us of processor time for 64 KiB | GB/s |");
        println!("|---|--:|--:|");
        for (contestant, mut taken) in results {
            taken.sort_by_key(|taken| taken.processor);
            let us = |taken: &Taken| taken.processor.as_secs_f64() * 1e6 / pieces;
            let (least, median, most) = (us(&taken[0]), us(&taken[ROUNDS / 2]), us(&taken[ROUNDS - 1]));
            taken.sort_by_key(|taken| taken.time);
            let rate = FILE_BYTES as f64 * f64::from(TIMES) / taken[ROUNDS / 2].time.as_secs_f64() / 1e9;
            println!("| {} | {median:.1} ({least:.1} to {most:.1}) | {rate:.2} |", contestant.name());
        }
        Ok(())
    }

    pub fn main() -> Result<(), Box<dyn error::Error>> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        match &arguments[..] {
            [what, address] if what == "read" => read(address),
            _ => measure(),
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("for Linux");
}
