//! What does a configuration file say? Read as nginx reads it (`ngx_conf_read_token`), with its
//! includes; errors name file and line.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Directive, Item, Origin};
use crate::finding::Place;

/// Includes within includes; more is a loop.
const MAX_DEPTH: usize = 16;

/// Reads a file and what it includes; relative names are below its folder.
pub fn parse_file(path: &Path) -> Result<Vec<Item>, (Place, String)> {
    let folder = path.parent().unwrap_or(Path::new("."));
    read(path, folder, 0)
}

fn read(path: &Path, folder: &Path, depth: usize) -> Result<Vec<Item>, (Place, String)> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|why| (Place { file: name.clone(), ..Place::default() }, why.to_string()))?;
    let mut parser = Parser { name: &name, rest: text.chars().peekable(), line: 1, folder, depth };
    parser.block(false)
}

struct Parser<'a> {
    name: &'a str,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    folder: &'a Path,
    depth: usize,
}

enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
    End,
}

impl Parser<'_> {
    fn error(&self, text: &str) -> (Place, String) {
        let place = Place { file: self.name.to_owned(), line: self.line, ..Place::default() };
        (place, text.to_owned())
    }

    fn block(&mut self, inside: bool) -> Result<Vec<Item>, (Place, String)> {
        let mut items = Vec::new();
        loop {
            let name = match self.token()? {
                Token::Word(word) => word,
                Token::Close if inside => return Ok(items),
                Token::End if !inside => return Ok(items),
                Token::Close => return Err(self.error("unexpected \"}\"")),
                Token::End => return Err(self.error("unexpected end of file, expecting \"}\"")),
                Token::Semicolon => return Err(self.error("unexpected \";\"")),
                Token::Open => return Err(self.error("unexpected \"{\"")),
            };
            let line = self.line;
            let mut args = Vec::new();
            let block = loop {
                match self.token()? {
                    Token::Word(word) => args.push(word),
                    Token::Semicolon => break None,
                    Token::Open => break Some(self.block(true)?),
                    Token::Close => {
                        return Err(self.error(&format!("\"{name}\" is not closed by \";\"")));
                    }
                    Token::End => {
                        return Err(self.error("unexpected end of file, expecting \";\" or \"}\""));
                    }
                }
            };
            if name == "include" && block.is_none() {
                if let [pattern] = args.as_slice() {
                    items.extend(self.include(pattern)?);
                }
                continue;
            }
            let origin = Origin::File { name: self.name.to_owned(), line };
            items.push(Directive { name, args, block, origin }.into());
        }
    }

    fn include(&self, pattern: &str) -> Result<Vec<Item>, (Place, String)> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("includes are nested too deeply"));
        }
        let path = self.folder.join(pattern);
        let mut items = Vec::new();
        for path in matching(&path) {
            items.extend(read(&path, self.folder, self.depth + 1).map_err(|(place, text)| {
                if place.line == 0 {
                    self.error(&format!("include \"{}\" cannot be read: {text}", path.display()))
                } else {
                    (place, text)
                }
            })?);
        }
        Ok(items)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        if c == Some('\n') {
            self.line += 1;
        }
        c
    }

    fn token(&mut self) -> Result<Token, (Place, String)> {
        loop {
            let Some(c) = self.next() else { return Ok(Token::End) };
            match c {
                '#' => while self.next().is_some_and(|c| c != '\n') {},
                ';' => return Ok(Token::Semicolon),
                '{' => return Ok(Token::Open),
                '}' => return Ok(Token::Close),
                '"' | '\'' => return self.quoted(c),
                c if c.is_whitespace() => {}
                c => return self.plain(c).map(Token::Word),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, (Place, String)> {
        let mut word = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("unexpected end of file, a quote is open")),
                Some(c) if c == quote => return Ok(Token::Word(word)),
                Some('\\') => self.escape(&mut word),
                Some(c) => word.push(c),
            }
        }
    }

    fn plain(&mut self, first: char) -> Result<String, (Place, String)> {
        let mut word = String::new();
        let mut c = first;
        loop {
            match c {
                '\\' => self.escape(&mut word),
                // A variable in braces is part of the word.
                '$' if self.rest.peek() == Some(&'{') => {
                    word.push('$');
                    while let Some(c) = self.next() {
                        word.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                c => word.push(c),
            }
            match self.rest.peek() {
                None => return Err(self.error("unexpected end of file, expecting \";\"")),
                Some(c) if c.is_whitespace() || ";{".contains(*c) => return Ok(word),
                Some(_) => c = self.next().unwrap_or(' '),
            }
        }
    }

    fn escape(&mut self, word: &mut String) {
        match self.next() {
            Some('t') => word.push('\t'),
            Some('n') => word.push('\n'),
            Some('r') => word.push('\r'),
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }
}

/// The files of a name with stars in its last part, sorted as nginx sorts them.
fn matching(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains('*') {
        return vec![path.to_owned()];
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let fits = |file: &str| llm_core::auth::client::covers(name, file);
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(fits))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
