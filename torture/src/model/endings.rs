//! How a socket may end: what its farewell may say, and what must have been reported before it.

use super::{Broken, Circumstances, Socket};
use socket_iocp::{Error, ErrorCode};

/// What an ending has been asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Close,
    /// With whether a graceful close was under way.
    Abort {
        closing: bool,
    },
    Remove,
}

impl Socket {
    /// The farewell.
    pub(crate) fn farewell(
        &mut self,
        reason: Result<(), Error>,
        handed_back: bool,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let around = self.around(around);
        if std::mem::replace(&mut self.ended, true) {
            return Err(format!("a second farewell: {self:?}"));
        }
        if !self.sends.is_empty() {
            return Err(format!("a farewell with sends unreported: {self:?}"));
        }
        if self.timer.is_some() {
            return Err(format!("a farewell with a timer unreported: {self:?}"));
        }
        self.reason = Some(reason);
        let code = reason.map_err(|error| error.code());
        let failed = |code: ErrorCode| around.may_fail && !matches!(code, ErrorCode::Cancelled | ErrorCode::Panic);
        let explained = match (self.ending, code) {
            (_, Err(ErrorCode::ForeignClose)) => around.closed_behind,
            (_, Err(ErrorCode::TimedOut)) if self.connected_late => true,
            (_, Err(code)) if self.connect.is_some_and(|connect| connect.explains(code, around.now)) => true,
            (_, Err(ErrorCode::FileTooShort)) => self.meets_short_file && self.send_failed,
            (Some(Ending::Close | Ending::Abort { closing: true }), Ok(()) | Err(ErrorCode::TimedOut)) => true,
            (Some(Ending::Abort { .. }), Err(ErrorCode::Cancelled)) => true,
            (Some(Ending::Remove), Ok(())) => true,
            (None | Some(Ending::Abort { .. }), Ok(()) | Err(ErrorCode::TimedOut)) if around.shut_down => true,
            (None, Err(ErrorCode::TimedOut)) if self.was_idle(around) => true,
            (_, Err(ErrorCode::Cancelled)) => around.deleted,
            (_, Ok(())) => false,
            (_, Err(code)) => failed(code),
        };
        let undisturbed = !around.may_fail && !around.closed_behind && !around.deleted;
        if self.ending == Some(Ending::Close) && code.is_ok() && self.send_failed && undisturbed {
            return Err(format!("a close that has not sent everything says that all is well: {self:?}"));
        }
        let kept = self.ending == Some(Ending::Remove) && code.is_ok() && !self.has_no_socket();
        if !explained || handed_back != kept {
            return Err(format!("a farewell of {code:?}, handed back: {handed_back}: {self:?}"));
        }
        Ok(())
    }
}
