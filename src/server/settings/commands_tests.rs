//! Tables over what `quell.toml` may say of a command, and what a mistake in it is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::runtime::{CharacterClass, Characters, CommandTask, Field, FieldKind, ModelSettings};
use crate::task::Timeout;

use super::{Flags, Secret, SettingsError, TomlFile, resolve};

fn told(text: &str, others_may_write: bool) -> Result<Vec<CommandTask>, SettingsError> {
    let variables =
        [("LANG", "C"), ("PATH", "/bin"), ("QUELL_API_TOKENS", "a=0123456789abcdef"), ("OTHER", "x")];
    let variables: BTreeMap<String, String> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let path = PathBuf::from("quell.toml");
    let file = TomlFile { path, text: Secret::new(text), others_may_read: false, others_may_write };
    resolve(&Flags::default(), &variables, Some(&file)).map(|settings| settings.commands)
}

fn read(text: &str) -> Vec<CommandTask> {
    told(text, false).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_key_has_its_meaning() {
    let read = read(
        r#"
        [command.report]
        program = "tar"
        args = ["-c", "{input.name}"]
        cwd = "/srv"
        environment = ["LANG", "UNSET"]
        variables = { TZ = "UTC" }
        timeout = "90s"
        max_timeout = 3600
        idle_timeout = "5m"
        grace = "1.5s"
        memory_limit = "512MiB"
        cpu_limit = 60
        open_files_limit = 100
        max_running = 2
        may_start = ["alice", "bob"]
        cleanup = { program = "rm", args = ["--", "{input.name}"], timeout = "20s" }

        [command.report.fields]
        name = { type = "text", min_length = 2, max_length = 9, characters = "letters", extra_characters = "-", allow_leading_dash = true }
        set = { type = "text", extra_characters = "01", required = true }
        any = { type = "text", characters = "any", required = false }
        file = { type = "file_name" }
        level = { type = "integer", min = 1, max = 9, default = 6 }
        share = { type = "number", min = 0, max = 0.5 }
        deep = { type = "boolean", default = false }
        kind = { type = "choice", choices = ["a", "b"] }
        "#,
    );
    let text = |min_length, max_length, class, extra: &str| FieldKind::Text {
        min_length,
        max_length,
        characters: Characters { class, extra: extra.to_owned() },
    };
    let seconds = |seconds| Timeout::from_seconds(seconds).unwrap();
    let settings = ModelSettings::new()
        .timeout(seconds(90.0))
        .max_timeout(seconds(3600.0))
        .idle_timeout(seconds(300.0))
        .grace(Duration::from_millis(1_500))
        .memory_limit(512 << 20)
        .cpu_limit(Duration::from_secs(60))
        .open_files_limit(100)
        .max_running(2)
        .cleanup_limit(Duration::from_secs(20));
    let letters = text(2, 9, Some(CharacterClass::Letters), "-");
    let expected = CommandTask::new("report", "tar")
        .arguments(["-c", "{input.name}"])
        .field("name", Field::new(letters).allow_leading_dash())
        .field("set", Field::new(text(1, 1_024, None, "01")))
        .field("any", Field::new(text(1, 1_024, Some(CharacterClass::Any), "")).optional())
        .field("file", Field::new(FieldKind::FileName))
        .field("level", Field::new(FieldKind::Integer { min: 1, max: 9 }).default_value(6))
        .field("share", Field::new(FieldKind::Number { min: 0.0, max: 0.5 }))
        .field("deep", Field::new(FieldKind::Boolean).default_value(false))
        .field("kind", Field::new(FieldKind::Choice(vec!["a".to_owned(), "b".to_owned()])))
        .folder("/srv")
        .variable("LANG", "C")
        .variable("PATH", "/bin")
        .variable("TZ", "UTC")
        .settings(settings)
        .cleanup("rm", ["--", "{input.name}"])
        .may_start(["alice", "bob"]);
    assert_eq!(read, [expected]);
}

#[test]
fn a_short_table_is_enough_and_takes_nothing_of_the_environment_but_path() {
    let grace = ModelSettings::new().grace(Duration::from_secs(5));
    let plain =
        |name: &str, program: &str| CommandTask::new(name, program).variable("PATH", "/bin").settings(grace);
    let read = read("[command.b]\nprogram = \"x\"\n[command.a]\nprogram = \"y\"\nmay_start = []");
    assert_eq!(read, [plain("a", "y").may_start::<String>([]), plain("b", "x")]);
    assert_eq!(self::read("demo = true"), []);
}

#[test]
fn a_mistake_is_told_with_its_key() {
    for (text, words) in [
        ("command = 1", "`command` in quell.toml is not usable: give a table"),
        ("[command]\nreport = 1", "`command.report` in quell.toml is not usable: give a table"),
        ("[command.report]", "no key `command.report.program`"),
        ("[command.report]\nprogram = 5", "`command.report.program`"),
        ("[command.report]\nprogram = \"x\"\nargz = []", "unknown key `command.report.argz`"),
        (
            "[command.report]\nprogram = \"x\"\nargs = \"a b\"",
            "`command.report.args` in quell.toml is not usable: give a list of texts",
        ),
        ("[command.report]\nprogram = \"x\"\nargs = [1]", "`command.report.args`"),
        (
            "[command.report]\nprogram = \"x\"\ngrace = \"soon\"",
            "`command.report.grace` in quell.toml cannot be `soon`",
        ),
        ("[command.report]\nprogram = \"x\"\ntimeout = 0", "`command.report.timeout`"),
        (
            "[command.report]\nprogram = \"x\"\nmemory_limit = \"1MB\"",
            "`command.report.memory_limit` in quell.toml cannot be `1MB`",
        ),
        (
            "[command.report]\nprogram = \"x\"\nmemory_limit = \"99999999999GiB\"",
            "`command.report.memory_limit`",
        ),
        ("[command.report]\nprogram = \"x\"\nmax_running = 0", "`command.report.max_running`"),
        ("[command.report]\nprogram = \"x\"\nmay_start = \"alice\"", "`command.report.may_start`"),
        ("[command.report]\nprogram = \"x\"\ncleanup = \"rm\"", "`command.report.cleanup`"),
        (
            "[command.report]\nprogram = \"x\"\ncleanup = { args = [] }",
            "no key `command.report.cleanup.program`",
        ),
        (
            "[command.report]\nprogram = \"x\"\ncleanup = { program = \"x\", x = 1 }",
            "unknown key `command.report.cleanup.x`",
        ),
        ("[command.report]\nprogram = \"x\"\nvariables = { A = 1 }", "`command.report.variables.A`"),
    ] {
        let error = told(text, false).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
    }
    for (field, words) in [
        ("{}", "no key `command.report.fields.x.type`"),
        ("1", "`command.report.fields.x` in quell.toml is not usable: give a table"),
        ("{ type = \"string\" }", "use text, file_name, integer"),
        ("{ type = \"text\", min = 1 }", "unknown key `command.report.fields.x.min`"),
        ("{ type = \"integer\", max_length = 1 }", "unknown key `command.report.fields.x.max_length`"),
        ("{ type = \"integer\", min = 1.5 }", "`command.report.fields.x.min`"),
        ("{ type = \"number\", min = \"1\" }", "`command.report.fields.x.min`"),
        ("{ type = \"text\", characters = \"regex\" }", "`command.report.fields.x.characters`"),
        ("{ type = \"choice\", choices = 1 }", "`command.report.fields.x.choices`"),
        ("{ type = \"text\", required = true, default = \"a\" }", "a field with a default is never missing"),
        ("{ type = \"text\", required = \"maybe\" }", "`command.report.fields.x.required`"),
        ("{ type = \"text\", default = [] }", "`command.report.fields.x.default`"),
    ] {
        let error = told(&format!("[command.report]\nprogram = \"x\"\nfields = {{ x = {field} }}"), false)
            .unwrap_err();
        assert!(error.to_string().contains(words), "{field}: {error}");
    }
}

#[test]
fn i32_a_file_with_commands_that_others_may_change_is_refused() {
    let error = told("[command.a]\nprogram = \"x\"", true).unwrap_err();
    assert!(error.to_string().contains("run `chmod go-w quell.toml`"), "{error}");
    assert!(told("demo = true", true).is_ok());
}

#[test]
fn i29_a_setting_of_the_server_is_given_to_no_command() {
    for name in ["QUELL_API_TOKENS", "QUELL_JWT_SECRET"] {
        let text = format!("[command.a]\nprogram = \"sh\"\nenvironment = [\"{name}\"]");
        let command = read(&text).remove(0);
        assert!(!format!("{command:?}").contains("0123456789abcdef"));
        let refused = crate::Registry::new().command(command).err().map(|error| error.to_string());
        assert!(refused.as_deref().is_some_and(|words| words.contains(name)), "{refused:?}");
    }
}
