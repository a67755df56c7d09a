//! What a peer does when it is asked for nonsense.

use crate::client::Outcome;
use crate::peer::Peer;

pub fn wrong_ones_are_told(peer: &Peer) -> Outcome {
    let wrong: [&[&str]; 9] = [
        &[],
        &["nonsense"],
        &["echo"],
        &["echo", "4096"],
        &["echo", "4096", "1", "1"],
        &["nonsense", "4096", "1"],
        &["echo", "0", "1"],
        &["echo", "many", "1"],
        &["echo", "4096", "0"],
    ];
    wrong.iter().try_for_each(|arguments| peer.ends_with(arguments, 2))
}
