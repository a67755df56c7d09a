//! The demonstration, which is what no command means.

mod common;

use common::{describe, on_each_backend, plain_tool, run, tool};

#[test]
fn the_demo_prints_its_table_and_exits_with_0() {
    on_each_backend(|backend| {
        let output = run(&mut tool(backend, &["demo", "--duration", "2", "--connections", "20"]));
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        for part in [&format!("backend      {backend}\n"), "workers", "20, from 1 load thread", "messages/s", "p99.9"] {
            assert!(text.contains(part), "'{part}' is missing in\n{text}");
        }
        assert!(text.contains("errors       none"), "{text}");
        let progress = String::from_utf8(output.stderr).expect("UTF-8");
        let plain = progress.lines().all(|line| line.ends_with(" messages/s"));
        assert!(plain && !progress.is_empty(), "plain lines where stderr is no terminal: {progress}");
    });
}

#[test]
fn no_command_means_the_demo() {
    let output = run(&mut plain_tool(&[]));
    assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("100, from 1 load thread") && text.contains(" in 3."), "{text}");
}
