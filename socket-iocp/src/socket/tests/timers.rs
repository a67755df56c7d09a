//! The timer.

use super::*;

#[test]
fn a_timer_has_one_callback() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_timer();
    assert!(machine.timer_runs() && !machine.has_event());
    machine.timer_passed();
    machine.cancel_timer();
    assert_eq!(events(&mut machine), ["timer Ok(())"]);
    machine.timer_passed();
    assert_eq!(events(&mut machine), Vec::<String>::new());
    machine.issue_timer();
    machine.cancel_timer();
    assert_eq!(events(&mut machine), ["timer Err(Cancelled)"]);
}

#[test]
fn a_timer_is_reported_before_the_farewell() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_timer();
    machine.end(None, Close::HandBack);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["timer Err(Cancelled)", "farewell Ok(()) HandBack"]);
}
