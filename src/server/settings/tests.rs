//! Tables over `resolve`: which layer wins, and what each malformed value is told. It opens no file but in the last
//! test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    AuthSettings, Flags, JwtKeySource, LogFormat, Secret, Settings, SettingsError, Synchronous, TokenSource,
    TomlFile, resolve,
};

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn toml(text: &str) -> TomlFile {
    TomlFile {
        path: PathBuf::from("quell.toml"),
        text: Secret::new(text),
        others_may_read: false,
        others_may_write: false,
    }
}

fn with(flags: &Flags, env: &[(&str, &str)], file: &str) -> Result<Settings, SettingsError> {
    resolve(flags, &variables(env), Some(&toml(file)))
}

fn refused(env: &[(&str, &str)], file: &str) -> String {
    with(&Flags::default(), env, file).unwrap_err().to_string()
}

#[test]
fn without_anything_the_defaults_hold() {
    let settings = resolve(&Flags::default(), &BTreeMap::new(), None).unwrap();
    assert_eq!(settings.bind, "127.0.0.1:8888");
    assert_eq!(settings.database_url, "sqlite://quell.db");
    assert_eq!(settings.database_file, PathBuf::from("quell.db"));
    assert_eq!(settings.auth, AuthSettings::Token(TokenSource::Made));
    assert!(!settings.http.hide_foreign_tasks && settings.http.cors_origins.is_empty());
    assert_eq!((settings.http.rate_limit, settings.http.max_streams_per_principal), (0, 0));
    assert_eq!((settings.http.max_connections, settings.http.max_connections_per_address), (None, 0));
    assert!(!settings.demo);
    assert_eq!(settings.data_dir, None);
    assert_eq!(settings.shutdown_grace, Duration::from_secs(30));
    assert_eq!((settings.max_running, settings.max_pending), (100_000, 100_000));
    assert_eq!(settings.max_running_per_owner, 1_000);
    assert_eq!((settings.default_timeout, settings.max_timeout), (None, None));
    assert_eq!(settings.retention, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!((settings.max_body_threads, settings.max_blocking, settings.max_processes), (64, 512, 256));
    assert_eq!(settings.synchronous, Synchronous::Full);
    assert_eq!((settings.log.format, settings.log.filter.as_str()), (LogFormat::Pretty, super::USUAL_FILTER));
}

type Get = fn(&Settings) -> String;
type Set = fn(&mut Flags, String);
/// Settings, each with a value as a flag, as a variable and in the file.
const LAYERED: [(&str, [&str; 3], Set, Get); 17] = [
    ("bind", ["h:1", "h:2", "h:3"], |f, v| f.bind = Some(v), |s| s.bind.clone()),
    (
        "database_url",
        ["sqlite://a", "sqlite://b", "sqlite://c"],
        |f, v| f.database_url = Some(v),
        |s| s.database_url.clone(),
    ),
    (
        "data_dir",
        ["a", "b", "c"],
        |f, v| f.data_dir = Some(v),
        |s| s.data_dir.as_ref().unwrap().display().to_string(),
    ),
    ("max_running", ["1", "2", "3"], |f, v| f.max_running = Some(v), |s| s.max_running.to_string()),
    ("max_pending", ["0", "2", "3"], |f, v| f.max_pending = Some(v), |s| s.max_pending.to_string()),
    (
        "max_connections",
        ["1", "2", "3"],
        |f, v| f.max_connections = Some(v),
        |s| s.http.max_connections.unwrap().to_string(),
    ),
    (
        "max_connections_per_address",
        ["1", "0", "3"],
        |f, v| f.max_connections_per_address = Some(v),
        |s| s.http.max_connections_per_address.to_string(),
    ),
    (
        "max_body_threads",
        ["1", "2", "3"],
        |f, v| f.max_body_threads = Some(v),
        |s| s.max_body_threads.to_string(),
    ),
    ("max_blocking", ["1", "2", "3"], |f, v| f.max_blocking = Some(v), |s| s.max_blocking.to_string()),
    ("max_processes", ["1", "2", "3"], |f, v| f.max_processes = Some(v), |s| s.max_processes.to_string()),
    (
        "retention",
        ["1d", "none", "2h"],
        |f, v| f.retention = Some(v),
        |s| {
            s.retention.map_or("none".into(), |time| match time.as_secs() {
                86_400 => "1d".to_owned(),
                7_200 => "2h".to_owned(),
                other => panic!("{other}"),
            })
        },
    ),
    (
        "shutdown_grace",
        ["1s", "2s", "3s"],
        |f, v| f.shutdown_grace = Some(v),
        |s| format!("{:?}", s.shutdown_grace),
    ),
    (
        "max_running_per_owner",
        ["1", "2", "3"],
        |f, v| f.max_running_per_owner = Some(v),
        |s| s.max_running_per_owner.to_string(),
    ),
    (
        "default_timeout",
        ["1", "2", "3.5"],
        |f, v| f.default_timeout = Some(v),
        |s| s.default_timeout.unwrap().to_string(),
    ),
    (
        "max_timeout",
        ["1", "2", "3.5"],
        |f, v| f.max_timeout = Some(v),
        |s| s.max_timeout.unwrap().to_string(),
    ),
    ("demo", ["true", "false", "true"], |f, v| f.demo = Some(v), |s| s.demo.to_string()),
    (
        "synchronous",
        ["full", "normal", "full"],
        |f, v| f.synchronous = Some(v),
        |s| format!("{:?}", s.synchronous).to_lowercase(),
    ),
];

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    for (key, [flag, variable, in_file], set, get) in LAYERED {
        let mut flags = Flags::default();
        set(&mut flags, flag.to_owned());
        let name = format!("QUELL_{}", key.to_uppercase());
        let file = format!("{key} = {in_file:?}");
        let env = [(name.as_str(), variable)];
        assert_eq!(get(&with(&flags, &env, &file).unwrap()), flag, "{key}");
        assert_eq!(get(&with(&Flags::default(), &env, &file).unwrap()), variable, "{key}");
        assert_eq!(get(&with(&Flags::default(), &[], &file).unwrap()), in_file, "{key}");
    }
}

#[test]
fn the_file_may_hold_numbers_and_switches() {
    let settings = with(&Flags::default(), &[], "max_running = 7\ndemo = true\nshutdown_grace = 5").unwrap();
    assert_eq!((settings.max_running, settings.demo), (7, true));
    assert_eq!(settings.shutdown_grace, Duration::from_secs(5));
}

#[test]
fn each_malformed_value_is_named_with_what_is_allowed() {
    let table = [
        ("QUELL_BIND", "8888", "give HOST:PORT"),
        ("QUELL_BIND", ":8888", "give HOST:PORT"),
        ("QUELL_BIND", "::1:8888", "give HOST:PORT"),
        ("QUELL_BIND", "h:65536", "give HOST:PORT"),
        ("QUELL_BIND", "h:+1", "give HOST:PORT"),
        ("QUELL_BIND", "http://h:1", "give HOST:PORT"),
        ("QUELL_DATABASE_URL", "quell.db", "give sqlite://FILE"),
        ("QUELL_DATABASE_URL", "sqlite://", "give sqlite://FILE"),
        ("QUELL_DATABASE_URL", "sqlite://:memory:", "give sqlite://FILE"),
        ("QUELL_AUTH", "basic", "use `token`, `jwt` or `none`"),
        ("QUELL_AUTH", "NONE", "use `token`, `jwt` or `none`"),
        ("QUELL_HIDE_FOREIGN_TASKS", "yes", "use 1, true, 0 or false"),
        ("QUELL_CORS_ORIGIN", "*", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "app.example.com", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "https://app.example.com/", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "https://*.example.com", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "https://App.example.com", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "https://app.example.com:443", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "https://u@app.example.com", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "null", "give exact origins"),
        ("QUELL_CORS_ORIGIN", "", "give exact origins"),
        ("QUELL_TRUSTED_PROXY", "10.0.0.0/33", "give addresses or networks"),
        ("QUELL_TRUSTED_PROXY", "proxy.example.com", "give addresses or networks"),
        ("QUELL_RATE_LIMIT", "-1", "give a whole number from 0"),
        ("QUELL_RATE_LIMIT", "1.5", "give a whole number from 0"),
        ("QUELL_MAX_STREAMS_PER_PRINCIPAL", "many", "give a whole number from 0"),
        ("QUELL_DEMO", "yes", "use 1, true, 0 or false"),
        ("QUELL_DEMO", "", "use 1, true, 0 or false"),
        ("QUELL_SHUTDOWN_GRACE", "0", "give a time above 0"),
        ("QUELL_SHUTDOWN_GRACE", "-1s", "give a time above 0"),
        ("QUELL_SHUTDOWN_GRACE", "1w", "give a time above 0"),
        ("QUELL_SHUTDOWN_GRACE", "2d", "at most 24h"),
        ("QUELL_RETENTION", "0", "give a time above 0"),
        ("QUELL_RETENTION", "never", "or `none`"),
        ("QUELL_RETENTION", "36501d", "at most 36500d"),
        ("QUELL_SHUTDOWN_GRACE", "s", "give a time above 0"),
        ("QUELL_SHUTDOWN_GRACE", "inf", "give a time above 0"),
        ("QUELL_SHUTDOWN_GRACE", "25h", "at most 24h"),
        ("QUELL_MAX_RUNNING", "0", "give a whole number from 1"),
        ("QUELL_MAX_RUNNING", "1.5", "give a whole number from 1"),
        ("QUELL_MAX_RUNNING", "+1", "give a whole number from 1"),
        ("QUELL_MAX_PENDING", "99999999999999999999999", "give a whole number from 0"),
        ("QUELL_MAX_RUNNING_PER_OWNER", "0", "give a whole number from 1"),
        ("QUELL_MAX_RUNNING_PER_OWNER", "many", "give a whole number from 1"),
        ("QUELL_DEFAULT_TIMEOUT", "0", "give a time above 0 and at most a year"),
        ("QUELL_DEFAULT_TIMEOUT", "-1s", "give a time above 0 and at most a year"),
        ("QUELL_MAX_TIMEOUT", "8761h", "give a time above 0 and at most a year"),
        ("QUELL_MAX_TIMEOUT", "none", "give a time above 0 and at most a year"),
        ("QUELL_SYNCHRONOUS", "off", "use `full` or `normal`"),
        ("QUELL_LOG_FORMAT", "xml", "use `pretty` or `json`"),
        ("RUST_LOG", "quell=loud", "give levels"),
    ];
    for (name, value, allowed) in table {
        let env = [(name, value)];
        if name == "RUST_LOG" || !value.is_empty() {
            assert!(refused(&env, "").contains(value), "{name}={value}");
        }
        let line = refused(&env, "");
        assert!(line.contains(name) && line.contains(allowed) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_malformed_value_is_named_after_the_layer_that_gave_it() {
    let flags = Flags { max_running: Some("x".to_owned()), ..Flags::default() };
    let line = with(&flags, &[("QUELL_MAX_RUNNING", "2")], "").unwrap_err().to_string();
    assert_eq!(line, "--max-running cannot be `x`: give a whole number from 1 to 10000000");
    let line = refused(&[], "max_running = \"x\"");
    assert_eq!(line, "`max_running` in quell.toml cannot be `x`: give a whole number from 1 to 10000000");
}

#[test]
fn durations_are_written_in_several_ways() {
    let table =
        [("30", 30_000), ("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("1.5s", 1500)];
    for (text, millis) in table {
        let settings = with(&Flags::default(), &[("QUELL_SHUTDOWN_GRACE", text)], "").unwrap();
        assert_eq!(settings.shutdown_grace, Duration::from_millis(millis), "{text}");
    }
}

#[test]
fn a_default_timeout_above_the_longest_is_refused_with_both_names() {
    let line = refused(&[("QUELL_DEFAULT_TIMEOUT", "2h")], "max_timeout = 90");
    assert_eq!(line, "QUELL_DEFAULT_TIMEOUT cannot be `2h`: `max_timeout` in quell.toml allows 90 at most");
    let equal = [("QUELL_DEFAULT_TIMEOUT", "90s"), ("QUELL_MAX_TIMEOUT", "1.5m")];
    assert!(with(&Flags::default(), &equal, "").is_ok());
}

#[test]
fn what_is_unknown_is_refused() {
    for name in ["QUELL_BINDD", "QUELL_JWT_SECRETS", "QUELL_RATE", "QUELL_"] {
        let line = refused(&[(name, "hush-hush-hush")], "");
        assert!(line.contains(name) && !line.contains("hush"), "{line}");
    }
    assert!(refused(&[], "bnid = 1").contains("unknown key `bnid` in quell.toml"));
    assert!(refused(&[], "[bind]\nport = 1").contains("give a text"));
    let fine = [("QUELL_URL", "x"), ("QUELL_TOKEN", "x"), ("QUELL_CONFIG", "x"), ("PATH", "x")];
    assert!(with(&Flags::default(), &fine, "").is_ok());
}

#[test]
fn no_message_and_no_debug_shows_a_secret() {
    let secret = "alice=hush-hush-hush-hush";
    for settings in [
        with(&Flags::default(), &[("QUELL_API_TOKENS", secret)], "").unwrap(),
        with(&Flags::default(), &[], &format!("api_tokens = {secret:?}")).unwrap(),
    ] {
        assert!(!format!("{settings:?}").contains("hush"));
        assert_eq!(settings.auth, AuthSettings::Token(TokenSource::Given(Secret::new(secret))));
    }
    for line in [
        refused(&[("QUELL_DATABASE_URL", "postgres://u:hush@h/d")], ""),
        refused(&[("QUELL_DATABASE_URL", "mysql://u:hush@h/d")], ""),
        refused(&[], &format!("api_tokens = {secret:?}x")),
        refused(&[], &format!("api_tokens = [{secret:?}]")),
        refused(&[], &format!("bind = \"h:1\"\napi_tokens = {secret}")),
    ] {
        assert!(!line.contains("hush") && !line.contains('\n'), "{line}");
    }
    assert!(refused(&[], "bind = \"h:1\"\n!").contains("line 2"));
}

#[test]
fn tokens_come_from_one_place() {
    let both = [("QUELL_API_TOKENS", "a=b"), ("QUELL_API_TOKENS_FILE", "f")];
    assert!(refused(&both, "").contains("both set"));
    assert!(refused(&[("QUELL_API_TOKENS", " ")], "").contains("empty"));
    let settings =
        with(&Flags::default(), &[("QUELL_API_TOKENS_FILE", "f")], "api_tokens = \"a=b\"").unwrap();
    assert_eq!(settings.auth, AuthSettings::Token(TokenSource::File(PathBuf::from("f"))));
}

#[test]
fn i32_there_is_one_key_for_json_web_tokens() {
    let secret = ("QUELL_JWT_SECRET", "hush-hush-hush-hush-hush-hush-hush");
    let file = ("QUELL_JWT_PUBLIC_KEY_FILE", "key.pem");
    let jwt = ("QUELL_AUTH", "jwt");
    assert!(refused(&[jwt], "").contains("there is no key"));
    assert!(refused(&[jwt, secret, file], "").contains("both set"));
    // In different layers too: it would be unclear which algorithm holds.
    assert!(refused(&[jwt, secret], "jwt_public_key_file = \"key.pem\"").contains("both set"));
    let settings =
        with(&Flags::default(), &[jwt, secret], "jwt_issuer = \"i\"\njwt_audience = \"a\"").unwrap();
    let AuthSettings::Jwt(settings) = settings.auth else { panic!("{:?}", settings.auth) };
    assert!(matches!(&settings.key, JwtKeySource::Secret(kept, _) if kept.expose() == secret.1));
    assert_eq!((settings.issuer.as_deref(), settings.audience.as_deref()), (Some("i"), Some("a")));
    assert!(!format!("{settings:?}").contains("hush"));
    assert!(refused(&[jwt, secret, ("QUELL_JWT_ISSUER", " ")], "").contains("give a text"));
}

#[test]
fn i32_what_belongs_to_another_way_is_refused() {
    let table = [
        ("token", "QUELL_JWT_SECRET", "set auth to `jwt`"),
        ("token", "QUELL_JWT_AUDIENCE", "set auth to `jwt`"),
        ("none", "QUELL_JWT_PUBLIC_KEY_FILE", "set auth to `jwt`"),
        ("none", "QUELL_API_TOKENS", "set auth to `token`"),
        ("none", "QUELL_API_TOKENS_FILE", "set auth to `token`"),
        ("jwt", "QUELL_API_TOKENS", "set auth to `token`"),
    ];
    for (way, name, told) in table {
        let line = refused(&[("QUELL_AUTH", way), (name, "hush-hush")], "");
        assert!(line.contains(name) && line.contains(told) && !line.contains("hush"), "{line}");
    }
    assert_eq!(with(&Flags::default(), &[], "auth = \"none\"").unwrap().auth, AuthSettings::None);
}

#[test]
fn a_list_is_given_by_several_flags_with_commas_or_as_a_list() {
    let expected = ["https://a.example", "http://localhost:5173", "http://[::1]:81"];
    let flags = Flags { cors_origin: expected.map(str::to_owned).into(), ..Flags::default() };
    let joined = expected.join(", ");
    let list = format!("cors_origin = {expected:?}");
    for told in [
        with(&flags, &[("QUELL_CORS_ORIGIN", "https://other.example")], ""),
        with(&Flags::default(), &[("QUELL_CORS_ORIGIN", &joined)], "cors_origin = \"https://other.example\""),
        with(&Flags::default(), &[], &list),
    ] {
        assert_eq!(told.unwrap().http.cors_origins, expected);
    }
    assert!(refused(&[], "cors_origin = [1]").contains("give a text"));
    assert!(refused(&[], "bind = [\"h:1\"]").contains("give a text"));
    let proxies = with(&Flags::default(), &[], "trusted_proxy = [\"10.0.0.0/8\", \"::1\"]").unwrap();
    assert_eq!(proxies.http.trusted_proxies, "10.0.0.0/8,::1".parse().unwrap());
}

#[test]
fn i32_a_file_with_secrets_that_others_may_read_is_refused() {
    let mut file = toml("api_tokens = \"a=b\"");
    file.others_may_read = true;
    let error = resolve(&Flags::default(), &BTreeMap::new(), Some(&file)).unwrap_err();
    assert!(error.to_string().contains("chmod 600 quell.toml"), "{error}");
    file.text = Secret::new("auth = \"jwt\"\njwt_secret = \"x\"");
    let error = resolve(&Flags::default(), &BTreeMap::new(), Some(&file)).unwrap_err();
    assert!(error.to_string().contains("holds `jwt_secret` and others may read it"), "{error}");
    file.text = Secret::new("bind = \"h:1\"");
    assert!(resolve(&Flags::default(), &BTreeMap::new(), Some(&file)).is_ok());
}

#[test]
fn i32_a_file_that_others_may_change_does_not_say_who_is_let_in() {
    for text in [
        "api_tokens_file = \"tokens\"",
        "database_url = \"sqlite://theirs.db\"",
        "auth = \"none\"",
        "auth = \"jwt\"\njwt_public_key_file = \"k\"",
    ] {
        let mut file = toml(text);
        file.others_may_write = true;
        let error = resolve(&Flags::default(), &BTreeMap::new(), Some(&file)).unwrap_err().to_string();
        assert!(error.contains("run `chmod go-w quell.toml`"), "{error}");
    }
    let mut file = toml("bind = \"h:1\"");
    file.others_may_write = true;
    assert!(resolve(&Flags::default(), &BTreeMap::new(), Some(&file)).is_ok());
}

#[test]
fn a_value_in_a_message_stays_on_one_line() {
    let line = refused(&[("QUELL_BIND", "a\nb\u{1b}[31m")], "");
    assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line:?}");
}

#[test]
fn a_named_file_must_be_there() {
    let flags = Flags { config: Some("/nowhere/quell.toml".to_owned()), ..Flags::default() };
    let error = super::load(&flags).unwrap_err().to_string();
    assert!(error.contains("/nowhere/quell.toml"), "{error}");
}
