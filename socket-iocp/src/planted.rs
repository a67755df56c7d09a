//! Bugs planted on purpose, to show that the torture and the models of threads find what they look for. They are there
//! only in a build with `--cfg socket_iocp_planted`, one at a time; in every other build [`planted!`] is `false`.

/// Whether this bug is planted.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(socket_iocp_planted)]
        let is_planted = $crate::planted::is($crate::planted::Bug::$bug);
        #[cfg(not(socket_iocp_planted))]
        let is_planted = false;
        is_planted
    }};
}

pub(crate) use planted;

#[cfg(socket_iocp_planted)]
pub use bugs::{Bug, is, plant};

#[cfg(socket_iocp_planted)]
mod bugs {
    use std::sync::atomic::{AtomicUsize, Ordering};

    macro_rules! bugs {
        (
            of one thread: $($(#[doc = $doc:literal])+ $name:ident,)+
            of several: $($(#[doc = $several_doc:literal])+ $several:ident,)+
        ) => {
            /// A bug that can be planted.
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub enum Bug {
                $($(#[doc = $doc])+ $name,)+
                $($(#[doc = $several_doc])+ $several,)+
            }

            impl Bug {
                /// Every one that shows where one thread runs at a time, as in the torture.
                pub const ALL: &'static [Bug] = &[$(Bug::$name),+];
                /// Those that show only where several do, as in the models of `handle/models.rs`.
                pub const OF_SEVERAL_THREADS: &'static [Bug] = &[$(Bug::$several),+];
            }
        };
    }

    bugs! {
        of one thread:
        /// The part of a send that has gone is sent again.
        PartIsSentAgain,
        /// FIN goes before what is queued.
        FinBeforeSends,
        /// The farewell comes before the sends that are done.
        FarewellBeforeSends,
        /// A recv that beat its cancel is dropped with its bytes.
        RecvDroppedAtTheEnd,
        /// A cancelled recv is reported as the peer's FIN.
        CancelIsFin,
        /// After the peer's FIN another recv is taken.
        EofForgotten,
        /// A second recv is taken.
        RecvTwice,
        /// A dead handle reaches the socket that has its slot.
        GenerationIgnored,
        /// A recv issued by another thread never arrives.
        MessageLost,
        /// A graceful close has no limit.
        LingerWithoutEnd,
        /// A socket that has been idle for too long goes on.
        IdleForEver,
        /// A send that was reported still counts against the limit of bytes.
        BytesForgotten,
        /// The farewell of an abort says that all was well.
        AbortIsSuccess,
        /// A connection given to its accept callback still counts against the backlog.
        ToldForgotten,
        /// A listener that paused does not go on.
        PauseWithoutEnd,
        /// A socket that has gone still counts against the limit of sockets.
        RoomForgotten,
        /// What the kernel had no memory for is not tried again.
        ShortageForgotten,
        /// A removal with nothing to hand back says that all was well.
        RemovalLies,
        /// A connection taken while the port is deleted is not closed.
        TakenAndLeaked,
        /// A socket's bytes that have become few again are not told of.
        LowForgotten,
        /// A send that was reported still counts against the port's limit of bytes.
        PortBytesForgotten,
        /// The last byte of a copy is another one.
        CopyIsWrong,
        /// The rest of a vectored send of which a part has gone is sent in another order.
        PartsTurnedRound,
        /// The owner of a send's bytes is never dropped.
        OwnerForgotten,
        /// A shutdown has no end while a connection stays.
        DeadlineForgotten,
        /// A time limit is over when half of it has passed.
        LimitsHalved,
        /// The cancel of a recv does nothing.
        CancelForgotten,
        /// A timer outstanding at the end of its socket is not reported.
        TimerForgotten,
        /// A connect has no time limit.
        ConnectForEver,
        /// A socket is connected and its handler is not told.
        ConnectUntold,
        /// A datagram of no bytes is not reported.
        EmptyDatagramLost,
        /// The cancel of a connect does nothing.
        ConnectCancelForgotten,
        /// Nobody is told what has come of a connect to a host.
        HostForgotten,
        /// An attempt to connect to a host that has come second stays open.
        AttemptLeaked,
        /// Each part of a file that is sent begins where the first did.
        FileFromTheBeginning,
        /// A file that is too short for its send ends its socket in order.
        FileEndsInOrder,

        of several:
        /// A push does not publish what it pushes.
        PushNotReleased,
        /// Who writes something for the worker looks at once whether it sleeps.
        WakersFenceForgotten,
        /// A worker that goes to sleep looks around at once.
        SleepersFenceForgotten,
        /// News of listeners are a plain store.
        NewsOverwritten,
        /// A farewell does not wait for messages on their way.
        TransitForgotten,
    }

    static PLANTED: AtomicUsize = AtomicUsize::new(usize::MAX);

    /// Plants this bug in place of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.store(bug.map_or(usize::MAX, |bug| bug as usize), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    pub fn is(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as usize
    }
}
