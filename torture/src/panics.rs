//! A panic of the engine is a rule broken: it goes into the outcome with its place, and not to standard error.

use crate::refusal;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `body`; if a panic has left it, the place and text of the first one: what follows comes of that.
pub(crate) fn caught(body: impl FnOnce()) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(hook);
    RUNNING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    RUNNING.set(false);
    let first = FIRST.take();
    result.is_err().then_some(first)
}

/// Keeps the panics of programs; those of other threads go where they went before.
fn hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if RUNNING.get() {
            // Telling it takes memory, and it may come of a refusal.
            refusal::end();
            FIRST.with_borrow_mut(|first| {
                if first.is_empty() {
                    *first = panic.to_string();
                }
            });
        } else {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        let told = caught(|| panic!("on purpose")).expect("it panicked");
        assert!(told.contains(file!()) && told.ends_with("on purpose"), "{told}");
        assert_eq!(caught(|| ()), None);
    }

    #[test]
    fn of_several_panics_the_first_is_told() {
        let body = || {
            let _ = panic::catch_unwind(|| panic!("first"));
            panic!("second");
        };
        assert!(caught(body).expect("it panicked").ends_with("first"));
        // One that nobody was told of does not count for the next program.
        assert_eq!(caught(|| drop(panic::catch_unwind(|| panic!("kept inside")))), None);
        assert!(caught(|| panic!("next")).expect("it panicked").ends_with("next"));
    }

    #[test]
    fn a_panic_ends_the_refusal_that_it_came_of() {
        let told = caught(|| refusal::refuse(|| panic!("refused: {}", "on purpose")));
        assert!(told.expect("it panicked").ends_with("refused: on purpose"));
        assert!(!refusal::is_on());
    }
}
