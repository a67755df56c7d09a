//! `socket-iocp torture`: what it finds can be repeated. In a build without it, how to get it.

mod common;

#[cfg(not(feature = "torture"))]
mod absent {
    use crate::common::{cannot_start, plain_tool};

    #[test]
    fn a_build_without_it_says_how_to_get_it() {
        let line = cannot_start(&mut plain_tool(&["torture", "--seed", "1", "--operations", "1000000"]));
        let command =
            "cargo run --release -p socket-iocp-cli --features torture -- torture --seed 1 --operations 1000000";
        assert!(line.ends_with(command), "{line}");
    }
}

#[cfg(feature = "torture")]
mod present {
    use crate::common::{Running, cannot_start, describe, json, plain_tool, run};
    use serde_json::Value;

    /// The document of a run in which no rule was broken.
    fn healthy(arguments: &[&str]) -> Value {
        let output = run(plain_tool(&["torture", "--json"]).args(arguments));
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let summary = json(&output);
        assert_eq!(summary["failure"], Value::Null);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(stderr.lines().next(), Some(format!("seed {}", summary["seed"]).as_str()), "the seed comes first");
        summary
    }

    /// What a run did, which must be the same when it is done again.
    fn work(summary: &Value) -> [u64; 4] {
        ["seed", "programs", "operations", "callbacks"].map(|name| summary[name].as_u64().expect("a number"))
    }

    #[test]
    fn a_number_of_operations_is_reached() {
        let [seed, programs, operations, callbacks] = work(&healthy(&["--seed", "1", "--operations", "20000"]));
        assert_eq!(seed, 1);
        assert!(operations >= 20_000 && callbacks > programs && programs > 1);
    }

    #[test]
    fn the_same_programs_do_the_same() {
        let one_thread = healthy(&["--seed", "12", "--programs", "40", "--threads", "1"]);
        let three_threads = healthy(&["--seed", "12", "--programs", "40", "--threads", "3"]);
        assert_eq!(work(&one_thread), work(&three_threads));
        assert_eq!((&one_thread["threads"], &three_threads["threads"]), (&1.into(), &3.into()));
        assert_eq!(one_thread["programs"], 40);
    }

    #[test]
    fn without_a_seed_it_is_a_new_one() {
        let [first, second] = [(); 2].map(|()| healthy(&["--programs", "1"]));
        assert_ne!(first["seed"], second["seed"]);
    }

    #[test]
    fn an_interrupted_run_reports_what_it_has_and_can_be_repeated() {
        let endless = ["torture", "--json", "--seed", "3", "--operations", "18446744073709551615"];
        let mut torture = Running::start(&mut plain_tool(&endless));
        assert_eq!(torture.stderr_line(), "seed 3");
        let progress = torture.stderr_line();
        assert!(progress.ends_with(" operations/s"), "{progress}");
        torture.interrupt();
        let output = torture.end();
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let summary = json(&output);
        assert_eq!(summary["interrupted"], true);
        let again = healthy(&["--seed", "3", "--programs", &summary["programs"].to_string()]);
        assert_eq!(work(&summary), work(&again));
        assert_eq!(again["interrupted"], false);
    }

    #[test]
    fn what_is_no_program_is_one_line_and_exit_code_2() {
        let line = cannot_start(&mut plain_tool(&["torture", "--program", "no/such/file"]));
        assert!(line.contains("cannot use no/such/file: "), "{line}");
        let line = cannot_start(&mut plain_tool(&[
            "torture",
            "--program",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ]));
        assert!(line.contains("Cargo.toml: expected"), "{line}");
    }
}

/// That it can fail: in a build of its own, see `./test`.
#[cfg(all(feature = "torture", socket_iocp_planted))]
mod planted {
    use crate::common::{describe, json, plain_tool, run};
    use std::fs;
    use std::process::Output;

    const BUG: &str = "RecvTwice";

    fn torture(arguments: &[&str]) -> Output {
        run(plain_tool(&["torture"]).args(arguments))
    }

    /// The output of a run in which the planted bug is found.
    fn found(arguments: &[&str]) -> Output {
        let output = torture(&[&["--plant", BUG], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", describe(&output));
        output
    }

    /// The rule that was broken, without the state in which it was seen: handles have the numbers of slots, which the process
    /// uses again from program to program.
    fn rule(failure: &serde_json::Value) -> &str {
        let broken = failure["broken"].as_str().expect("a text");
        broken.split_once(": Socket").map_or(broken, |(rule, _)| rule)
    }

    #[test]
    fn a_broken_rule_is_found_again_by_its_seed_and_by_its_program() {
        let summary = json(&found(&["--seed", "0", "--operations", "3000000", "--json"]));
        let failure = &summary["failure"];
        let seed = failure["seed"].to_string();

        let again = json(&found(&["--seed", &seed, "--programs", "1", "--json"]));
        assert_eq!((&again["failure"]["seed"], rule(&again["failure"])), (&failure["seed"], rule(failure)));

        let text = String::from_utf8(found(&["--seed", &seed, "--programs", "1"]).stdout).expect("UTF-8");
        assert!(text.contains(&format!("socket-iocp torture --seed {seed} --programs 1\n")), "{text}");
        let (_, program) = text.split_once("in the file:\n").expect("the program");
        let file = std::env::temp_dir().join(format!("socket-iocp-torture-{}.json", std::process::id()));
        fs::write(&file, program).expect("a temporary file");
        let name = file.to_str().expect("UTF-8");
        let by_program = json(&found(&["--program", name, "--json"]));
        let healthy = torture(&["--program", name]);
        fs::remove_file(&file).expect("it is there");
        assert_eq!(rule(&by_program["failure"]), rule(&failure["shrunk"]));
        assert_eq!(healthy.status.code(), Some(0), "{}", describe(&healthy));
    }
}
