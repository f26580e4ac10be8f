//! Holds the shape of the source: which layer may name which, who may name a library, who reads the environment, who
//! prints, and how long a file and a function may be.
//!
//! The rules read the code as it stands, tests included. Each is itself tested on code that breaks it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::source::{Token, code, files, functions, reached, tokens};

/// From the bottom up: a layer may name itself and what stands before it. `server` and `cli` share the top.
const LAYERS: [(&str, u8); 10] = [
    ("task", 0),
    ("lifecycle", 1),
    ("store", 2),
    ("body", 3),
    ("runtime", 4),
    ("bench", 5),
    ("http", 5),
    ("testing", 5),
    ("server", 6),
    ("cli", 6),
];

/// A library, and the only folders that name it.
const LIBRARIES: [(&str, &[&str]); 20] = [
    ("actix", &["runtime", "bench"]),
    ("actix_cors", &["server"]),
    ("actix_http", &["http"]),
    ("actix_rt", &["runtime", "bench", "server"]),
    ("actix_service", &["http"]),
    ("actix_web", &["bench", "http", "server"]),
    ("async_task", &["body"]),
    ("clap", &["server", "cli"]),
    ("crossbeam_deque", &["body"]),
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("governor", &["http"]),
    ("ipnet", &["http"]),
    ("jsonwebtoken", &["http"]),
    ("libsqlite3_sys", &["store"]),
    ("metrics", &["runtime"]),
    ("reqwest", &["server", "cli"]),
    ("toml", &["server"]),
    ("tokio", &["store", "body", "runtime", "bench", "http", "server"]),
    ("tracing_subscriber", &["server", "cli"]),
];

const PRINTING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];
const ENVIRONMENT: [&str; 4] = ["var", "var_os", "vars", "vars_os"];
const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

/// A file as the rules see it.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, tokens: tokens(&code(text)) }
    }

    /// The folder below `src` that it is in, or the name of a file that stands there itself.
    fn layer(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    /// How many modules it is below the crate.
    fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(self.path);
        let below = below.strip_suffix("/mod.rs").or(below.strip_suffix(".rs")).unwrap_or(below);
        below.split('/').count()
    }

    fn text_at(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn complain(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Names that the crate's root gives on, and the layer that each is from; `*` is whatever a `pub use layer::*` gives.
fn given_on(root: &str) -> BTreeMap<String, String> {
    let tokens = tokens(&code(root));
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut names = BTreeMap::new();
    for at in 0..tokens.len() {
        if text(at) != "use" || text(at + 2) != "::" {
            continue;
        }
        let layer = text(at + 1).to_owned();
        for token in tokens.iter().skip(at + 3).take_while(|token| token.text != ";") {
            if token.text == "*" || token.text.starts_with(char::is_uppercase) {
                names.insert(token.text.clone(), layer.clone());
            }
        }
    }
    names
}

fn layer_order(source: &Source<'_>, root: &BTreeMap<String, String>) -> Vec<String> {
    let rank = |name: &str| LAYERS.iter().find(|(layer, _)| *layer == name).map(|(_, rank)| *rank);
    let Some(own) = rank(source.layer()) else { return Vec::new() };
    let mut broken = Vec::new();
    for token in reached(&source.tokens, source.depth()) {
        let from_root = || root.get(&token.text).or_else(|| root.get("*")).map(String::as_str);
        let is_type = token.text.starts_with(char::is_uppercase);
        let layer = if is_type { from_root().unwrap_or_default() } else { token.text.as_str() };
        if rank(layer).is_some_and(|rank| rank > own) {
            let what = format!("`{}` names the higher layer `{layer}` by `{}`", source.layer(), token.text);
            broken.push(source.complain(token.line, &what));
        }
    }
    broken
}

fn libraries(source: &Source<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        let Some((library, folders)) = LIBRARIES.iter().find(|(library, _)| *library == token.text) else {
            continue;
        };
        // A path begins with it; `self.tokio` and `x::actix` are other things.
        let path = at == 0 || !matches!(source.text_at(at - 1), "::" | ".");
        let begins = matches!(source.text_at(at + 1), "::" | ";") && path;
        if begins && !folders.contains(&source.layer()) {
            broken.push(
                source.complain(token.line, &format!("only {} may name `{library}`", folders.join(", "))),
            );
        }
    }
    broken
}

fn printing(source: &Source<'_>) -> Vec<String> {
    if matches!(source.layer(), "cli" | "main") {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        let prints = PRINTING.contains(&token.text.as_str()) && source.text_at(at + 1) == "!";
        let writes = matches!(token.text.as_str(), "stdout" | "stderr")
            && at >= 2
            && (source.text_at(at - 1), source.text_at(at - 2)) == ("::", "io");
        if prints || writes {
            broken.push(source.complain(token.line, "only the command line prints"));
        }
    }
    broken
}

fn environment(source: &Source<'_>) -> Vec<String> {
    if source.path.starts_with("src/server/settings/") {
        return Vec::new();
    }
    let reads = |at: usize| {
        let path = source.text_at(at) == "env" && source.text_at(at + 1) == "::";
        path && (source.text_at(at + 2) == "{" || ENVIRONMENT.contains(&source.text_at(at + 2)))
    };
    let found = (0..source.tokens.len()).filter(|at| reads(*at));
    found
        .map(|at| source.complain(source.tokens[at].line, "only the settings read the environment"))
        .collect()
}

fn sizes(source: &Source<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let lines = source.text.lines().count();
    if lines > MAX_FILE_LINES {
        broken.push(source.complain(1, &format!("{lines} lines are more than {MAX_FILE_LINES}")));
    }
    if !source.text.starts_with("//! ") {
        broken.push(source.complain(1, "it does not begin with what it owns (`//! `)"));
    }
    for (name, line, lines) in functions(&source.tokens) {
        if lines > MAX_FUNCTION_LINES {
            let what = format!("`{name}` has {lines} lines, more than {MAX_FUNCTION_LINES}");
            broken.push(source.complain(line, &what));
        }
    }
    broken
}

/// Applies a rule to every file of some folders.
fn hold(folders: &[&str], rule: impl Fn(&Source<'_>) -> Vec<String>) {
    let mut broken = Vec::new();
    for (path, text) in folders.iter().flat_map(|folder| files(folder)) {
        broken.extend(rule(&Source::new(path.to_str().expect("our paths are text"), &text)));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_layer_names_a_higher_one() {
    let root = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
        .expect("it is there");
    let root = given_on(&root);
    hold(&["src"], |source| layer_order(source, &root));
}

#[test]
fn each_library_is_named_in_its_place_only() {
    hold(&["src"], libraries);
}

#[test]
fn only_the_command_line_prints() {
    hold(&["src"], printing);
}

#[test]
fn only_the_settings_read_the_environment() {
    hold(&["src"], environment);
}

#[test]
fn files_and_functions_stay_within_their_budgets() {
    hold(&["src", "tests", "examples", "benches"], sizes);
}

#[test]
fn the_rules_see_the_source() {
    assert!(files("src").len() > 20 && files("tests").len() >= 4);
}

#[test]
fn a_higher_layer_is_found_in_every_spelling() {
    let root = given_on("pub use runtime::*;\npub use task::{TaskError, Cause};\npub use http::Problem;");
    let broken = |path: &str, text: &str| layer_order(&Source::new(path, text), &root).len();
    for text in [
        "use crate::store::Store;",
        "use crate::{task::Key, store::Store};",
        "fn f() { crate::runtime::run() }",
        "use super::super::http::Problem;",
        "use crate::Coordinator;",
        "use crate::Problem;",
    ] {
        assert_eq!(broken("src/lifecycle/life.rs", text), 1, "{text}");
    }
    for text in [
        "use crate::task::Key;",
        "use crate::lifecycle::Ladder;",
        "use super::Ladder;",
        "use crate::TaskError;",
        "// use crate::store::Store;",
        "const S: &str = \"crate::store\";",
    ] {
        assert_eq!(broken("src/lifecycle/life.rs", text), 0, "{text}");
    }
    assert_eq!(broken("src/cli/mod.rs", "use crate::server::serve;"), 0);
    assert_eq!(broken("src/runtime/mod.rs", "use super::http::routes;"), 1);
}

#[test]
fn a_library_out_of_place_is_found() {
    let broken = |path: &str, text: &str| libraries(&Source::new(path, text)).len();
    assert_eq!(broken("src/http/a.rs", "use diesel::prelude::*;"), 1);
    assert_eq!(broken("src/http/a.rs", "use actix::Actor; use actix_web::web;"), 1);
    assert_eq!(broken("src/runtime/a.rs", "use actix::Actor; fn f() -> actix_web::App {}"), 1);
    assert_eq!(broken("src/task/a.rs", "async fn f() { tokio::time::sleep(t).await }"), 1);
    assert_eq!(broken("src/store/a.rs", "use diesel::prelude::*; // actix::Actor"), 0);
}

#[test]
fn printing_and_reading_the_environment_out_of_place_are_found() {
    let prints = |path: &str, text: &str| printing(&Source::new(path, text)).len();
    assert_eq!(prints("src/server/a.rs", "fn f() { println!(\"x\"); eprint!(\"x\") }"), 2);
    assert_eq!(prints("src/server/a.rs", "fn f() { std::io::stdout().lock() }"), 1);
    assert_eq!(prints("src/cli/a.rs", "fn f() { println!(\"x\") }"), 0);
    let reads = |path: &str, text: &str| environment(&Source::new(path, text)).len();
    assert_eq!(reads("src/cli/a.rs", "fn f() { std::env::var(\"X\") }"), 1);
    assert_eq!(reads("src/cli/a.rs", "use std::env::{vars_os, args};"), 1);
    assert_eq!(reads("src/cli/a.rs", "fn f() { std::env::args(); env!(\"X\") }"), 0);
    assert_eq!(reads("src/server/settings/a.rs", "fn f() { std::env::var(\"X\") }"), 0);
}

#[test]
fn what_is_too_long_or_says_nothing_is_found() {
    let broken = |text: &str| sizes(&Source::new("src/a.rs", text)).len();
    assert_eq!(broken("//! What it owns.\nfn f() {}\n"), 0);
    assert_eq!(broken("fn f() {}\n"), 1);
    assert_eq!(broken(&format!("//! x\n{}", "\n".repeat(400))), 1);
    assert_eq!(broken(&format!("//! x\nfn f() {{{}}}\n", "\n".repeat(70))), 1);
    assert_eq!(broken(&format!("//! x\nfn f() {{{}}}\n", "\n".repeat(69))), 0);
}
