//! What came of the torture, as text and as JSON.

use crate::failure::one_line;
use crate::report::{Lines, counted, rate_text, thousands};
use serde::Serialize;
use socket_iocp_torture::{Failure, Program};

/// What was done and found. Its fields are the JSON document's.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The first program's; `None` for one program from a file.
    pub seed: Option<u64>,
    /// Programs run: those of the seeds from the first one on.
    pub programs: u64,
    pub operations: u64,
    /// Callbacks shown to the model.
    pub callbacks: u64,
    pub seconds: f64,
    pub threads: u64,
    pub interrupted: bool,
    pub failure: Option<Broken>,
}

/// A rule that was broken.
#[derive(Debug, Serialize)]
pub struct Broken {
    /// The program's; `None` for one from a file.
    pub seed: Option<u64>,
    /// What it broke.
    pub broken: String,
    pub shrunk: Option<Shrunk>,
}

/// The shortest program found that breaks a rule.
#[derive(Debug, Serialize)]
pub struct Shrunk {
    /// What it breaks, which need not be the same.
    pub broken: String,
    pub program: Program,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Broken {
        let (program, broken) = failure.shrunk;
        let shrunk = Shrunk { broken: one_line(&broken), program };
        Broken { seed: Some(failure.seed), broken: one_line(&failure.broken), shrunk: Some(shrunk) }
    }
}

impl Summary {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut lines = Lines::default();
        let interrupted = if self.interrupted { " (interrupted)" } else { "" };
        let rate = if self.seconds > 0.0 { self.operations as f64 / self.seconds } else { 0.0 };
        lines
            .add("operations", format!("{} in {:.2} s{interrupted}", thousands(self.operations), self.seconds))
            .add("rate", format!("{} operations/s on {}", rate_text(rate), counted(self.threads, "thread")))
            .add("programs", self.programs_text())
            .add("callbacks", format!("{}, every one checked", thousands(self.callbacks)));
        let (broken, seed, programs) = match &self.failure {
            None => ("no rule", self.seed, self.programs),
            Some(failure) => (failure.broken.as_str(), failure.seed, 1),
        };
        lines.add("broken", broken);
        if let Some(seed) = seed {
            lines.add("again", format!("socket-iocp torture --seed {seed} --programs {programs}"));
        }
        let shrunk = self.failure.as_ref().and_then(|broken| broken.shrunk.as_ref());
        shrunk.inspect(|shrunk| shrunk.add_to(&mut lines));
        lines.text().to_owned()
    }

    fn programs_text(&self) -> String {
        match (self.seed, self.programs) {
            (None, _) => "1, from a file".to_owned(),
            (Some(seed), 1) => format!("1, of seed {seed}"),
            (Some(seed), programs) => {
                let last = seed.wrapping_add(programs).wrapping_sub(1);
                format!("{}, of the seeds {seed} to {last}", thousands(programs))
            }
        }
    }
}

impl Shrunk {
    /// The program comes as lines that are a file for `--program`.
    fn add_to(&self, lines: &mut Lines) {
        let count = counted(self.program.ops.len() as u64, "operation");
        lines
            .add("cut down", format!("to {count}: {}", self.broken))
            .add("again", "socket-iocp torture --program FILE, with these lines in the file:")
            .heading(&program_text(&self.program));
    }
}

/// The program as JSON, an operation a line.
fn program_text(program: &Program) -> String {
    let json = |value: serde_json::Result<String>| value.expect("a program is plain data");
    let ops: Vec<String> = program.ops.iter().map(|op| json(serde_json::to_string(op))).collect();
    format!("{{\"setup\":{},\n\"ops\":[\n{}\n]}}", json(serde_json::to_string(&program.setup)), ops.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket_iocp_torture::{Call, Op};

    fn summary(failure: Option<Broken>) -> Summary {
        Summary {
            seed: Some(7),
            programs: 1200,
            operations: 400_000,
            callbacks: 90_000,
            seconds: 2.0,
            threads: 2,
            interrupted: true,
            failure,
        }
    }

    fn failure() -> Failure {
        let mut program = Program::from_seed(9);
        program.ops = vec![Op::Add, Op::Call(3, Call::Send(20))];
        Failure { seed: 9, broken: "panicked at x.rs:1:\nlost".into(), shrunk: (program, "a second farewell".into()) }
    }

    #[test]
    fn the_text_tells_how_to_do_it_again() {
        let text = summary(None).text();
        for part in [
            "operations   400,000 in 2.00 s (interrupted)\n",
            "rate         200,000 operations/s on 2 threads\n",
            "programs     1,200, of the seeds 7 to 1206\n",
            "callbacks    90,000, every one checked\n",
            "broken       no rule\nagain        socket-iocp torture --seed 7 --programs 1200\n",
        ] {
            assert!(text.contains(part), "'{part}' is missing in\n{text}");
        }
    }

    #[test]
    fn a_failure_comes_with_its_program() {
        let text = summary(Some(failure().into())).text();
        let (before, program) = text.split_once("in the file:\n").expect("the program");
        for part in [
            "broken       panicked at x.rs:1: lost\nagain        socket-iocp torture --seed 9 --programs 1\n",
            "cut down     to 2 operations: a second farewell\n",
        ] {
            assert!(before.contains(part), "'{part}' is missing in\n{text}");
        }
        assert_eq!(program.lines().count(), 5, "{program}");
        assert_eq!(serde_json::from_str::<Program>(program).expect("JSON"), failure().shrunk.0);
    }
}
