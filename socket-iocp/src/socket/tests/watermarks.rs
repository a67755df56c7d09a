//! The marks of the bytes queued. What is queued is the worker's to say: here it is made up.

use super::{Under, events, send, steps};
use crate::handle::Marks;
use crate::socket::Origin;

const MARKS: Marks = Marks { high: 10, low: 4 };

#[test]
fn each_is_told_once_a_crossing() {
    let mut machine = Under::new(Origin::Connected, true);
    let mut told = |queued| {
        machine.weigh(queued, MARKS);
        events(&mut machine)
    };
    let nothing: [&str; 0] = [];
    assert_eq!(told(10), nothing);
    assert_eq!(told(11), ["high"]);
    assert_eq!(told(30), nothing);
    assert_eq!(told(5), nothing);
    assert_eq!(told(12), nothing);
    assert_eq!(told(4), ["low"]);
    assert_eq!(told(0), nothing);
    assert_eq!(told(11), ["high"]);
}

#[test]
fn the_high_one_comes_before_the_sends_that_crossed_it() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    machine.weigh(11, MARKS);
    steps(&mut machine);
    machine.send_ended(Ok(3));
    assert_eq!(machine.events_due(), 2);
    assert_eq!(events(&mut machine), ["high", "sent 1 3 Ok(())"]);
}

#[test]
fn a_crossing_back_before_it_is_told_leaves_nothing() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.weigh(11, MARKS);
    machine.weigh(9, MARKS);
    assert_eq!(machine.events_due(), 0);
    machine.weigh(11, MARKS);
    assert_eq!(events(&mut machine), ["high"]);
    machine.weigh(0, MARKS);
    machine.weigh(5, MARKS);
    assert_eq!(machine.events_due(), 0);
}

#[test]
fn a_socket_that_takes_no_sends_crosses_none() {
    let endings: [fn(&mut Under); 3] =
        [|machine| machine.shutdown_send(), |machine| assert!(machine.close()), |machine| machine.end_foreign()];
    for end in endings {
        let mut machine = Under::new(Origin::Connected, true);
        machine.weigh(11, MARKS);
        end(&mut machine);
        assert!(!events(&mut machine).contains(&"high".to_owned()));
        machine.weigh(0, MARKS);
        assert!(!events(&mut machine).contains(&"low".to_owned()));
    }
}
