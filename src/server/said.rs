//! Owns what a server tells the person who started it, apart from its log, and the words of it.
//!
//! Printing is the command line's: here are only the texts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::settings::Secret;

/// Takes what a server says.
pub type Say = fn(&Said);

/// What a server tells the person who started it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// It is ready: the one line of standard output.
    Listening(SocketAddr),
    /// A token was made, because none was configured. It is shown this once.
    TokenMade {
        /// The token.
        token: Secret,
        /// Where it is kept.
        file: PathBuf,
    },
    /// Commits do not wait for the disk.
    MayLoseWrites,
    /// How to try the demo.
    Demo {
        /// Where it listens.
        address: SocketAddr,
        /// What its callers send.
        credentials: Credentials,
    },
}

/// What callers send to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// The token in this file.
    File(PathBuf),
    /// A token that the person chose or is given elsewhere.
    Yours,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(address) => write!(f, "listening on http://{address}"),
            Self::TokenMade { token, file } => write!(
                f,
                "made a token for `admin`, who may do everything; it is shown only now, and kept in {}:\n{}",
                file.display(),
                token.expose()
            ),
            Self::MayLoseWrites => f.write_str(
                "synchronous is `normal`: a power loss may take writes that were acknowledged (`full` keeps them)",
            ),
            Self::Demo { address, credentials } => demo(f, *address, credentials),
        }
    }
}

/// Three lines for a shell: start, watch, cancel. None of them holds a token; each reads it when it is pasted.
fn demo(f: &mut fmt::Formatter<'_>, address: SocketAddr, credentials: &Credentials) -> fmt::Result {
    let url = reachable(address);
    let bearer = |token: &str| format!("-H \"Authorization: Bearer {token}\" ");
    let auth = match credentials {
        Credentials::File(file) => bearer(&format!("$(cat {})", quoted(&file.display().to_string()))),
        Credentials::Yours => bearer("$QUELL_TOKEN"),
        Credentials::Nothing => String::new(),
    };
    writeln!(f, "try it: start a task, watch it (Ctrl-C leaves it running), cancel it:")?;
    if *credentials == Credentials::Yours {
        writeln!(f, "# first: export QUELL_TOKEN=one-of-your-tokens")?;
    }
    writeln!(
        f,
        "LOC=$(curl -si -X POST {auth}{url}/tasks/tests/StuckTask | sed -n 's/^[Ll]ocation: *//p' | tr -d '\\r'); echo \"$LOC\""
    )?;
    writeln!(f, "curl -N {auth}\"{url}/stream${{LOC#/tasks}}\"")?;
    write!(f, "curl -X POST {auth}\"{url}/cancel${{LOC#/tasks}}\"")
}

/// A client cannot connect to `0.0.0.0` everywhere: the loopback address of the same family stands for it.
fn reachable(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(address: &str, credentials: Credentials) -> Vec<String> {
        let said = Said::Demo { address: address.parse().unwrap(), credentials };
        said.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_demo_lines_read_the_token_from_its_file() {
        let lines = lines("127.0.0.1:80", Credentials::File("/it's/quell.db.token".into()));
        let curl: Vec<_> = lines.iter().filter(|line| line.contains("curl")).collect();
        assert_eq!(curl.len(), 3);
        for line in curl {
            assert!(
                line.contains(r#"-H "Authorization: Bearer $(cat '/it'\''s/quell.db.token')""#),
                "{line}"
            );
        }
        assert!(
            lines[1].starts_with("LOC=$(curl -si -X POST") && lines[1].contains("http://127.0.0.1:80/tasks/")
        );
        assert!(lines[2].ends_with("\"http://127.0.0.1:80/stream${LOC#/tasks}\""), "{}", lines[2]);
        assert!(lines[3].ends_with("\"http://127.0.0.1:80/cancel${LOC#/tasks}\""), "{}", lines[3]);
    }

    #[test]
    fn configured_tokens_are_named_by_a_variable() {
        let lines = lines("[::]:8888", Credentials::Yours);
        assert!(lines.iter().filter(|l| l.contains("$QUELL_TOKEN\"")).count() == 3, "{lines:?}");
        assert!(lines.iter().any(|l| l.contains("export QUELL_TOKEN")));
        assert!(lines.iter().filter(|l| l.contains("http://[::1]:8888/")).count() == 3);
    }

    #[test]
    fn without_authentication_the_lines_send_no_token() {
        let lines = lines("127.0.0.1:80", Credentials::Nothing);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(
            lines.iter().all(|line| !line.contains("Authorization") && !line.contains("TOKEN")),
            "{lines:?}"
        );
        assert_eq!(lines[2], "curl -N \"http://127.0.0.1:80/stream${LOC#/tasks}\"");
    }

    #[test]
    fn the_ready_line_has_the_real_port() {
        let said = Said::Listening("127.0.0.1:4711".parse().unwrap());
        assert_eq!(said.to_string(), "listening on http://127.0.0.1:4711");
    }
}
