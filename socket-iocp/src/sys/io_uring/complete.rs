//! Completions: what the kernel answered, in the words of the backend contract.

use super::Backend;
use super::faults;
use super::tag::{Kind, Tag};
use crate::buffer::{BufferPool, ReadBuffer};
use crate::sys::{Accepted, Completion, Failure};
use io_uring::cqueue;

impl Backend {
    /// The contract's completion for one of the ring's; `None` for those of the backend's own.
    pub(super) fn complete(&mut self, entry: &cqueue::Entry, pool: &mut BufferPool) -> Option<Completion> {
        let tag = Tag::from_user_data(entry.user_data());
        let result = if tag.kind() == Kind::Cancel { faults::said(entry.result()) } else { entry.result() };
        self.answer(tag, result, entry.flags(), pool)
    }

    pub(super) fn answer(&mut self, tag: Tag, result: i32, flags: u32, pool: &mut BufferPool) -> Option<Completion> {
        let kind = tag.kind();
        if kind == Kind::Update {
            return None;
        }
        let ended = !cqueue::more(flags);
        self.pending -= usize::from(ended);
        if kind == Kind::Standing {
            let result = u32::try_from(result).map_err(|_| result.wrapping_neg());
            let result = self.received(tag, result, flags, pool);
            return Some(Completion::Arrived { key: tag.key(), result, stands: !ended });
        }
        if !ended {
            self.zero_copy.keep(tag, result);
            return None;
        }
        if kind == Kind::Send {
            return Some(Completion::Send { key: tag.key(), result: self.sent(tag, result) });
        }
        if kind == Kind::FileRead {
            let failure = self.file_read(tag, result).err()?;
            return Some(Completion::Send { key: tag.key(), result: Err(failure) });
        }
        let result = u32::try_from(result).map_err(|_| result.wrapping_neg());
        match kind {
            Kind::Recv => Some(Completion::Recv { key: tag.key(), result: self.received(tag, result, flags, pool) }),
            Kind::Connect => Some(Completion::Connect { key: tag.key(), result: self.connected(tag, result) }),
            Kind::ConnectPoll => Some(Completion::Connect { key: tag.key(), result: Err(self.polled(tag, result)) }),
            Kind::Accept => Some(Completion::Accept { listener: tag.listener(), result: self.accepted(tag, result) }),
            Kind::RecvPoll => Some(Completion::Recv { key: tag.key(), result: Err(self.polled(tag, result)) }),
            Kind::SendPoll => Some(Completion::Send { key: tag.key(), result: Err(self.polled(tag, result)) }),
            Kind::AcceptPoll => {
                self.memory.accepts.end(tag);
                Some(Completion::Accept { listener: tag.listener(), result: Err(self.polled(tag, result)) })
            }
            Kind::Wake => {
                // Armed again before the next wait. A failed read (its thread has ended) leaves the counter as it was,
                // so the next read brings the wake-up; another look at the worker's queue does no harm.
                self.wake_armed = false;
                Some(Completion::Woken)
            }
            Kind::Deadline => {
                self.deadline.ended();
                None
            }
            Kind::Cancel => {
                if result.is_err() {
                    self.cancel_missed(tag);
                }
                None
            }
            Kind::Show => None,
            Kind::Send | Kind::Standing | Kind::Update | Kind::FileRead => unreachable!("seen above"),
        }
    }

    /// A cancel has not found its operation. Mostly that has ended meanwhile. But an accept that was woken for a connection which
    /// another accept took is for a moment nowhere where the kernel looks, before it waits again: such a one is cancelled again.
    /// Operations of a socket are woken for nobody else's bytes.
    fn cancel_missed(&mut self, cancel: Tag) {
        if let Some(accept) = self.memory.accepts.pending(cancel.index() as usize, cancel.listener()) {
            self.push_cancel(accept);
        }
    }

    fn received(
        &mut self,
        tag: Tag,
        result: Result<u32, i32>,
        flags: u32,
        pool: &mut BufferPool,
    ) -> Result<ReadBuffer, Failure> {
        let block = cqueue::buffer_select(flags).map(|id| self.memory.buffers.take(id));
        match (result, block) {
            (Ok(1..), None) => unreachable!("data comes in a buffer of the ring"),
            (Ok(len @ 1..), Some(block)) => {
                // A recv that stands may have been asked to end, and has not yet.
                if !cqueue::more(flags) {
                    self.cancels.take(tag);
                }
                Ok(pool.filled(block, len as usize))
            }
            // A FIN or a failure; a buffer taken in vain goes around again.
            (result, block) => {
                if let Some(block) = block {
                    pool.put(block);
                }
                match result {
                    Ok(_) => {
                        self.cancels.take(tag);
                        Ok(ReadBuffer::empty())
                    }
                    Err(errno) => Err(self.failure(tag, errno)),
                }
            }
        }
    }

    fn sent(&mut self, tag: Tag, answer: i32) -> Result<usize, Failure> {
        if let Some(asked) = self.end_transfer(tag) {
            return self.sent_from_file(tag, asked, answer);
        }
        let Some(result) = self.zero_copy.ended(tag, answer) else {
            self.cancels.take(tag);
            return Err(Failure::Again);
        };
        usize::try_from(result).map_err(|_| self.failure(tag, -result))
    }

    fn connected(&mut self, tag: Tag, result: Result<u32, i32>) -> Result<(), Failure> {
        match result {
            // The second is what a connect says that is submitted again when it has succeeded.
            Ok(_) | Err(libc::EISCONN) => {
                self.cancels.take(tag);
                Ok(())
            }
            Err(errno) => Err(self.failure(tag, errno)),
        }
    }

    fn accepted(&mut self, tag: Tag, result: Result<u32, i32>) -> Result<Accepted, Failure> {
        let accepted = match result {
            Ok(socket) => {
                self.cancels.take(tag);
                Ok(Accepted { socket: socket as i32, remote: self.memory.accepts.remote(tag) })
            }
            Err(errno) => Err(self.failure(tag, errno)),
        };
        self.memory.accepts.end(tag);
        accepted
    }

    /// A poll has ended, and with it nothing has happened to the operation that it stands for.
    fn polled(&mut self, tag: Tag, result: Result<u32, i32>) -> Failure {
        self.polls -= 1;
        match result {
            Ok(_) => {
                self.cancels.take(tag);
                Failure::Again
            }
            Err(errno) => self.failure(tag, errno),
        }
    }

    pub(super) fn failure(&mut self, tag: Tag, errno: i32) -> Failure {
        let asked = self.cancels.take(tag);
        match errno {
            libc::ECANCELED if asked => Failure::Cancelled,
            // The thread that had submitted it has ended (see `cancels.rs`).
            libc::ECANCELED => Failure::Again,
            libc::EINTR => Failure::Again,
            libc::EAGAIN | libc::EINPROGRESS | libc::EALREADY => {
                self.refused.note(tag);
                Failure::Again
            }
            // Recvs that stand are from Linux 6.0.
            libc::EINVAL if tag.kind() == Kind::Standing => {
                self.standing.turn_off();
                Failure::Again
            }
            libc::ENOBUFS if matches!(tag.kind(), Kind::Recv | Kind::Standing) => {
                self.memory.buffers.note_ran_out();
                Failure::NoBuffer
            }
            _ => Failure::Os(errno),
        }
    }
}
