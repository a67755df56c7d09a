//! Reads `socket_iocp.h` for the manual: its text, and what each declaration says of itself.
//!
//! This is no parser of C. It knows the header's own habits: a comment that begins in the first column speaks of the code
//! that follows it, a comment in the line of a member speaks of that member, a line of dashes begins a part.

use crate::text::split_outside;

/// The header, taken apart.
#[derive(Debug)]
pub struct Header {
    /// The comment at its head.
    pub overview: String,
    pub parts: Vec<Part>,
    /// What comes before the first part: the types that all calls share.
    pub types: Vec<Type>,
}

/// A part of the header, with the calls in it.
#[derive(Debug)]
pub struct Part {
    pub title: String,
    /// What is said of all of them.
    pub comment: String,
    pub calls: Vec<Call>,
}

/// A declared function.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    /// What is written before the name: `int `, `void *`.
    pub result: String,
    pub parameters: Vec<Parameter>,
    pub comment: String,
    /// The types declared between the call before and this one: they are its own.
    pub types: Vec<Type>,
}

/// A parameter, as what is written before its name, the name, and what follows it.
#[derive(Debug)]
pub struct Parameter {
    pub before: String,
    pub name: String,
    pub after: String,
}

/// An enum, a struct, or constants defined for the preprocessor.
#[derive(Debug)]
pub struct Type {
    /// `enum socket_iocp_operation`; empty for constants.
    pub head: String,
    pub comment: String,
    pub members: Vec<Member>,
}

/// A line of a type. One without a declaration is a remark on those that follow.
#[derive(Debug, Default)]
pub struct Member {
    pub declaration: String,
    pub comment: String,
}

impl Header {
    pub fn read(text: &str) -> Header {
        let mut chunks = chunks(text).into_iter();
        let overview = chunks.next().map(|(comment, _)| comment).unwrap_or_default();
        let mut header = Header { overview, parts: Vec::new(), types: Vec::new() };
        let mut types = Vec::new();
        for (mut comment, code) in chunks {
            if let Some((title, about)) = banner(&comment) {
                match header.parts.last() {
                    None => header.types = std::mem::take(&mut types),
                    Some(part) => assert!(types.is_empty(), "types without a call at the end of {}", part.title),
                }
                header.parts.push(Part { title, comment: about, calls: Vec::new() });
                // The code that follows has no comment of its own.
                comment.clear();
            }
            let statements = statements(&code);
            let of_constants = if statements.is_empty() { comment.as_str() } else { "" };
            types.extend(Type::constants(&code, of_constants));
            for statement in statements {
                match Type::read(&statement, &comment) {
                    Some(found) => types.push(found),
                    None => {
                        let Some(mut call) = Call::read(&statement, &comment) else { continue };
                        call.types = std::mem::take(&mut types);
                        header.parts.last_mut().expect("a call belongs to a part").calls.push(call);
                    }
                }
            }
        }
        assert!(types.is_empty(), "types without a call at the end of the header");
        header
    }

    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.parts.iter().flat_map(|part| &part.calls)
    }

    /// What the header says of an error code, where it defines it.
    pub fn meaning(&self, code: &str) -> Option<&str> {
        let mut members = self.types.iter().flat_map(|found| &found.members);
        let found = members.find(|member| member.declaration.split_whitespace().next() == Some(code));
        found.map(|member| member.comment.as_str())
    }
}

impl Call {
    fn read(statement: &str, comment: &str) -> Option<Call> {
        let (before, rest) = statement.split_once('(')?;
        let start = before.find("socket_iocp_")?;
        let name = before[start..].trim().to_owned();
        let list = rest.trim_end().strip_suffix(')')?.trim();
        let parameters = match list {
            "void" => Vec::new(),
            _ => split_outside(list, &[',']).iter().map(|parameter| Parameter::read(parameter)).collect(),
        };
        let result = before[..start].to_owned();
        Some(Call { name, result, parameters, comment: comment.to_owned(), types: Vec::new() })
    }
}

impl Parameter {
    fn read(text: &str) -> Parameter {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (start, end) = match text.find("(*") {
            // A pointer to a function.
            Some(start) => (start + 2, start + 2 + text[start + 2..].find(')').expect("its name ends")),
            None => (text.rfind(|letter| !is_name(letter)).map_or(0, |before| before + 1), text.len()),
        };
        let after = text[end..].replace("( ", "(").replace(" )", ")");
        Parameter { before: text[..start].to_owned(), name: text[start..end].to_owned(), after }
    }
}

impl Type {
    fn read(statement: &str, comment: &str) -> Option<Type> {
        let (head, body) = statement.split_once('{')?;
        let separator = if head.starts_with("enum ") { ',' } else { ';' };
        let body = body.rsplit_once('}')?.0;
        let members = members(body, separator);
        Some(Type { head: head.trim().to_owned(), comment: comment.to_owned(), members })
    }

    /// The constants among the lines of the code, if there are any.
    fn constants(code: &str, comment: &str) -> Option<Type> {
        let constant = |line: &str| {
            let (name, value) = line.strip_prefix("#define SOCKET_IOCP_")?.split_once(' ')?;
            // An initializer is no more to be read than its name.
            let value = if value.starts_with('{') { "..." } else { value };
            Some(Member { declaration: format!("SOCKET_IOCP_{name} {value}"), comment: String::new() })
        };
        let members: Vec<Member> = code.lines().filter_map(constant).collect();
        (!members.is_empty()).then(|| Type { head: String::new(), comment: comment.to_owned(), members })
    }
}

/// The text in pieces, each a comment that begins in the first column and the code that follows it.
fn chunks(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if !inside && line.starts_with("/*") {
            found.push(Default::default());
            inside = true;
        }
        let Some((comment, code)) = found.last_mut() else { continue };
        let place = if inside { comment } else { code };
        place.push_str(if inside { without_stars(line) } else { line });
        place.push('\n');
        inside = inside && !line.trim_end().ends_with("*/");
    }
    found
}

/// A line of a comment without what makes it one.
fn without_stars(line: &str) -> &str {
    let line = line.trim_end().trim_end_matches("*/").trim_end();
    let line = line.strip_prefix("/*").or_else(|| line.strip_prefix(" *")).unwrap_or(line);
    line.strip_prefix(' ').unwrap_or(line)
}

/// The title of a part, and what is said of it: a comment with dashes around it.
fn banner(comment: &str) -> Option<(String, String)> {
    let inside =
        comment.trim_end().strip_suffix("---")?.trim_end_matches('-').strip_prefix("----")?.trim_start_matches('-');
    let (title, about) = inside.trim().split_once('\n').unwrap_or((inside.trim(), ""));
    Some((title.to_owned(), about.to_owned()))
}

/// The statements of some code, without the preprocessor's lines.
fn statements(code: &str) -> Vec<String> {
    let kept: String = code.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    split_outside(&kept, &[';'])
}

/// The members of a type, each with its comment, and remarks where they stand.
fn members(body: &str, separator: char) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    // A comment on lines of its own: that of the next member if it has none in its line, else a remark.
    let mut above = String::new();
    let mut rest = body;
    while let Some(start) = rest.find(|letter: char| !letter.is_whitespace()) {
        let line_is_new = rest[..start].contains('\n');
        rest = &rest[start..];
        if rest.starts_with("/*") {
            let (comment, after) = rest[2..].split_once("*/").expect("a comment ends");
            let comment: String = comment.split_whitespace().collect::<Vec<_>>().join(" ");
            rest = after;
            match members.last_mut() {
                Some(member) if !line_is_new => member.comment = comment,
                _ => above = comment,
            }
            continue;
        }
        // The last one of an enum has no separator.
        let end = rest.find(&[separator, '\n'][..]).unwrap_or(rest.len());
        let end = rest[..end].find("/*").unwrap_or(end);
        let declaration = rest[..end].trim().to_owned();
        rest = rest[end..].strip_prefix(separator).unwrap_or(&rest[end..]);
        let has_its_own = rest.trim_start_matches([' ', '\t']).starts_with("/*");
        let comment = std::mem::take(&mut above);
        match has_its_own && !comment.is_empty() {
            true => members
                .extend([Member { declaration: String::new(), comment }, Member { declaration, ..Member::default() }]),
            false => members.push(Member { declaration, comment }),
        }
    }
    members
}
