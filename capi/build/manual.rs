//! The manual, made from `socket_iocp.h`: `socket_iocp(3)`, and a page for each call.

use crate::header::{Call, Header, Part, Type};
use crate::roff::{Page, Word};
use crate::text::{Block, blocks, split_outside};

/// The day of the release that the pages describe; it changes with the version.
const DATE: &str = "2026-11-23";
/// Widest line of a synopsis.
const WIDTH: usize = 76;

/// All pages: their files' names and what is in them.
pub fn pages(header: &Header, version: &str) -> Vec<(String, String)> {
    let overview = ("socket_iocp.3".to_owned(), overview(header, version));
    let calls = header.parts.iter().flat_map(|part| part.calls.iter().map(move |call| (part, call)));
    let calls = calls.map(|(part, call)| (format!("{}.3", call.name), page(header, part, call, version)));
    std::iter::once(overview).chain(calls).collect()
}

fn overview(header: &Header, version: &str) -> String {
    let mut page = Page::new("socket_iocp", DATE, version);
    let mut blocks = blocks(&header.overview).into_iter();
    let Some(Block::Paragraph(title)) = blocks.next() else { panic!("the header begins with its title") };
    let (_, what) = title.split_once(" - ").expect("the title says what it is");
    begin(&mut page, "socket_iocp", what.trim_end_matches('.'), &[]);
    page.section("DESCRIPTION");
    write_blocks(&mut page, blocks);
    page.section("CALLS");
    header.parts.iter().for_each(|part| list(&mut page, part));
    header.types.iter().for_each(|found| write_type(&mut page, found));
    see_also(&mut page, ["epoll(7)", "io_uring(7)", "kqueue(2)", "socket(7)"].map(str::to_owned).to_vec());
    page.finish()
}

fn list(page: &mut Page, part: &Part) {
    page.subsection(&part.title);
    write_blocks(page, blocks(&part.comment));
    for call in &part.calls {
        page.item(&format!("{}(3)", call.name), &summary(&call.comment));
    }
}

/// A call's comment, by what its paragraphs are for.
#[derive(Default)]
struct Comment {
    said: Vec<Block>,
    errors: String,
    environment: String,
    see: String,
}

impl Comment {
    fn read(comment: &str) -> Comment {
        let mut read = Comment::default();
        for block in blocks(comment) {
            let Block::Paragraph(text) = &block else {
                read.said.push(block);
                continue;
            };
            // The errors may end a paragraph; the others are paragraphs of their own.
            let (said, errors) = match text.strip_prefix("Errors: ") {
                Some(errors) => ("", errors),
                None => text.split_once(" Errors: ").unwrap_or((text, "")),
            };
            read.errors.push_str(errors);
            if let Some(text) = said.strip_prefix("Environment: ") {
                read.environment = text.to_owned();
            } else if let Some(list) = said.strip_prefix("See ") {
                read.see = list.to_owned();
            } else if !said.is_empty() {
                read.said.push(Block::Paragraph(said.to_owned()));
            }
        }
        read
    }
}

fn page(header: &Header, part: &Part, call: &Call, version: &str) -> String {
    let mut page = Page::new(&call.name, DATE, version);
    let comment = Comment::read(&call.comment);
    begin(&mut page, &call.name, &summary(&call.comment), &prototype(call));
    page.section("DESCRIPTION");
    write_blocks(&mut page, comment.said);
    write_blocks(&mut page, blocks(&part.comment));
    call.types.iter().for_each(|found| write_type(&mut page, found));
    if call.result == "int " {
        write_errors(&mut page, header, &comment.errors);
    } else {
        assert_eq!(comment.errors, "", "{} has errors and no way to tell them", call.name);
    }
    if !comment.environment.is_empty() {
        page.section("ENVIRONMENT");
        page.text(&comment.environment);
    }
    let (mut pages, windows) = references(&comment.see);
    pages.extend(calls_named(header, call).map(|other| format!("{}(3)", other.name)));
    pages.push("socket_iocp(3)".to_owned());
    see_also(&mut page, pages);
    if !windows.is_empty() {
        page.paragraph(&format!("{}.", windows.join("; ")));
    }
    page.finish()
}

/// The other calls that a call's comment names.
fn calls_named<'h>(header: &'h Header, call: &'h Call) -> impl Iterator<Item = &'h Call> {
    let named = |name: &str| call.comment.split(|letter| !is_in_name(letter)).any(|word| word == name);
    header.calls().filter(move |other| other.name != call.name && named(&other.name))
}

fn is_in_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What every page begins with.
fn begin(page: &mut Page, name: &str, summary: &str, prototype: &[Vec<Word>]) {
    page.name(name, summary);
    page.section("LIBRARY");
    page.text("socket-iocp (libsocket_iocp, -lsocket_iocp; pkg-config, CMake: socket_iocp)");
    page.section("SYNOPSIS");
    page.synopsis(&[vec![Word::Fixed("#include <socket_iocp.h>".to_owned())]]);
    if !prototype.is_empty() {
        page.synopsis(prototype);
    }
}

/// What a call does in a few words: the beginning of its comment.
fn summary(comment: &str) -> String {
    let Some(Block::Paragraph(first)) = blocks(comment).into_iter().next() else { return String::new() };
    // "POSIX: stores ..." has its verb behind the colon.
    let first = match first.split_once(": ") {
        Some((system, rest)) if !system.contains(' ') => rest.to_owned(),
        _ => first,
    };
    let first = first.replace("...", "\u{2026}");
    let cut = |text: &str, stops: &[&str]| {
        let end = stops.iter().filter_map(|stop| text.find(stop)).min();
        text[..end.unwrap_or(text.len())].trim_end_matches('.').to_owned()
    };
    let mut text = cut(&first, &[". ", ": ", "; ", " (", ", or ", ", which ", ", see "]);
    if text.len() > WIDTH {
        text = cut(&text, &[", ", " and "]);
    }
    let text = text.replace('\u{2026}', "...");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |letter| letter.to_lowercase().chain(letters).collect())
}

/// The lines of a call's declaration: one, or one for each parameter, and more for those that are pointers to functions.
fn prototype(call: &Call) -> Vec<Vec<Word>> {
    let fixed = |text: &str| Word::Fixed(text.to_owned());
    let begin = format!("{}{}(", call.result, call.name);
    let Some(last) = call.parameters.len().checked_sub(1) else { return vec![vec![fixed(&format!("{begin}void);"))]] };
    let end = |index| if index == last { ");" } else { "," };
    let width: usize = call.parameters.iter().map(|one| one.before.len() + one.name.len() + one.after.len() + 2).sum();
    if begin.len() + width < WIDTH {
        let mut words = vec![fixed(&begin)];
        for (index, one) in call.parameters.iter().enumerate() {
            let space = if index == last { "" } else { " " };
            words.extend([
                fixed(&one.before),
                Word::Name(one.name.clone()),
                fixed(&one.after),
                fixed(end(index)),
                fixed(space),
            ]);
        }
        return vec![words];
    }
    let mut lines = vec![vec![fixed(&begin)]];
    for (index, one) in call.parameters.iter().enumerate() {
        // The parameters of a pointer's function may need lines of their own.
        let after = format!("{}{}", one.after, end(index));
        let mut room = WIDTH.saturating_sub(8 + one.before.len() + one.name.len());
        let mut line = vec![fixed(&format!("        {}", one.before)), Word::Name(one.name.clone())];
        for piece in after.split_inclusive(',') {
            if piece.len() > room {
                lines.push(std::mem::take(&mut line));
                line.push(fixed("                "));
                room = WIDTH - 16;
            }
            room = room.saturating_sub(piece.len());
            line.push(fixed(if line.len() == 1 { piece.trim_start() } else { piece }));
        }
        lines.push(line);
    }
    lines
}

fn write_blocks(page: &mut Page, blocks: impl IntoIterator<Item = Block>) {
    for block in blocks {
        match block {
            Block::Heading(title) => page.section(&title),
            Block::Paragraph(text) => page.paragraph(&text),
            Block::Item { term, text } => page.item(&term, &text),
            Block::Code(lines) => page.code(lines),
        }
    }
}

fn write_type(page: &mut Page, found: &Type) {
    let title = if found.head.is_empty() { "Constants" } else { found.head.trim_start_matches("enum ") };
    page.subsection(title.trim_start_matches("struct "));
    write_blocks(page, blocks(&found.comment));
    let declared = found.members.iter().filter(|member| !member.declaration.is_empty());
    if found.head.is_empty() {
        page.code(declared.map(|member| format!("#define {}", member.declaration)));
        return;
    }
    let separator = if found.head.starts_with("enum ") { "," } else { ";" };
    let lines = declared.map(|member| format!("    {}{separator}", member.declaration));
    page.code([format!("{} {{", found.head)].into_iter().chain(lines).chain(["};".to_owned()]));
    for member in found.members.iter().filter(|member| !member.comment.is_empty()) {
        match member.declaration.as_str() {
            "" => page.paragraph(&member.comment),
            declaration => page.item(name_of(declaration), &member.comment),
        }
    }
}

/// The name that a member's declaration declares.
fn name_of(declaration: &str) -> &str {
    let declaration = declaration.split(" = ").next().unwrap_or(declaration);
    match declaration.split_once("(*") {
        Some((_, rest)) => rest.split(')').next().unwrap_or(rest),
        None => declaration.rsplit(|letter| !is_in_name(letter)).next().unwrap_or(declaration),
    }
}

/// The errors of a call. Each code may be followed by its reason in brackets; what is no code is a sentence.
fn write_errors(page: &mut Page, header: &Header, list: &str) {
    page.section("RETURN VALUE");
    page.text(
        "0 for success, else one of the negative codes below; then nothing has changed, and no callback comes of it.",
    );
    page.section("ERRORS");
    let mut sentence = Vec::new();
    for piece in split_outside(list.trim_end_matches('.'), &[',', ';']) {
        let (code, reason) = piece.split_once(' ').unwrap_or((&piece, ""));
        let Some(meaning) = header.meaning(code) else {
            sentence.push(piece);
            continue;
        };
        write_sentence(page, &mut sentence);
        let reason = reason.strip_prefix('(').and_then(|reason| reason.strip_suffix(')')).unwrap_or(reason);
        page.item(code, if reason.is_empty() { meaning } else { reason });
    }
    write_sentence(page, &mut sentence);
    page.paragraph("Those that can come of many calls are in socket_iocp(3), under RESULTS.");
}

/// What is no code among the errors: "as another call".
fn write_sentence(page: &mut Page, pieces: &mut Vec<String>) {
    if !pieces.is_empty() {
        page.paragraph(&format!("{}.", upper_first(&pieces.join(", "))));
        pieces.clear();
    }
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |letter| letter.to_uppercase().chain(letters).collect())
}

/// What "See" names: pages of the manual, and Windows' functions.
fn references(see: &str) -> (Vec<String>, Vec<String>) {
    let pieces = split_outside(see.trim_end_matches('.'), &[',', ';']);
    pieces.into_iter().partition(|piece| piece.ends_with(')') && !piece.contains(' '))
}

fn see_also(page: &mut Page, mut pages: Vec<String>) {
    pages.sort();
    pages.dedup();
    page.section("SEE ALSO");
    page.text(&pages.join(", "));
}
