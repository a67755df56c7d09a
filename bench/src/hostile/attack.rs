//! Who attacks, with how many connections, how often.

use super::options::Strength;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An attack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Connections that never send. Nothing happens on them while it is measured.
    Silent,
    /// Connections that send one byte at a time and read its echo. An event is a byte.
    OneByte,
    /// Connections that send and never read; each is stuck before it is measured. An event is one message more.
    NeverReading,
    /// An event is a connection that says FIN at once, then nothing; the oldest of them is closed for it.
    HalfClosing,
    /// An event is a connection that is reset at once.
    Resetting,
    /// All of these at once, the kinds that send sharing one rate, those that connect the other.
    Together,
}

impl Attack {
    /// Every attack, each kind by itself before all of them.
    pub const ALL: [Attack; 6] = [
        Attack::Silent,
        Attack::OneByte,
        Attack::NeverReading,
        Attack::HalfClosing,
        Attack::Resetting,
        Attack::Together,
    ];

    /// The kinds of attackers in it.
    fn kinds(self) -> &'static [Attack] {
        match self {
            Attack::Silent => &[Attack::Silent],
            Attack::OneByte => &[Attack::OneByte],
            Attack::NeverReading => &[Attack::NeverReading],
            Attack::HalfClosing => &[Attack::HalfClosing],
            Attack::Resetting => &[Attack::Resetting],
            Attack::Together => &Attack::ALL[..5],
        }
    }

    /// Whether its events are messages.
    fn sends(self) -> bool {
        matches!(self, Attack::OneByte | Attack::NeverReading)
    }

    /// Whether its events are connections.
    fn connects(self) -> bool {
        matches!(self, Attack::HalfClosing | Attack::Resetting)
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attack::Silent => "silent",
            Attack::OneByte => "one byte at a time",
            Attack::NeverReading => "never reading",
            Attack::HalfClosing => "half-closing",
            Attack::Resetting => "resetting",
            Attack::Together => "all together",
        })
    }
}

/// One kind of attackers in an attack.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) kind: Attack,
    pub(crate) connections: usize,
    pub(crate) events_per_second: f64,
}

impl Strength {
    /// The kinds that make up an attack.
    pub(crate) fn parts(&self, attack: Attack) -> Vec<Part> {
        let kinds = attack.kinds();
        let share = |total: f64, belongs: fn(Attack) -> bool| {
            total / kinds.iter().filter(|kind| belongs(**kind)).count().max(1) as f64
        };
        let part = |kind: &Attack| Part {
            kind: *kind,
            connections: match kind {
                Attack::Silent => self.silent,
                // They are gone at once.
                Attack::Resetting => 0,
                _ => self.peers,
            },
            events_per_second: match kind {
                kind if kind.sends() => share(self.messages_per_second, Attack::sends),
                kind if kind.connects() => share(self.connections_per_second, Attack::connects),
                _ => 0.0,
            },
        };
        kinds.iter().map(part).collect()
    }
}

/// The connections of these attackers that the server keeps: it closes those that have said FIN.
pub(crate) fn kept(parts: &[Part]) -> usize {
    parts.iter().filter(|part| !part.kind.connects()).map(|part| part.connections).sum()
}

/// The connections among them that send.
pub(crate) fn senders(parts: &[Part]) -> usize {
    parts.iter().filter(|part| part.kind.sends()).map(|part| part.connections).sum()
}

/// The connections among them that are stuck.
pub(crate) fn stuck(parts: &[Part]) -> usize {
    parts.iter().filter(|part| part.kind == Attack::NeverReading).map(|part| part.connections).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRENGTH: Strength =
        Strength { silent: 100, peers: 10, messages_per_second: 2000.0, connections_per_second: 200.0 };

    #[test]
    fn every_attack_has_the_whole_rate_of_its_kind() {
        for attack in Attack::ALL {
            let parts = STRENGTH.parts(attack);
            let rate = |belongs: fn(Attack) -> bool| -> f64 {
                parts.iter().filter(|part| belongs(part.kind)).map(|part| part.events_per_second).sum()
            };
            let all = attack == Attack::Together;
            assert_eq!(rate(Attack::sends), if all || attack.sends() { 2000.0 } else { 0.0 }, "{attack}");
            assert_eq!(rate(Attack::connects), if all || attack.connects() { 200.0 } else { 0.0 }, "{attack}");
        }
    }

    #[test]
    fn what_the_server_keeps_is_counted() {
        let parts = STRENGTH.parts(Attack::Together);
        assert_eq!((kept(&parts), senders(&parts), stuck(&parts)), (120, 20, 10));
        assert_eq!(kept(&STRENGTH.parts(Attack::HalfClosing)), 0);
        assert_eq!(senders(&STRENGTH.parts(Attack::Silent)), 0);
    }
}
