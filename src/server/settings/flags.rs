//! Owns the flags of `quell serve`, as text.
//!
//! A flag is optional and unchecked here: its value goes through the same checks as one from the environment or the
//! file. There is no flag for a secret.

use clap::Args;

/// The settings that were given as flags.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::doc_markdown, reason = "these lines are what --help shows")]
#[command(after_help = "\
Each flag can also be given as a variable (shown above) or as a key of quell.toml:
its name with underscores. A flag wins over a variable, a variable over the file.
Secrets have no flag:

  QUELL_API_TOKENS       tokens of at least 16 characters, as
                         alice=TOKEN;root=TOKEN:view_any_task+cancel_any_task
  QUELL_API_TOKENS_FILE  a file with the same, one a line, that only its user may read
                         (with neither, a token for `admin` is made at the first start
                         and kept beside the database, in DATABASE.token)
  QUELL_JWT_SECRET       with auth `jwt`, the secret of HS256, of at least 32 bytes
                         (or --jwt-public-key-file, for RS256 and EdDSA)
  RUST_LOG               what is logged [default: info]

Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot start, 70 when a part of it
failed for good.")]
pub struct Flags {
    /// Settings file; ./quell.toml if it is there [env: QUELL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Address to listen on; port 0 takes a free one [env: QUELL_BIND] [default: 127.0.0.1:8888]
    #[arg(long, value_name = "HOST:PORT")]
    pub bind: Option<String>,
    /// Database, made if missing [env: QUELL_DATABASE_URL] [default: sqlite://quell.db]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// How callers are known; `none` on loopback only [env: QUELL_AUTH] [default: token]
    #[arg(long, value_name = "token|jwt|none")]
    pub auth: Option<String>,
    /// With auth `jwt`: the public key, in PEM, of RSA or Ed25519 [env: QUELL_JWT_PUBLIC_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub jwt_public_key_file: Option<String>,
    /// With auth `jwt`: what the claim `iss` must be [env: QUELL_JWT_ISSUER]
    #[arg(long, value_name = "TEXT")]
    pub jwt_issuer: Option<String>,
    /// With auth `jwt`: what the claim `aud` must name [env: QUELL_JWT_AUDIENCE]
    #[arg(long, value_name = "TEXT")]
    pub jwt_audience: Option<String>,
    /// Answer 404 instead of 403 for other people's tasks [env: QUELL_HIDE_FOREIGN_TASKS=1] [default: off]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub hide_foreign_tasks: Option<String>,
    /// Exact origin whose pages may call; repeatable [env: QUELL_CORS_ORIGIN]
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// Proxy that is believed about where a request comes from; repeatable [env: QUELL_TRUSTED_PROXY]
    #[arg(long, value_name = "CIDR")]
    pub trusted_proxy: Vec<String>,
    /// Requests per minute and principal; 0 is no limit [env: QUELL_RATE_LIMIT] [default: 0]
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<String>,
    /// Event streams of one principal; 0 is no limit [env: QUELL_MAX_STREAMS_PER_PRINCIPAL] [default: 0]
    #[arg(long, value_name = "N")]
    pub max_streams_per_principal: Option<String>,
    /// Connections at once; the next one is closed at once [env: QUELL_MAX_CONNECTIONS] [default: 25000]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<String>,
    /// Those of one address; 0 is no limit [env: QUELL_MAX_CONNECTIONS_PER_ADDRESS] [default: 0]
    #[arg(long, value_name = "N")]
    pub max_connections_per_address: Option<String>,
    /// Register the demo models, app `tests` [env: QUELL_DEMO=1] [default: off]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub demo: Option<String>,
    /// Folder that HashFileTask may read [env: QUELL_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The most the whole shutdown may take: 30s, 500ms, 2m [env: QUELL_SHUTDOWN_GRACE] [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub shutdown_grace: Option<String>,
    /// Tasks that run at once; the rest waits [env: QUELL_MAX_RUNNING] [default: 100000]
    #[arg(long, value_name = "N")]
    pub max_running: Option<String>,
    /// Tasks that may wait [env: QUELL_MAX_PENDING] [default: 100000]
    #[arg(long, value_name = "N")]
    pub max_pending: Option<String>,
    /// Tasks of one owner that run or are pending [env: QUELL_MAX_RUNNING_PER_OWNER] [default: 1000]
    #[arg(long, value_name = "N")]
    pub max_running_per_owner: Option<String>,
    /// Timeout of a task that names none: 90s, 30m, 2h [env: QUELL_DEFAULT_TIMEOUT] [default: none]
    #[arg(long, value_name = "TIME")]
    pub default_timeout: Option<String>,
    /// Longest timeout; with it every task has one [env: QUELL_MAX_TIMEOUT] [default: none]
    #[arg(long, value_name = "TIME")]
    pub max_timeout: Option<String>,
    /// How long a finished task is kept: 30d, 12h; `none` keeps all [env: QUELL_RETENTION] [default: 30d]
    #[arg(long, value_name = "TIME|none")]
    pub retention: Option<String>,
    /// Threads for async bodies, with those added for bodies that never yield [env: QUELL_MAX_BODY_THREADS] [default: 64]
    #[arg(long, value_name = "N")]
    pub max_body_threads: Option<String>,
    /// Blocking bodies that run at once [env: QUELL_MAX_BLOCKING] [default: 512]
    #[arg(long, value_name = "N")]
    pub max_blocking: Option<String>,
    /// Processes of isolated bodies and commands at once; the rest waits [env: QUELL_MAX_PROCESSES] [default: 256]
    #[arg(long, value_name = "N")]
    pub max_processes: Option<String>,
    /// `normal` may lose acknowledged writes on power loss [env: QUELL_SYNCHRONOUS] [default: full]
    #[arg(long, value_name = "full|normal")]
    pub synchronous: Option<String>,
    /// Log for people or for programs, on standard error [env: QUELL_LOG_FORMAT] [default: pretty]
    #[arg(long, value_name = "pretty|json")]
    pub log_format: Option<String>,
}
