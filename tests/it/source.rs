//! Owns the reading of our own source for the tests that hold its shape: code without comments and texts, the paths
//! it names, and how long its functions are.
//!
//! It knows just enough of Rust's spelling for that; it is no parser.

use std::fs;
use std::path::{Path, PathBuf};

/// The code with the insides of comments and literals blanked; every line keeps its number.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = blank(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself where none begins.
fn blank(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match rest {
        ['/', '/', ..] => at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => at + comment(rest),
        ['"', ..] => at + quoted(rest, '"'),
        ['r', '"' | '#', ..] if !after_word => at + raw(rest),
        ['b', 'r', '"' | '#', ..] if !after_word => at + 1 + raw(&rest[1..]),
        ['\'', '\\', ..] => at + quoted(rest, '\''),
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `r"…"` and `r#"…"#`; 0 where it is a raw identifier such as `r#type`.
fn raw(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut at = 2 + hashes;
    while at < rest.len() {
        if rest[at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// A word or a mark, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Words, `::`, and single marks.
pub(crate) fn tokens(code: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut joined = false;
    let mut before = ' ';
    for c in code.chars() {
        let word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if word && joined => last.text.push(c),
            Some(last) if c == ':' && before == ':' && last.text == ":" => last.text.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(Token { text: c.to_string(), line }),
        }
        joined = word;
        before = c;
        if c == '\n' {
            line += 1;
        }
    }
    tokens
}

/// The first names below the crate that the code reaches from the module at `depth` below it: `crate::x`, the members
/// of `crate::{x, y}`, and `super::` where it leads up to the crate.
pub(crate) fn reached(tokens: &[Token], depth: usize) -> Vec<Token> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let starts = at == 0 || text(at - 1) != "::";
        let mut next = at;
        if text(at) == "crate" && text(at + 1) == "::" {
            next = at + 2;
        } else if text(at) == "super" && starts {
            let mut ups = 0;
            while text(next) == "super" && text(next + 1) == "::" {
                (ups, next) = (ups + 1, next + 2);
            }
            if ups < depth {
                continue;
            }
        } else {
            continue;
        }
        if text(next) == "{" {
            found.extend(group(tokens, next));
        } else {
            found.extend(tokens.get(next).cloned());
        }
    }
    found
}

/// The first names of the members of the group that opens at `open`.
fn group(tokens: &[Token], open: usize) -> Vec<Token> {
    let (mut found, mut depth) = (Vec::new(), 0);
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(tokens[at - 1].text.as_str(), "{" | ",") => found.push(token.clone()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// Each function with the line of its `fn` and the number of lines to its closing brace.
pub(crate) fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let named =
            tokens.get(at + 1).filter(|next| next.text.starts_with(|c: char| c.is_alphabetic() || c == '_'));
        let (true, Some(name)) = (token.text == "fn", named) else { continue };
        if let Some(last) = body_end(&tokens[at..]) {
            found.push((name.text.clone(), token.line, last - token.line + 1));
        }
    }
    found
}

/// The line of the closing brace; none for a signature without a body.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for token in tokens {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            ";" if braces == 0 && brackets == 0 => return None,
            "{" => braces += 1,
            "}" if braces <= 1 => return Some(token.line),
            "}" => braces -= 1,
            _ => {}
        }
    }
    None
}

/// Every Rust file of a folder of this project, with its path from the project's root, in a fixed order.
pub(crate) fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join(folder), &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("our source is text");
        (path.strip_prefix(root).expect("it is inside").to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "a // b\n/* c /* d */ e */ f \"g \\\" h\" r#\"i\" j\"# 'k' '\\'' l<'m> br\"n\" r#type";
    let words: Vec<String> = tokens(&code(text)).into_iter().map(|token| token.text).collect();
    assert_eq!(words.join(" "), "a f l < ' m > r # type");
    assert_eq!(code("a\"\n\nb\"\nc").matches('\n').count(), 3);
}

#[test]
fn paths_are_found_in_all_their_spellings() {
    let names = |text: &str, depth: usize| {
        reached(&tokens(text), depth).into_iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("use crate::a::b; crate::c()", 1), "a c");
    assert_eq!(names("use crate::{a::{x, y}, b, c as d};", 1), "a b c");
    assert_eq!(names("use super::a; use super::super::{b, c::d};", 2), "b c");
    assert_eq!(names("pub(crate) fn f() {} pub(super) fn g() {}", 1), "");
}

#[test]
fn functions_are_measured_to_their_closing_brace() {
    let text = "trait T { fn a(&self); }\nfn b(x: [u8; 2]) -> fn(u8) {\n if x { y }\n}\nfn c() {}\n";
    let expected = [("b".to_owned(), 2, 3), ("c".to_owned(), 5, 1)];
    assert_eq!(functions(&tokens(&code(text))), expected);
}
