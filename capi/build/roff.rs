//! Writes pages in the macros of man(7).

/// Widest line of running text in a page's source.
const WIDTH: usize = 80;

/// A page under way.
#[derive(Debug)]
pub struct Page {
    text: String,
    /// Whether a heading has just been written: it begins a paragraph itself.
    begun: bool,
}

impl Page {
    pub fn new(name: &str, date: &str, version: &str) -> Page {
        let title = name.to_uppercase();
        let mut page = Page { text: String::new(), begun: false };
        page.line(".\\\" Made from socket_iocp.h.");
        page.line(&format!(".TH {title} 3 \"{date}\" \"socket\\-iocp {version}\" \"socket\\-iocp\""));
        // Names and addresses are not to be hyphenated, and would tear holes into lines that are adjusted.
        page.line(".nh");
        page.line(".ad l");
        page
    }

    pub fn finish(self) -> String {
        self.text
    }

    /// The line by which a page is found: one, however long, for the sake of the programs that look for it.
    pub fn name(&mut self, name: &str, summary: &str) {
        self.section("NAME");
        self.line(&format!("{name} \\- {}", escape(summary)));
    }

    pub fn section(&mut self, title: &str) {
        self.line(&format!(".SH {title}"));
        self.begun = true;
    }

    pub fn subsection(&mut self, title: &str) {
        self.line(&format!(".SS {title}"));
        self.begun = true;
    }

    pub fn paragraph(&mut self, text: &str) {
        self.begin_paragraph();
        self.text(text);
    }

    /// A term and what is said of it.
    pub fn item(&mut self, term: &str, text: &str) {
        // A number or a dot stands beside its text, a name above it.
        match term {
            "-" => self.line(".IP \\(bu 3"),
            number if number.ends_with('.') => self.line(&format!(".IP {number} 4")),
            name => {
                self.line(".TP");
                self.line(&format!("\\fB{}\\fR", escape(name)));
            }
        }
        self.text(text);
    }

    /// Lines that stay as they are.
    pub fn code<Line: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = Line>) {
        self.begin_paragraph();
        self.line(".in +4n");
        self.line(".nf");
        for line in lines {
            self.line(&not_a_request(&escape(line.as_ref())));
        }
        self.line(".fi");
        self.line(".in");
    }

    /// The lines of a synopsis: what is fixed in bold, names of parameters in italics.
    pub fn synopsis(&mut self, lines: &[Vec<Word>]) {
        self.begin_paragraph();
        self.line(".nf");
        for words in lines {
            let words = words.iter().map(|word| match word {
                Word::Fixed(text) => format!("\\fB{}", escape(text)),
                Word::Name(text) => format!("\\fI{}", escape(text)),
            });
            self.line(&format!("{}\\fR", words.collect::<String>()));
        }
        self.line(".fi");
    }

    /// Running text: a new line for each sentence, which tells roff where one ends, and after so many letters.
    pub fn text(&mut self, text: &str) {
        // The header's spaces inside brackets would be broken at.
        let text = text.replace("( ", "(").replace(" )", ")").replace(". ", ".\n");
        for sentence in text.lines() {
            let mut line = String::new();
            for word in sentence.split_whitespace().map(set) {
                if line.len() + word.len() >= WIDTH {
                    self.line(&not_a_request(&line));
                    line.clear();
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&word);
            }
            self.line(&not_a_request(&line));
        }
    }

    fn begin_paragraph(&mut self) {
        if !self.begun {
            self.line(".PP");
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.begun = false;
    }
}

/// A word of a synopsis.
#[derive(Debug)]
pub enum Word {
    Fixed(String),
    Name(String),
}

/// A word of running text: names of this interface, and what is between backticks, are set in bold.
fn set(word: &str) -> String {
    if let [before, name, after] = word.split('`').collect::<Vec<_>>()[..] {
        return format!("{}\\fB{}\\fR{}", escape(before), escape(name), escape(after));
    }
    if word.contains("://") {
        // An address may be broken behind a slash.
        return escape(word).replace('/', "/\\:");
    }
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let start = word.find(is_name).unwrap_or(0);
    let end = word[start..].find(|letter| !is_name(letter)).map_or(word.len(), |end| start + end);
    let name = &word[start..end];
    if name.to_lowercase().starts_with("socket_iocp") {
        return format!("{}\\fB{}\\fR{}", escape(&word[..start]), name, escape(&word[end..]));
    }
    escape(word)
}

/// What means something to roff, made to mean itself.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga").replace('~', "\\(ti")
}

/// A line that begins like a request is none.
fn not_a_request(line: &str) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() }
}
