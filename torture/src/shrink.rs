//! Cutting a program that fails down to what makes it fail.

use crate::program::Program;

/// The shortest program found that still fails: parts are left out, large ones first, as long as one can be. `fails` runs
/// a program.
pub fn shrink(program: &Program, mut fails: impl FnMut(&Program) -> bool) -> Program {
    let mut best = program.clone();
    let mut part = best.ops.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < best.ops.len() {
            let mut candidate = best.clone();
            let end = (at + part).min(candidate.ops.len());
            candidate.ops.drain(at..end);
            if fails(&candidate) {
                best = candidate;
                shorter = true;
            } else {
                at += part;
            }
        }
        if !shorter || part > 1 {
            part /= 2;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Op;

    #[test]
    fn what_does_not_matter_goes() {
        let mut program = Program::from_seed(1);
        program.ops = (0..200).map(|at| Op::Run(at as u8, 1)).collect();
        let needed = [Op::Run(17, 1), Op::Run(150, 1)];
        let shrunk = shrink(&program, |program| needed.iter().all(|op| program.ops.contains(op)));
        assert_eq!(shrunk.ops, needed);
    }
}
