//! For whom a server without credentials answers: requests that name it by one of its own names.
//!
//! A page of another site can let its own name lead to this machine and then speak to whatever listens here ("DNS
//! rebinding"). Its requests carry that name in `Host`, and its own address in `Origin`.
//!
//! Invariant: with names set, a request without exactly one `Host` of them is refused, and one that says where it
//! comes from must come from there too.

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};

use super::problem::Problem;

/// The names of a server, and the origins beside them that may call it; without names everything passes.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    pub(super) hosts: Vec<String>,
    pub(super) origins: Vec<String>,
}

impl Gate {
    pub(super) fn check(&self, request: &HttpRequest) -> Result<(), Problem> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        let refused = |detail: &'static str| Err(Problem::forbidden(detail));
        let is_ours = |host: &str| self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
        if !one(request, HOST).is_some_and(is_ours) {
            return refused("this server answers under its own names only: the `Host` is another");
        }
        if request.uri().authority().is_some_and(|authority| !is_ours(authority.as_str())) {
            return refused("this server answers under its own names only: the request names another");
        }
        let is_known = |origin: &str| {
            origin.strip_prefix("http://").is_some_and(is_ours) || self.origins.iter().any(|o| o == origin)
        };
        if request.headers().contains_key(ORIGIN) && !one(request, ORIGIN).is_some_and(is_known) {
            return refused("pages of other origins may not call this server");
        }
        Ok(())
    }
}

/// The value of a header that stands there once, as text.
fn one(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    let mut values = request.headers().get_all(name);
    let first = values.next()?;
    first.to_str().ok().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn passes(uri: &str, headers: &[(&str, &str)]) -> bool {
        let gate = Gate {
            hosts: ["localhost:8888", "127.0.0.1:8888", "[::1]:8888"].map(str::to_owned).into(),
            origins: vec!["https://app.example.com".to_owned()],
        };
        let mut request = TestRequest::with_uri(uri);
        for header in headers {
            request = request.append_header(*header);
        }
        gate.check(&request.to_http_request()).is_ok()
    }

    #[test]
    fn a_request_by_one_of_our_names_passes() {
        for host in ["localhost:8888", "LocalHost:8888", "127.0.0.1:8888", "[::1]:8888"] {
            assert!(passes("/", &[("host", host)]), "{host}");
        }
        let host = ("host", "localhost:8888");
        for origin in ["http://localhost:8888", "http://127.0.0.1:8888", "https://app.example.com"] {
            assert!(passes("/", &[host, ("origin", origin)]), "{origin}");
        }
        assert!(passes("http://localhost:8888/", &[host]));
    }

    #[test]
    fn any_other_is_refused() {
        for host in [
            "",
            "evil.example",
            "evil.example:8888",
            "localhost",
            "localhost:80",
            "localhost:88888",
            "localhost.:8888",
            "127.0.0.1",
            "127.0.0.2:8888",
            "localhost:8888.evil.example",
            "x@localhost:8888",
        ] {
            assert!(!passes("/", &[("host", host)]), "{host}");
        }
        assert!(!passes("/", &[]));
        assert!(!passes("/", &[("host", "localhost:8888"), ("host", "evil.example")]));
        assert!(!passes("http://evil.example/", &[("host", "localhost:8888")]));
        for origin in [
            "null",
            "",
            "http://evil.example",
            "https://localhost:8888",
            "http://localhost",
            "localhost:8888",
            "http://localhost:8888.evil.example",
            "https://app.example.com.evil.example",
        ] {
            assert!(!passes("/", &[("host", "localhost:8888"), ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn without_names_everything_passes() {
        let request = TestRequest::default().insert_header(("host", "evil.example")).to_http_request();
        assert!(Gate::default().check(&request).is_ok());
    }
}
