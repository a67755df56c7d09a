//! Running a target on the inputs that are kept for it.

use std::path::Path;
use std::{fs, panic};

/// Runs a target on every input that is kept for it.
pub fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let entries = fs::read_dir(&folder).expect("the corpus");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    assert!(!names.is_empty(), "no input in {}", folder.display());
    for name in &names {
        let input = fs::read(name).expect("an input");
        assert!(panic::catch_unwind(|| run(&input)).is_ok(), "see above; the input is {}", name.display());
    }
}
