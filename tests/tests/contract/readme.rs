//! The README's C program is the tested example, not a copy that has gone its own way.

#[test]
fn the_c_program_is_the_example() {
    let readme = include_str!("../../../README.md");
    let example = include_str!("../../../examples/c/echo.c");
    assert!(readme.contains(&format!("```c\n{example}```")), "README.md differs from examples/c/echo.c");
}
