//! Holds what the documents at the top say against what is there: the program, the settings, names of tests and
//! files, the dependencies. Rust code in them is compiled as documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::source::files;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("it is there")
}

/// What stands between single backticks, outside of blocks.
fn quoted(text: &str) -> Vec<&str> {
    let mut is_block = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The first cells of the rows of a section's tables.
fn first_cells<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| row.split('|').nth(1)).collect()
}

fn flags(text: &str) -> BTreeSet<&str> {
    let is_end = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let words = text.split("--").skip(1).filter_map(|rest| rest.split(is_end).next());
    words.filter(|word| !word.is_empty() && *word != "help").collect()
}

#[test]
fn the_program_of_the_readme_is_the_example() {
    let readme = document("README.md");
    let (_, after) = readme.split_once("<!-- program -->\n```rust,no_run\n").expect("the program is there");
    let (shown, _) = after.split_once("\n```\n").expect("the program ends");
    let example = document("examples/thirty_lines.rs");
    let (head, code) = example.split_once("\n\n").expect("a head and a program");
    assert!(head.starts_with("//! "), "{head}");
    assert_eq!(shown, code.trim_end());
}

#[test]
fn the_settings_of_the_readme_are_those_of_the_program() {
    let help = Command::new(env!("CARGO_BIN_EXE_quell")).args(["serve", "--help"]).output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let options = help.split("Options:").nth(1).expect("a list of options");
    let options: Vec<&str> = options.lines().filter(|line| line.trim_start().starts_with('-')).collect();
    let readme = document("README.md");
    assert_eq!(flags(&first_cells(&readme, "Settings").join(" ")), flags(&options.join("\n")));
    let variable = |word: &&str| word.starts_with("QUELL_") && word.len() > "QUELL_".len();
    let variables = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        words.filter(variable).map(str::to_owned).collect()
    };
    let (_, section) = readme.split_once("\n## Settings\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or(section);
    assert_eq!(variables(section), variables(&help));
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let code: String =
        ["src", "tests"].iter().flat_map(|folder| files(folder)).map(|(_, text)| text).collect();
    let text = document("ARCHITECTURE.md");
    let is_test = |word: &&str| {
        word.matches('_').count() >= 3
            && !word.ends_with('_')
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let named: Vec<&str> = quoted(&text).into_iter().filter(is_test).collect();
    assert!(named.len() > 40, "{} are named", named.len());
    for test in named {
        assert!(code.contains(&format!("fn {test}")), "there is no test `{test}`");
    }
}

#[test]
fn every_path_that_the_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "ARCHITECTURE.md"] {
        let text = document(name);
        let ours = ["src/", "tests/", "examples/", "migrations/", ".ci/"];
        for path in quoted(&text).into_iter().filter(|word| ours.iter().any(|ours| word.starts_with(ours))) {
            assert!(root.join(path).exists(), "{name} names `{path}`");
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_outside = link.is_empty() || link.starts_with("http");
            assert!(is_outside || root.join(link).exists(), "{name} links to {link}");
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = document("Cargo.toml");
    let mut declared = BTreeSet::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (is_inside && !line.starts_with('#'), line.split_once('=')) {
            declared.insert(name.trim().to_owned());
        }
    }
    let text = document("ARCHITECTURE.md");
    let cells = first_cells(&text, "Dependencies").join(" ");
    let told: BTreeSet<String> = quoted(&cells).into_iter().map(str::to_owned).collect();
    assert_eq!(told, declared);
}
