//! Events for whoever watches a program by `tracing`: in builds with the feature of that name, and nothing at all in others.
//!
//! What each event is called and has in it is said in the documentation of the crate. On the way of a message there are events of
//! the level TRACE alone: without a subscriber for that level, each costs one look at a number that is hardly ever written.

/// Reports an event: its level, its fields, its name.
macro_rules! traced {
    ($level:ident, $message:literal, $($fields:tt)+) => {{
        #[cfg(feature = "tracing")]
        tracing::event!(target: "socket_iocp", tracing::Level::$level, $($fields)+, $message);
    }};
}

pub(crate) use traced;
