//! Owns the one principal of a server without authentication: whoever is on this machine.
//!
//! What keeps others out is not here: the address is loopback, and requests that pages of other sites send are
//! refused, see [`hosts`].

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::{FromRequest, HttpRequest, dev};

use crate::http::{Principal, Scope, TaskRef};

/// Everybody: may do everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

impl FromRequest for Local {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(_: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

impl Principal for Local {
    fn name(&self) -> Arc<str> {
        "local".into()
    }

    fn may_view(&self, _: &TaskRef<'_>) -> bool {
        true
    }

    fn may_cancel(&self, _: &TaskRef<'_>) -> bool {
        true
    }

    fn view_scope(&self) -> Scope {
        Scope::Any
    }

    fn cancel_scope(&self) -> Scope {
        Scope::Any
    }
}

/// The names under which a client on this machine reaches that address, as `Host` carries them.
pub(super) fn hosts(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let mut hosts = vec![address.to_string()];
    hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}")));
    if port == 80 {
        // The port that HTTP has anyway is not written.
        let without: Vec<String> =
            hosts.iter().filter_map(|host| host.strip_suffix(":80").map(str::to_owned)).collect();
        hosts.extend(without);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_address_and_the_names_of_loopback() {
        let hosts = |address: &str| hosts(address.parse().unwrap());
        assert_eq!(
            hosts("127.0.0.2:8888"),
            ["127.0.0.2:8888", "localhost:8888", "127.0.0.1:8888", "[::1]:8888"]
        );
        assert!(
            hosts("[::1]:80").contains(&"[::1]".to_owned())
                && hosts("[::1]:80").contains(&"localhost".to_owned())
        );
        assert!(!hosts("127.0.0.1:8080").contains(&"localhost".to_owned()));
    }
}
