//! Faults put under the ring, and limits made as small as the kernel allows, to show that nothing is lost by them. Only a
//! build with the feature `faults` has them, and it reads them from the environment; in every other build each function
//! here gives back its argument. The data path makes no system call that an injection from outside could reach.
//!
//! # What is put where
//! A fault must be one that the kernel could have given. An operation that failed has done nothing: so a submission to be
//! failed never reaches the kernel. A no-op goes in its place under the same tag, and the kernel completes it with the
//! error (`IORING_NOP_INJECT_RESULT`): the error comes through the queues as every result does, no bytes and no connection
//! have been taken and thrown away, and what the operation would have used stays where it was.
//!
//! Two operations are different. A cancel allocates nothing and either finds its operation or does not, so no error can
//! mean that the kernel has not looked: it is carried out, and only what it says is replaced. The update of a timeout is
//! silent when it succeeds, and there is nothing to put an error into.
//!
//! # The environment
//! - `SOCKET_IOCP_FAULTS`: a list of `operation:error:n`, which fails every n-th such operation of the process. The
//!   operations are those of `OPERATIONS`, the errors those of `ERRORS`.
//! - `SOCKET_IOCP_RING`: a list of `submissions:n`, `completions:n`, `buffers:n`: the sizes of the two queues and of the
//!   buffer ring, each a power of two.
//!
//! With either, the process says at its exit what came of it: `@fault: operation errno operations failed` for each of the
//! first, and `@overflows:` with the number of system calls that left completions waiting for room in their queue.

#[cfg(feature = "faults")]
pub use active::is_supported;
#[cfg(feature = "faults")]
pub(super) use active::{buffers, completions, entered, said, submissions, submitted};
#[cfg(not(feature = "faults"))]
pub(super) use inactive::{buffers, completions, entered, said, submissions, submitted};

#[cfg(not(feature = "faults"))]
mod inactive {
    use super::super::tag::Kind;
    use io_uring::{IoUring, squeue};

    #[inline(always)]
    pub(in super::super) fn submitted(entry: squeue::Entry, _: Kind) -> squeue::Entry {
        entry
    }

    #[inline(always)]
    pub(in super::super) fn said(result: i32) -> i32 {
        result
    }

    #[inline(always)]
    pub(in super::super) fn entered(_: &mut IoUring) {}

    #[inline(always)]
    pub(in super::super) const fn submissions(entries: u32) -> u32 {
        entries
    }

    #[inline(always)]
    pub(in super::super) const fn completions(entries: u32) -> u32 {
        entries
    }

    #[inline(always)]
    pub(in super::super) const fn buffers(capacity: usize) -> usize {
        capacity
    }
}

#[cfg(feature = "faults")]
mod active {
    use super::super::tag::Kind;
    use io_uring::{IoUring, opcode, squeue};
    use std::env;
    use std::io::{self, Write};
    use std::str::FromStr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// An operation of the kernel; of reads, what is read.
    type Operation = (u8, Option<Kind>);

    /// The operations that can be failed, by the names that `SOCKET_IOCP_FAULTS` has for them.
    const OPERATIONS: [(&str, Operation); 11] = [
        ("recv", (opcode::Recv::CODE, None)),
        ("send", (opcode::Send::CODE, None)),
        ("sendmsg", (opcode::SendMsg::CODE, None)),
        // Without a copy. One that is failed has no notification.
        ("sendzc", (opcode::SendZc::CODE, None)),
        ("sendmsgzc", (opcode::SendMsgZc::CODE, None)),
        ("accept", (opcode::Accept::CODE, None)),
        ("poll", (opcode::PollAdd::CODE, None)),
        // Of the wake-up counter.
        ("wake", (opcode::Read::CODE, Some(Kind::Wake))),
        // Of a file that is sent.
        ("fileread", (opcode::Read::CODE, Some(Kind::FileRead))),
        ("timeout", (opcode::Timeout::CODE, None)),
        ("cancel", (opcode::AsyncCancel::CODE, None)),
    ];

    /// The errors that they can be failed with.
    const ERRORS: [(&str, i32); 7] = [
        ("EINTR", libc::EINTR),
        ("ENOMEM", libc::ENOMEM),
        ("EAGAIN", libc::EAGAIN),
        ("ENOBUFS", libc::ENOBUFS),
        ("ECONNABORTED", libc::ECONNABORTED),
        ("EMFILE", libc::EMFILE),
        ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ];

    /// One kind of fault.
    struct Fault {
        name: &'static str,
        operation: Operation,
        errno: i32,
        every: u64,
        operations: AtomicU64,
        failed: AtomicU64,
    }

    /// The sizes that were asked for.
    #[derive(Default)]
    struct Sizes {
        submissions: Option<u32>,
        completions: Option<u32>,
        buffers: Option<usize>,
    }

    impl Fault {
        fn parse(text: &str) -> Fault {
            let mut parts = text.split(':');
            let mut part = || parts.next().unwrap_or_else(|| panic!("SOCKET_IOCP_FAULTS: {text:?} has three parts"));
            let (name, operation) = named(&OPERATIONS, part());
            let (_, errno) = named(&ERRORS, part());
            let every = number(part());
            assert_ne!(every, 0, "SOCKET_IOCP_FAULTS: every 0th of {name}");
            Fault { name, operation, errno, every, operations: AtomicU64::new(0), failed: AtomicU64::new(0) }
        }

        fn is_for(&self, code: u8, kind: Kind) -> bool {
            self.operation.0 == code && self.operation.1.is_none_or(|only| only == kind)
        }

        /// One more operation of the kind: whether it is to fail.
        fn is_due(&self) -> bool {
            (self.operations.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.every)
        }

        fn fail(&self) -> i32 {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.errno
        }
    }

    impl Sizes {
        fn parse(text: &str) -> Sizes {
            let mut sizes = Sizes::default();
            for entry in text.split_whitespace() {
                match entry.split_once(':') {
                    Some(("submissions", size)) => sizes.submissions = Some(number(size)),
                    Some(("completions", size)) => sizes.completions = Some(number(size)),
                    Some(("buffers", size)) => sizes.buffers = Some(number(size)),
                    _ => panic!("SOCKET_IOCP_RING: {entry:?}"),
                }
            }
            sizes
        }
    }

    fn named<T: Copy>(table: &[(&'static str, T)], name: &str) -> (&'static str, T) {
        *table.iter().find(|entry| entry.0 == name).unwrap_or_else(|| panic!("SOCKET_IOCP_FAULTS: {name:?}"))
    }

    fn number<T: FromStr>(text: &str) -> T {
        text.parse().unwrap_or_else(|_| panic!("{text:?} is no number that fits"))
    }

    /// Read once, from then on the same for the process.
    fn faults() -> &'static [Fault] {
        static FAULTS: OnceLock<Vec<Fault>> = OnceLock::new();
        FAULTS.get_or_init(|| {
            let text = env::var("SOCKET_IOCP_FAULTS").unwrap_or_default();
            let faults: Vec<Fault> = text.split_whitespace().map(Fault::parse).collect();
            assert!(faults.is_empty() || is_supported(), "this kernel has no IORING_NOP_INJECT_RESULT (Linux 6.10)");
            if !text.is_empty() || env::var_os("SOCKET_IOCP_RING").is_some() {
                say_at_exit();
            }
            faults
        })
    }

    fn sizes() -> &'static Sizes {
        static SIZES: OnceLock<Sizes> = OnceLock::new();
        SIZES.get_or_init(|| Sizes::parse(&env::var("SOCKET_IOCP_RING").unwrap_or_default()))
    }

    /// System calls after which completions waited for room.
    static OVERFLOWS: AtomicU64 = AtomicU64::new(0);

    /// A system call on the ring has returned.
    pub(in super::super) fn entered(ring: &mut IoUring) {
        OVERFLOWS.fetch_add(u64::from(ring.submission().cq_overflow()), Ordering::Relaxed);
    }

    /// Whether the kernel completes a no-op with a given result: Linux 6.10.
    pub fn is_supported() -> bool {
        let answer = || -> io::Result<Option<i32>> {
            let mut ring = IoUring::new(1)?;
            // SAFETY: the entry has no pointer.
            unsafe { ring.submission().push(&failing(libc::EINTR)) }.map_err(io::Error::other)?;
            ring.submit_and_wait(1)?;
            Ok(ring.completion().next().map(|entry| entry.result()))
        };
        answer().is_ok_and(|result| result == Some(-libc::EINTR))
    }

    /// See the head of this file.
    extern "C" fn say() {
        let mut output = io::stdout().lock();
        for Fault { name, errno, operations, failed, .. } in faults() {
            // Nobody may be there to read it.
            let _ = writeln!(output, "@fault: {name} {errno} {operations:?} {failed:?}");
        }
        let _ = writeln!(output, "@overflows: {OVERFLOWS:?}");
    }

    fn say_at_exit() {
        // SAFETY: the function is one of the C library's kind, unwinds into nobody and may be called at any time.
        unsafe { libc::atexit(say) };
    }

    /// A no-op that completes with this error.
    fn failing(errno: i32) -> squeue::Entry {
        // Where `struct io_uring_sqe` has `len`, which is the result here, and the flags of the operation.
        const LEN: usize = 24;
        const NOP_FLAGS: usize = 28;
        const INJECT_RESULT: u32 = 1;
        const { assert!(size_of::<squeue::Entry>() == 64) };
        let mut entry = opcode::Nop::new().build();
        let start = (&raw mut entry).cast::<u8>();
        // SAFETY: the entry is the kernel's structure of 64 bytes, all of them numbers; both fields are inside.
        unsafe {
            start.add(LEN).cast::<i32>().write(-errno);
            start.add(NOP_FLAGS).cast::<u32>().write(INJECT_RESULT);
        }
        entry
    }

    /// The error that an operation of this kind is to end with, if it is one's turn.
    fn due(code: u8, kind: Kind) -> Option<i32> {
        // All of them count the operation, also when another one fails it.
        faults().iter().filter(|fault| fault.is_for(code, kind) && fault.is_due()).last().map(Fault::fail)
    }

    /// What goes to the kernel in place of this entry.
    pub(in super::super) fn submitted(entry: squeue::Entry, kind: Kind) -> squeue::Entry {
        let code = entry.get_opcode() as u8;
        if faults().is_empty() || code == opcode::AsyncCancel::CODE {
            return entry;
        }
        due(code, kind).map_or(entry, failing)
    }

    /// What a cancel is taken to have said that has said this.
    pub(in super::super) fn said(result: i32) -> i32 {
        due(opcode::AsyncCancel::CODE, Kind::Cancel).map_or(result, |errno| -errno)
    }

    pub(in super::super) fn submissions(entries: u32) -> u32 {
        sizes().submissions.unwrap_or(entries)
    }

    pub(in super::super) fn completions(entries: u32) -> u32 {
        sizes().completions.unwrap_or(entries)
    }

    pub(in super::super) fn buffers(capacity: usize) -> usize {
        sizes().buffers.unwrap_or(capacity)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_nth_is_failed() {
            let fault = Fault::parse("recv:ENOMEM:3");
            let failed: Vec<bool> = (0..7).map(|_| fault.is_due()).collect();
            assert_eq!(failed, [false, false, true, false, false, true, false]);
            assert_eq!((fault.operation.0, fault.errno), (opcode::Recv::CODE, libc::ENOMEM));
        }

        #[test]
        fn reads_are_told_apart() {
            let [wake, file, recv] = ["wake", "fileread", "recv"].map(|name| Fault::parse(&format!("{name}:EINTR:1")));
            let of =
                |fault: &Fault, code| [Kind::Wake, Kind::FileRead, Kind::Recv].map(|kind| fault.is_for(code, kind));
            assert_eq!(of(&wake, opcode::Read::CODE), [true, false, false]);
            assert_eq!(of(&file, opcode::Read::CODE), [false, true, false]);
            assert_eq!(of(&recv, opcode::Recv::CODE), [true; 3]);
            assert_eq!(of(&recv, opcode::Read::CODE), [false; 3]);
        }

        #[test]
        fn sizes_are_taken_as_they_come() {
            let sizes = Sizes::parse("completions:2 buffers:4");
            assert_eq!((sizes.submissions, sizes.completions, sizes.buffers), (None, Some(2), Some(4)));
        }
    }
}
