//! A script: what a program does with the interface, as bytes that can be mutated.

/// One thing to do. Its operands choose among what is there at that moment, so that every script means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// What is done.
    pub(super) what: What,
    /// The socket, listener or buffer that it is done to.
    pub(super) target: u8,
    /// The port in which it is done: below [`Step::OWN_PORT`] the right one.
    pub(super) port: u8,
    /// How much, or which of several.
    pub(super) amount: u8,
}

impl Step {
    /// Bytes of a step.
    const SIZE: usize = 4;
    /// Operands from here on choose other ports than the target's, and from [`Step::MADE_UP`] on what is none.
    pub(super) const OWN_PORT: u8 = 192;
    /// Operands from here on are handles that are none.
    pub(super) const MADE_UP: u8 = 224;

    fn of([what, target, port, amount]: [u8; Step::SIZE]) -> Step {
        Step { what: What::of(what), target, port, amount }
    }
}

macro_rules! what {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a step does.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(super) enum What {
            $($(#[doc = $doc])+ $name,)+
        }

        impl What {
            /// All of it, by number.
            const ALL: &'static [What] = &[$(What::$name),+];
        }
    };
}

impl What {
    /// So many can be chosen by any byte.
    const FIRST: usize = What::InCallbacks as usize + 1;
    /// Those behind have bytes of their own, from this one on. No input that was kept before they came has one of them, up to
    /// 149: so each means what it meant.
    const LATER: usize = 135;

    fn of(byte: u8) -> What {
        let byte = usize::from(byte);
        let later = byte.checked_sub(What::LATER).and_then(|at| What::ALL.get(What::FIRST + at));
        later.copied().unwrap_or(What::ALL[byte % What::FIRST])
    }
}

what! {
    /// A port is made; the amount chooses its options.
    NewPort,
    /// A port is deleted.
    Delete,
    /// A port is run.
    Run,
    /// One end of a pair is added.
    Add,
    /// A socket that was handed back is added again.
    AddBack,
    /// Something that cannot be added.
    AddWrong,
    /// A listener is added.
    Listen,
    /// A client connects to a listener.
    Connect,
    /// A listener is taken back.
    RemoveListener,
    /// A listener's backlog is changed.
    SetBacklog,
    /// A recv.
    Recv,
    /// A sync send.
    SyncSend,
    /// An async send.
    AsyncSend,
    /// The read buffer is sent back from where it lies.
    Echo,
    /// A half-close.
    Shutdown,
    /// A graceful close.
    Close,
    /// An abort.
    Abort,
    /// A removal.
    Remove,
    /// The read buffer is taken.
    Take,
    /// A taken buffer is released.
    Release,
    /// The socket is looked up.
    Find,
    /// The running callback's result is asked for.
    ResultOf,
    /// What else can be asked.
    Ask,
    /// A pointer that is needed is NULL.
    NullPointer,
    /// The peer sends.
    PeerSends,
    /// The peer receives.
    PeerReceives,
    /// The peer sends FIN.
    PeerEnds,
    /// The peer closes.
    PeerCloses,
    /// From here on so many steps are done in each callback.
    InCallbacks,
    /// A recv with a time limit.
    RecvWithin,
    /// A send with a time limit.
    SendWithin,
    /// The recv is cancelled.
    CancelRecv,
    /// A send is cancelled.
    CancelSend,
    /// A timer.
    Timer,
    /// The timer is cancelled.
    CancelTimer,
    /// How many bytes are queued.
    QueuedBytes,
    /// A socket is connected by a port.
    ConnectOut,
    /// A port is shut down.
    ShutDown,
    /// A socket is passed, to this process.
    Pass,
    /// A datagram socket is added.
    AddDatagram,
    /// A send to an address.
    SendTo,
    /// A datagram is sent to a socket.
    Mail,
    /// The connect is cancelled.
    CancelConnect,
    /// A port connects to a host.
    ConnectHost,
    /// A send from a file.
    FileSend,
}

/// The steps that have not been done yet.
#[derive(Default)]
pub(super) struct Script {
    bytes: Vec<u8>,
    at: usize,
}

/// Steps of one script at most.
const MAX_STEPS: usize = 300;

impl Script {
    pub(super) fn new(input: &[u8]) -> Script {
        Script { bytes: input[..input.len().min(MAX_STEPS * Step::SIZE)].to_vec(), at: 0 }
    }

    pub(super) fn next(&mut self) -> Option<Step> {
        let bytes = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += Step::SIZE;
        Some(Step::of(*bytes))
    }
}
