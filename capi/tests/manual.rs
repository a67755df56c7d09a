//! The manual that the build script makes says what the header says: a page a call, and no word of its text lost.

#[path = "../build/header.rs"]
mod header;
#[path = "../build/manual.rs"]
mod manual;
#[path = "../build/roff.rs"]
mod roff;
#[path = "../build/text.rs"]
mod text;

use header::Header;
use std::collections::{BTreeMap, BTreeSet};

/// The header, its lines as they are in the repository, whatever a checkout has made of them.
fn header_text() -> String {
    include_str!(env!("SOCKET_IOCP_HEADER")).replace("\r\n", "\n")
}

fn pages() -> BTreeMap<String, String> {
    pages_of(&header_text())
}

fn pages_of(header: &str) -> BTreeMap<String, String> {
    manual::pages(&Header::read(header), "0.0.0").into_iter().collect()
}

/// The words of a page, without what is roff's.
fn words(page: &str) -> Vec<String> {
    let mut plain = page.to_owned();
    let unescaped = [
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(ti", "~"),
        ("\\:", ""),
        ("\\&", ""),
    ];
    for (escaped, text) in unescaped {
        plain = plain.replace(escaped, text);
    }
    words_of(&plain)
}

fn words_of(text: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_word(letter)).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether all of these words are there, in this order, whatever is between them.
fn first_missing<'w>(words: &'w [String], page: &[String]) -> Option<&'w str> {
    let mut rest = page.iter();
    words.iter().find(|word| !rest.any(|found| found == *word)).map(String::as_str)
}

#[test]
fn every_declared_call_has_a_page() {
    // What tests/c/run takes for a declaration.
    let text = header_text();
    let declared = text
        .lines()
        .filter(|line| ["int ", "void ", "const char *"].iter().any(|kind| line.starts_with(kind)))
        .filter_map(|line| line.split('(').next()?.split([' ', '*']).next_back())
        .filter(|name| name.starts_with("socket_iocp_"));
    let mut expected: Vec<String> = declared.map(|name| format!("{name}.3")).collect();
    expected.push("socket_iocp.3".to_owned());
    expected.sort();
    assert_eq!(pages().into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn nothing_that_is_said_of_a_call_is_lost() {
    let (header, pages) = (Header::read(&header_text()), pages());
    for call in header.calls() {
        let page = words(&pages[&format!("{}.3", call.name)]);
        for block in text::blocks(&call.comment) {
            let said = match &block {
                text::Block::Paragraph(text) => text.clone(),
                text::Block::Item { term, text } => format!("{term} {text}"),
                block => panic!("no page has been asked for this: {block:?}"),
            };
            // Pages and errors are put in another order, so these words are looked for one by one.
            let is_list = said.starts_with("See ") || said.contains("Errors: ") || said.starts_with("Environment: ");
            let wanted = words_of(said.split_once(' ').filter(|_| is_list).map_or(&said, |(_, list)| list));
            match is_list {
                true => wanted.iter().for_each(|word| assert!(page.contains(word), "{}: {word}", call.name)),
                false => assert_eq!(first_missing(&wanted, &page), None, "{}: {said}", call.name),
            }
        }
        for parameter in &call.parameters {
            assert!(page.contains(&parameter.name), "{}: {}", call.name, parameter.name);
        }
    }
}

#[test]
fn nothing_of_the_overview_is_lost() {
    let header = Header::read(&header_text());
    let page = words(&pages()["socket_iocp.3"]);
    let said = header.overview.split_once(" - ").expect("the title").1;
    assert_eq!(first_missing(&words_of(said), &page), None);
    assert_eq!(
        header.meaning("SOCKET_IOCP_E_EOF"),
        Some("the peer has finished sending and all of it has been received")
    );
}

/// Whatever form the header takes on: all that it says from its first part on is on some page.
#[test]
fn every_word_of_the_header_is_on_a_page() {
    let all: BTreeSet<String> = pages().values().flat_map(|page| words(page)).collect();
    let text = header_text();
    let (_, parts) = text.split_once("/* ----").expect("a first part");
    let (parts, _) = parts.rsplit_once("#ifdef __cplusplus").expect("the end of the last one");
    for line in parts.lines() {
        // An initializer is left out.
        let line = line.split_once("_INIT {").map_or(line, |(name, _)| name);
        words_of(line).iter().for_each(|word| assert!(all.contains(word), "{word} of {line}"));
    }
}

#[test]
fn an_error_has_its_reason_or_the_meaning_of_its_code() {
    let pages = pages();
    let add = &pages["socket_iocp_add_listen_socket.3"];
    assert!(add.contains("\\fBSOCKET_IOCP_E_INVALID_ARGUMENT\\fR\nbacklog 0\n"), "{add}");
    assert!(add.contains("\\fBSOCKET_IOCP_E_NOT_STREAM\\fR\nnot a stream socket\n"), "{add}");
    assert!(pages["socket_iocp_new_with_options.3"].contains("\nAs \\fBsocket_iocp_new\\fR().\n"));
    // They may end a paragraph.
    let apart = " *\n * Errors: SOCKET_IOCP_E_BUSY (a recv is";
    assert!(header_text().contains(apart));
    assert_eq!(pages_of(&header_text().replace(apart, &apart[3..])), pages);
}

#[test]
fn a_comment_comes_apart() {
    use text::Block;
    let comment = "Does it: at once.\n\n  count: how many\n  there are.\n\nHEADING\n\n1. One\n   more.\n2. Two.\n\n- A\n  thing.\n- B.\n\n    code( 1 );\n      more\n\nEnd.";
    let item = |term: &str, text: &str| Block::Item { term: term.to_owned(), text: text.to_owned() };
    let expected = [
        Block::Paragraph("Does it: at once.".to_owned()),
        item("count", "how many there are."),
        Block::Heading("HEADING".to_owned()),
        item("1.", "One more."),
        item("2.", "Two."),
        item("-", "A thing."),
        item("-", "B."),
        Block::Code(vec!["code( 1 );".to_owned(), "  more".to_owned()]),
        Block::Paragraph("End.".to_owned()),
    ];
    assert_eq!(text::blocks(comment), expected);
}
