//! What a server is told whose commands are wrong: each time one line and a 1, and no database.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::home_with;

#[actix_web::test]
async fn a_command_that_cannot_work_is_refused_at_the_start() {
    for (commands, words) in [
        (
            "[command.a]\nprogram = \"nowhere-to-be-found\"",
            "the command `a` cannot be registered: the program `nowhere-to-be-found` is in no folder of its PATH",
        ),
        (
            "[command.a]\nprogram = \"./quell.toml\"",
            "the command `a` cannot be registered: the program `./quell.toml` cannot be run",
        ),
        ("[command.a]\nprogram = \"true\"\ncleanup = { program = \"/nowhere\" }", "`/nowhere` cannot be run"),
        ("[command.a]\nprogram = \"true\"\ncwd = \"nowhere\"", "its folder nowhere cannot be used"),
        ("[command.a]\nprogram = \"true\"\nargs = [\"{input.x}\"]", "placeholder `{input.x}`"),
        (
            "[command.a]\nprogram = \"true\"\nargs = [\"-{input.x}\"]\nfields.x = { type = \"text\" }",
            "would choose the option",
        ),
        (
            "[command.a]\nprogram = \"sh\"\nargs = [\"-c\", \"{input.x}\"]\nfields.x = { type = \"text\" }",
            "a text that a shell runs",
        ),
        (
            "[command.a]\nprogram = \"true\"\nfields.x = { type = \"integer\", max = 1, default = 2 }",
            "cannot have the value 2",
        ),
        (
            "[command.a]\nprogram = \"true\"\nenvironment = [\"QUELL_API_TOKENS\"]",
            "`QUELL_API_TOKENS` is a setting of the server",
        ),
        (
            "[command.a]\nprogram = \"true\"\nenvironment = [\"A=B\"]",
            "`A=B` is no name of an environment variable",
        ),
        (
            "[command.a]\nprogram = \"true\"\ntimeout = 2\nmax_timeout = 1",
            "`command/a` has a timeout of 2 s by default",
        ),
        ("[command.a-b]\nprogram = \"true\"", "`command/a-b` is no name"),
        ("[command.a]\nprogram = \"true\"\nprogramm = \"x\"", "unknown key `command.a.programm`"),
        ("[commands.a]\nprogram = \"true\"", "unknown key `commands`"),
    ] {
        let home = home_with(commands);
        let ended = home.refusal(&[]).await;
        let line = ended.one_line();
        assert!(line.contains(words), "{commands}: {line}");
        assert!(!home.database().exists(), "{commands}");
    }
}

#[actix_web::test]
async fn i32_a_file_with_commands_that_others_may_change_starts_no_server() {
    for mode in [0o664, 0o646] {
        let home = home_with("[command.a]\nprogram = \"true\"");
        fs::set_permissions(home.path().join("quell.toml"), Permissions::from_mode(mode)).unwrap();
        let ended = home.refusal(&[]).await;
        assert!(ended.one_line().contains("chmod go-w quell.toml"), "{}", ended.err);
    }
}
