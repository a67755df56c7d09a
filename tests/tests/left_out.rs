//! What is left out on this platform is said, by name and with its reason; and the table of it is about tests that exist,
//! and has every file that does not compile everywhere.

use socket_iocp_testkit::{LEFT_OUT, On, say_left_out};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file of tests.
struct File {
    /// Its tests, without their backends.
    tests: Vec<String>,
    /// Whether it compiles on Windows.
    on_windows: bool,
}

/// The files of tests by the name of their binary, or of their module in the contract's.
fn files() -> BTreeMap<String, File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let contract = fs::read_to_string(folder.join("contract/main.rs")).expect("the contract's modules");
    let mut files = BTreeMap::new();
    for (prefix, folder) in [("", folder.clone()), ("contract::", folder.join("contract"))] {
        for entry in fs::read_dir(folder).expect("the folder of the tests") {
            let path = entry.expect("a file").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            if path.extension().is_none_or(|extension| extension != "rs") || stem == "main" {
                continue;
            }
            let source = fs::read_to_string(&path).expect("a source").replace("\r\n", "\n");
            let name = format!("{prefix}{stem}");
            let elsewhere = contract.replace("\r\n", "\n").contains(&format!("#[cfg(unix)]\nmod {stem};"));
            let on_windows = !(elsewhere
                || source.contains("\n#![cfg(unix)]")
                || source.contains("\n#![cfg(target_os = \"linux\")]"));
            files.insert(name.clone(), File { tests: tests_in(&name, &source), on_windows });
        }
    }
    files
}

/// The names that a source gives to `on_every_backend!`, and those of its other tests.
fn tests_in(file: &str, source: &str) -> Vec<String> {
    let lists = source.split("on_every_backend!(").skip(1).filter_map(|rest| rest.split_once(')'));
    let names = lists.flat_map(|(list, _)| list.trim_start().trim_start_matches("real:").split(','));
    let single = source.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split_once('(')).map(|(name, _)| name);
    names.chain(single).map(str::trim).filter(|name| !name.is_empty()).map(|name| format!("{file}::{name}")).collect()
}

#[test]
fn the_table_is_about_tests_that_exist() {
    let files = files();
    for entry in LEFT_OUT {
        let is_file = files.contains_key(entry.tests);
        let is_test = |test: &String| {
            let rest = entry.tests.strip_prefix(test.as_str());
            rest.is_some_and(|rest| ["", "::iocp", "::iocp_pending", "::iocp_idle_reads"].contains(&rest))
        };
        assert!(is_file || files.values().flat_map(|file| &file.tests).any(is_test), "no test {}", entry.tests);
    }
}

#[test]
fn the_table_has_every_file_that_does_not_compile_on_windows() {
    for (name, file) in files() {
        assert!(!file.tests.is_empty(), "{name} has no tests");
        let is_listed = LEFT_OUT.iter().any(|entry| entry.on == On::Windows && entry.tests == name);
        assert!(is_listed || file.on_windows, "{name} is not in the table");
    }
}

/// Those that compile say so themselves.
#[test]
fn those_that_do_not_compile_here_are_said() {
    for (name, file) in files().iter().filter(|(_, file)| cfg!(windows) && !file.on_windows) {
        let entry = LEFT_OUT.iter().find(|entry| entry.on == On::Windows && entry.tests == name);
        let reason = entry.expect("the table has it, as the test above says").reason;
        file.tests.iter().for_each(|test| say_left_out(test, reason));
    }
}
