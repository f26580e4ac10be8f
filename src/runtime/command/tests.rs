//! Tables over what a command takes and what its author may write, and the one property that matters most: whatever
//! the input is, it makes no option and no argument of its own.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::field::read;
use super::template::Arguments;
use super::*;

fn fields(list: Vec<(&str, Field)>) -> BTreeMap<String, Field> {
    list.into_iter().map(|(name, field)| (name.to_owned(), field)).collect()
}

fn told(kind: FieldKind, value: &Value) -> Result<String, String> {
    let input = json!({ "x": value }).to_string();
    read(&fields(vec![("x", Field::new(kind))]), &input).map(|mut values| values.remove("x").unwrap())
}

fn class(class: Option<CharacterClass>, extra: &str) -> FieldKind {
    FieldKind::Text {
        min_length: 0,
        max_length: 9,
        characters: Characters { class, extra: extra.to_owned() },
    }
}

#[test]
fn each_type_makes_text_of_what_fits() {
    let choices = || FieldKind::Choice(vec!["red".to_owned(), "a b".to_owned()]);
    for (kind, value, text) in [
        (FieldKind::text(), json!("two words; $(x) 'é'"), "two words; $(x) 'é'"),
        (FieldKind::text(), json!("-x"), "-x"),
        (class(Some(CharacterClass::Any), ""), json!("a\nb"), "a\nb"),
        (class(Some(CharacterClass::Alphanumeric), "._"), json!("a_1.Z"), "a_1.Z"),
        (class(Some(CharacterClass::Letters), ""), json!(""), ""),
        (class(None, "01"), json!("0110"), "0110"),
        (FieldKind::FileName, json!("a b.tar"), "a b.tar"),
        (FieldKind::FileName, json!("..."), "..."),
        (FieldKind::integer(), json!(-5), "-5"),
        (FieldKind::Integer { min: 1, max: 9 }, json!(9), "9"),
        (FieldKind::number(), json!(0.5), "0.5"),
        (FieldKind::Number { min: 0.0, max: 1.0 }, json!(1), "1"),
        (FieldKind::Boolean, json!(true), "true"),
        (FieldKind::Boolean, json!(false), "false"),
        (choices(), json!("a b"), "a b"),
    ] {
        assert_eq!(told(kind.clone(), &value).as_deref(), Ok(text), "{kind:?} {value}");
    }
}

#[test]
fn each_type_refuses_what_does_not_fit_and_names_the_field() {
    let long = "x".repeat(1_025);
    let choices = || FieldKind::Choice(vec!["red".to_owned(), "a b".to_owned()]);
    for (kind, value, words) in [
        (FieldKind::text(), json!(1), "must be a text"),
        (FieldKind::text(), json!(null), "must be a text"),
        (FieldKind::text(), json!(["x"]), "must be a text"),
        (FieldKind::text(), json!(""), "1 to 1024 characters"),
        (FieldKind::text(), json!(long), "1 to 1024 characters"),
        (FieldKind::text(), json!("a\nb"), "character '\\n'"),
        (FieldKind::text(), json!("a\0"), "character '\\0'"),
        (class(Some(CharacterClass::Any), ""), json!("\0"), "character '\\0'"),
        (class(None, "\0a"), json!("\0"), "character '\\0'"),
        (class(Some(CharacterClass::Digits), ""), json!("1a"), "character 'a'"),
        (class(Some(CharacterClass::Alphanumeric), "_"), json!("é"), "character 'é'"),
        (FieldKind::FileName, json!("a/b"), "a name of at most"),
        (FieldKind::FileName, json!(".."), "a name of at most"),
        (FieldKind::FileName, json!("."), "a name of at most"),
        (FieldKind::FileName, json!(""), "a name of at most"),
        (FieldKind::FileName, json!("a\n"), "a name of at most"),
        (FieldKind::FileName, json!("x".repeat(256)), "a name of at most"),
        (FieldKind::integer(), json!(1.0), "whole number of 64 bits"),
        (FieldKind::integer(), json!("1"), "whole number"),
        (FieldKind::integer(), json!(u64::MAX), "whole number"),
        (FieldKind::Integer { min: 1, max: 9 }, json!(10), "from 1 to 9"),
        (FieldKind::Integer { min: 1, max: i64::MAX }, json!(0), "at least 1"),
        (FieldKind::Integer { min: i64::MIN, max: 1 }, json!(2), "at most 1"),
        (FieldKind::Number { min: 0.0, max: 1.0 }, json!(1.5), "from 0 to 1"),
        (FieldKind::number(), json!(true), "must be a number"),
        (FieldKind::Boolean, json!("true"), "true or false"),
        (FieldKind::Boolean, json!(1), "true or false"),
        (choices(), json!("blue"), "`red`, `a b`"),
        (choices(), json!(0), "`red`, `a b`"),
    ] {
        let error = told(kind.clone(), &value).unwrap_err();
        assert!(error.starts_with("field `x`: ") && error.contains(words), "{kind:?} {value}: {error}");
    }
}

#[test]
fn what_is_missing_unknown_or_there_twice_is_refused() {
    let fields = fields(vec![
        ("needed", Field::new(FieldKind::text())),
        ("maybe", Field::new(FieldKind::integer()).optional()),
        ("usual", Field::new(FieldKind::integer()).default_value(6)),
    ]);
    let told = |input: &str| read(&fields, input);
    let values = told(r#"{"needed":"x","maybe":null,"usual":null}"#).unwrap();
    assert_eq!(values, BTreeMap::from([("needed", "x"), ("usual", "6")].map(|(k, v)| (k.into(), v.into()))));
    assert_eq!(told(r#"{"needed":"x","maybe":1,"usual":2}"#).unwrap().len(), 3);
    for (input, words) in [
        ("{}", "missing field `needed`"),
        (r#"{"needed":"x","other":1}"#, "unknown field `other`, expected `maybe` or `needed` or `usual`"),
        (r#"{"needed":"x","needed":"y"}"#, "duplicate field `needed`"),
        (r#"{"needed":"x","maybe":1e999}"#, "field `maybe`: "),
        ("[]", "must be an object"),
        ("1", "must be an object"),
        ("null", "must be an object"),
    ] {
        let error = told(input).unwrap_err();
        assert!(error.contains(words), "{input}: {error}");
    }
    assert!(read(&BTreeMap::new(), r#"{"a":1}"#).unwrap_err().contains("takes none"));
}

/// A command with these arguments and a field of each kind that matters here.
fn command(arguments: &[&str]) -> CommandTask {
    CommandTask::new("test", "/bin/sh")
        .arguments(arguments.iter().copied())
        .field("text", Field::new(FieldKind::text()))
        .field("dash", Field::new(FieldKind::text()).allow_leading_dash())
        .field("number", Field::new(FieldKind::integer()))
}

fn refused(command: CommandTask) -> CommandTaskError {
    command.prepare().err().expect("it is refused")
}

#[test]
fn an_argument_with_a_wrong_placeholder_is_refused() {
    for argument in
        ["{input.other}", "{text}", "{}", "{input.}", "{ input.text }", "{task.key}", "a{env.HOME}"]
    {
        assert!(matches!(refused(command(&[argument])), CommandTaskError::Placeholder { .. }), "{argument}");
    }
    for argument in ["{", "}", "a}b", "{input.text", "{{input.text}", "{input.text}}"] {
        let error = refused(command(&[argument]));
        assert!(matches!(error, CommandTaskError::Brace(_)), "{argument}: {error}");
    }
    assert!(matches!(refused(command(&["a\0"])), CommandTaskError::Nul(_)));
}

#[test]
fn an_input_may_not_choose_the_option_nor_what_a_shell_runs() {
    for argument in [
        "-{input.text}",
        "--{input.text}",
        "--{input.text}=1",
        "--no-{input.text}",
        "--x{input.number}{input.text}",
    ] {
        let error = refused(command(&[argument]));
        assert!(matches!(error, CommandTaskError::OptionFromText { .. }), "{argument}: {error}");
    }
    for arguments in [
        &["--", "-{input.text}"][..],
        &["-{input.dash}"],
        &["-{input.number}"],
        &["--x={input.text}"],
        &["-x{input.text}"],
    ] {
        assert!(command(arguments).prepare().is_ok(), "{arguments:?}");
    }
    for arguments in [
        &["-c", "echo {input.text}"][..],
        &["-ec", "{input.number}"],
        &["-ce", "{input.number}"],
        &["-c", "-x", "{task.id}"],
        &["-c", "-o", "pipefail", "{input.text}"],
        &["script", "60", "/bin/bash", "-cx", "{input.text}"],
        &["x", "fish", "--command={input.text}"],
        &["x", "fish", "--command", "{input.text}"],
        &["x", "tcsh", "-c", "{input.text}"],
    ] {
        let error = refused(command(arguments));
        assert!(matches!(error, CommandTaskError::ShellText { .. }), "{arguments:?}: {error}");
    }
    assert!(command(&["-c", "echo \"$1\"", "sh", "{input.text}"]).prepare().is_ok());
    assert!(command(&["script", "-c", "x", "{input.text}"]).prepare().is_ok());
}

#[test]
fn a_definition_that_contradicts_itself_is_refused() {
    let with = |field| command(&[]).field("x", field);
    let text = |min_length, max_length| FieldKind::Text {
        min_length,
        max_length,
        characters: Characters { class: None, extra: "a".to_owned() },
    };
    let value = |field| matches!(refused(with(field)), CommandTaskError::Value { .. });
    assert!(matches!(refused(with(Field::new(text(2, 1)))), CommandTaskError::Bounds(_)));
    assert!(matches!(refused(with(Field::new(text(1, 20_000)))), CommandTaskError::TooLong { .. }));
    let integer = |min, max| Field::new(FieldKind::Integer { min, max });
    assert!(matches!(refused(with(integer(2, 1))), CommandTaskError::Bounds(_)));
    for (min, max) in [(2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        let field = Field::new(FieldKind::Number { min, max });
        assert!(matches!(refused(with(field)), CommandTaskError::Bounds(_)), "{min} {max}");
    }
    assert!(matches!(refused(with(Field::new(FieldKind::Choice(vec![])))), CommandTaskError::NoChoices(_)));
    assert!(value(integer(1, 2).default_value(3)) && value(integer(1, 2).default_value("1")));
    assert!(value(Field::new(FieldKind::text()).default_value("-x")));
    let choice = || Field::new(FieldKind::Choice(vec!["--verbose".to_owned()])).optional();
    assert!(value(choice()));
    assert!(with(choice().allow_leading_dash()).prepare().is_ok());
    let error = refused(command(&[]).field("a b", Field::new(FieldKind::Boolean)));
    assert!(matches!(error, CommandTaskError::FieldName(_)));
}

#[test]
fn what_is_not_there_cannot_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let run = |program: String| CommandTask::new("test", program);
    assert!(matches!(refused(run("nowhere-to-be-found".into())), CommandTaskError::ProgramNotFound { .. }));
    assert!(matches!(refused(run(String::new())), CommandTaskError::ProgramNotFound { .. }));
    for program in [text(&file), text(folder.path()), text(&folder.path().join("none"))] {
        let error = refused(run(program.clone()));
        assert!(matches!(error, CommandTaskError::NotExecutable { .. }), "{program}: {error}");
    }
    assert!(matches!(refused(run("a\0b".into())), CommandTaskError::Nul(_)));
    let cleanup = run("sh".into()).cleanup("nowhere-to-be-found", [""]);
    assert!(matches!(refused(cleanup), CommandTaskError::ProgramNotFound { .. }));
    for place in [file, folder.path().join("none")] {
        assert!(matches!(refused(run("sh".into()).folder(place)), CommandTaskError::Folder { .. }));
    }
    // PATH is the command's own.
    let elsewhere = run("sh".into()).variable("PATH", text(folder.path()));
    assert!(matches!(refused(elsewhere), CommandTaskError::ProgramNotFound { .. }));
}

#[test]
fn the_environment_holds_what_was_given_and_nothing_of_the_server() {
    let given = |list: &[(&str, &str)]| {
        environment(list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    assert_eq!(given(&[]).unwrap(), BTreeMap::from([("PATH".to_owned(), USUAL_PATH.to_owned())]));
    assert_eq!(given(&[("A", "1"), ("PATH", "/x")]).unwrap().len(), 2);
    for name in ["QUELL_API_TOKENS", "QUELL_JWT_SECRET", "QUELL_X"] {
        assert!(matches!(given(&[(name, "")]), Err(CommandTaskError::ServerVariable(_))), "{name}");
    }
    for name in ["", "A=B", "A\0"] {
        assert!(matches!(given(&[(name, "")]), Err(CommandTaskError::VariableName(_))), "{name}");
    }
    let secret = CommandTask::new("test", "sh").variable("PASSWORD", "hush-hush");
    assert!(!format!("{secret:?}").contains("hush"));
    let error = refused(secret.variable("PASSWORD", "hush\0hush"));
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[test]
fn an_argument_holds_a_bounded_text() {
    let most = "x".repeat(16 * 1024);
    let kind = FieldKind::Text {
        min_length: 0,
        max_length: 16 * 1024,
        characters: Characters { class: Some(CharacterClass::Any), extra: String::new() },
    };
    let fields = fields(vec![("x", Field::new(kind))]);
    let values = read(&fields, &json!({ "x": most }).to_string()).unwrap();
    let read = |times: usize| {
        Arguments::read("a", &["{input.x}".repeat(times)], &fields).unwrap().fill(&values, &fields, 1)
    };
    assert_eq!(read(7).unwrap()[0].len(), 7 * 16 * 1024);
    assert_eq!(read(8).unwrap_err().field, "x");
}

/// A part of an argument: literal text of the author, or one of the fields below.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["-", "--", "-x", "=", "a", " ", "é", "{{", "}}"]).prop_map(str::to_owned),
        prop::sample::select(vec!["free", "dash", "number", "optional", "choice"])
            .prop_map(|name| format!("{{input.{name}}}")),
        Just("{task.id}".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let word =
        prop::sample::select(vec!["-", "--", "", "a", "=", " ", "\n", "'", "\"", ";", "{task.id}", "{", "é"]);
    prop::collection::vec(word, 0..4).prop_map(|words| words.concat())
}

fn all_fields() -> BTreeMap<String, Field> {
    let text = || {
        let characters = Characters { class: Some(CharacterClass::Any), extra: String::new() };
        FieldKind::Text { min_length: 0, max_length: 100, characters }
    };
    fields(vec![
        ("free", Field::new(text())),
        ("dash", Field::new(text()).allow_leading_dash()),
        ("number", Field::new(FieldKind::integer())),
        ("optional", Field::new(text()).optional()),
        ("choice", Field::new(FieldKind::Choice(vec!["a".to_owned(), "b-".to_owned()]))),
    ])
}

/// The argument as it should be: each character, and whether its author or an allowed field wrote it.
fn expected(text: &str, values: &BTreeMap<String, String>) -> Option<Vec<(char, bool)>> {
    let mut characters = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or(rest.strip_prefix("}}")) {
            characters.push((first, true));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (name, after) = after.split_once('}').unwrap();
            let value =
                if name == "task.id" { Some("7") } else { values.get(&name[6..]).map(String::as_str) };
            characters.extend(value?.chars().map(|c| (c, name == "input.dash")));
            rest = after;
        } else {
            characters.push((first, true));
            rest = &rest[first.len_utf8()..];
        }
    }
    Some(characters)
}

proptest! {
    #[test]
    fn no_input_makes_an_option_or_an_argument_that_its_author_did_not_write(
        texts in prop::collection::vec(prop::collection::vec(part(), 0..4).prop_map(|parts| parts.concat()), 0..5),
        (free, dash, optional) in (value(), value(), prop::option::of(value())),
        number in prop_oneof![-9_i64..9, any::<i64>()],
        choice in prop::sample::select(vec!["a", "b-"]),
    ) {
        let fields = all_fields();
        let input = json!({ "free": free, "dash": dash, "optional": optional, "number": number, "choice": choice });
        let values = read(&fields, &input.to_string()).unwrap();
        // Err: refused at the start of the server.
        let Ok(arguments) = Arguments::read("program", &texts, &fields) else { return Ok(()) };
        let expected: Vec<_> = texts.iter().map(|text| expected(text, &values)).collect();
        let is_operand = |at: usize| {
            let separator = texts[..at].iter().rposition(|text| text == "--");
            separator.is_some_and(|found| texts[found + 1..at].iter().all(|text| !text.starts_with('-')))
        };
        let is_foreign = |argument: &Vec<(char, bool)>| {
            argument.iter().take_while(|(c, _)| *c == '-').any(|(_, is_allowed)| !is_allowed)
        };
        let must_refuse = expected
            .iter()
            .enumerate()
            .any(|(at, argument)| !is_operand(at) && argument.as_ref().is_some_and(is_foreign));
        match arguments.fill(&values, &fields, 7) {
            Err(misfit) => prop_assert!(must_refuse, "{misfit:?} {texts:?}"),
            Ok(filled) => {
                prop_assert!(!must_refuse, "{texts:?} {filled:?}");
                let expected: Vec<String> =
                    expected.into_iter().flatten().map(|argument| argument.into_iter().map(|(c, _)| c).collect()).collect();
                let filled: Vec<String> = filled.into_iter().map(|text| text.into_string().unwrap()).collect();
                prop_assert_eq!(filled, expected);
            }
        }
    }
}
