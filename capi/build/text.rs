//! Takes a comment of the header apart into what a page of the manual is made of.

/// A piece of a comment.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// A line in capital letters.
    Heading(String),
    Paragraph(String),
    /// Something that is named and then spoken of: a parameter, a code, a numbered rule; or an item of a list, named by a dash.
    Item {
        term: String,
        text: String,
    },
    /// Lines that stay as they are.
    Code(Vec<String>),
}

pub fn blocks(comment: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in comment.lines() {
        let text = line.trim();
        let indentation = line.len() - line.trim_start().len();
        let begun = match &mut open {
            _ if text.is_empty() => None,
            None if indentation == 0 && is_heading(text) => Some(Block::Heading(text.to_owned())),
            None | Some(Block::Code(_)) if indentation >= 4 => match &mut open {
                Some(Block::Code(lines)) => {
                    lines.push(line[4..].to_owned());
                    continue;
                }
                _ => Some(Block::Code(vec![line[4..].to_owned()])),
            },
            previous => match item(text, indentation, previous.is_none()) {
                Some(item) => Some(item),
                None => match previous {
                    Some(Block::Paragraph(open) | Block::Item { text: open, .. }) => {
                        open.push(' ');
                        open.push_str(text);
                        continue;
                    }
                    _ => Some(Block::Paragraph(text.to_owned())),
                },
            },
        };
        blocks.extend(std::mem::replace(&mut open, begun));
    }
    blocks.extend(open);
    blocks
}

fn is_heading(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_uppercase() || letter == ' ')
}

/// The item that begins with this line, if one does.
fn item(text: &str, indentation: usize, is_first: bool) -> Option<Block> {
    let split = match (indentation, text.split_once(". ")) {
        (0, Some((number, text))) if number.chars().all(|digit| digit.is_ascii_digit()) => {
            Some((format!("{number}."), text))
        }
        (0, _) => text.strip_prefix("- ").map(|text| ("-".to_owned(), text)),
        // A code and its meaning, in columns.
        _ if text.starts_with("SOCKET_IOCP_") => text.split_once("  ").map(|(code, text)| (code.to_owned(), text)),
        // A parameter, whose name begins the sentence.
        _ if is_first => {
            let end = text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))?;
            Some((text[..end].to_owned(), text[end..].trim_start_matches([':', ','])))
        }
        _ => None,
    };
    split.map(|(term, text)| Block::Item { term, text: text.trim().to_owned() })
}

/// Splits at one of these characters where white space or the end follows and it is in no bracket and no comment.
pub fn split_outside(text: &str, at: &[char]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = 0;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let comment = rest.strip_prefix("/*").and_then(|inside| inside.find("*/")).map(|end| end + 4);
        let (taken, after) = rest.split_at(comment.unwrap_or(letter.len_utf8()));
        rest = after;
        match letter {
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && at.contains(&letter) && rest.chars().next().is_none_or(char::is_whitespace) {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push_str(taken);
        }
    }
    pieces.iter().map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
}
