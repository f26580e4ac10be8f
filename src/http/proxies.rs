//! From where a request comes: the other end of its connection, or what a trusted proxy says of it.
//!
//! Invariants: only a proxy that the host named is believed, and only about the step before it; whoever can reach
//! the server without one cannot choose what the audit log says of them.
//!
//! It deliberately does not decide anything by an address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// The networks of the proxies in front of a server, whose `X-Forwarded-For` or `Forwarded` is believed.
///
/// ```
/// # use quell::http::TrustedProxies;
/// let proxies: TrustedProxies = "10.0.0.0/8, 192.0.2.7, ::1".parse()?;
/// # Ok::<(), quell::http::TrustedProxiesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// A text is no list of networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: write an address or a CIDR, such as 10.0.0.0/8 or ::1")]
pub struct TrustedProxiesError(String);

impl FromStr for TrustedProxies {
    type Err = TrustedProxiesError;

    /// Reads addresses and networks with commas between.
    fn from_str(text: &str) -> Result<Self, TrustedProxiesError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let read = |part: &str| {
            let address = part.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|_| part.parse()).map_err(|_| TrustedProxiesError(super::problem::shown(part)))
        };
        parts.map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// From where a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The other end of the connection.
    Peer(SocketAddr),
    /// Behind trusted proxies.
    Behind(IpAddr),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => address.fmt(f),
            Self::Behind(address) => address.fmt(f),
        }
    }
}

impl TrustedProxies {
    /// Whether it is one of them.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// From where a request comes: the nearest address that is no trusted proxy.
    pub(super) fn sender(&self, request: &HttpRequest) -> Option<Sender> {
        let peer = request.peer_addr()?;
        if !self.trusts(peer.ip().to_canonical()) {
            return Some(Sender::Peer(peer));
        }
        let headers = request.headers();
        let listed = match (hops(headers, "x-forwarded-for", plain), hops(headers, "forwarded", forwarded)) {
            (Some(hops), None) | (None, Some(hops)) => self.nearest(&hops),
            // A proxy sets one of them and passes the other one on, whoever wrote it: agreeing is all they can do.
            (Some(a), Some(b)) => self.nearest(&a).filter(|nearest| self.nearest(&b) == Some(*nearest)),
            (None, None) => None,
        };
        Some(listed.map_or(Sender::Peer(peer), Sender::Behind))
    }

    /// Reads from the right: each trusted proxy vouches for what stands before it, and for nothing further left.
    fn nearest(&self, hops: &[Option<IpAddr>]) -> Option<IpAddr> {
        let mut last = None;
        for hop in hops.iter().rev() {
            let Some(address) = *hop else { break };
            last = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        last
    }
}

/// The addresses of all headers of a name, in order; none where there is no such header, or it is no text.
fn hops(headers: &HeaderMap, name: &str, read: fn(&str) -> Option<IpAddr>) -> Option<Vec<Option<IpAddr>>> {
    let mut found = None;
    for value in headers.get_all(name) {
        let hops = found.get_or_insert_with(Vec::new);
        match value.to_str() {
            Ok(text) => hops.extend(text.split(',').map(read)),
            Err(_) => hops.push(None),
        }
    }
    found
}

/// `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn plain(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

/// `for=192.0.2.7;proto=https`, `for="[2001:db8::1]:80"`.
fn forwarded(text: &str) -> Option<IpAddr> {
    let mut values = text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    plain(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn told(trusted: &str, peer: &str, headers: &[(&str, &str)]) -> String {
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for header in headers {
            request = request.append_header(*header);
        }
        let proxies: TrustedProxies = trusted.parse().unwrap();
        proxies.sender(&request.to_http_request()).unwrap().to_string()
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let spoofed = [(XFF, "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
        assert_eq!(told("", "10.0.0.1:9", &spoofed), "10.0.0.1:9");
        assert_eq!(told("10.0.0.2", "10.0.0.1:9", &spoofed), "10.0.0.1:9");
        assert_eq!(told("10.0.0.0/8", "10.0.0.1:9", &[(XFF, "1.2.3.4")]), "1.2.3.4");
        assert_eq!(told("10.0.0.0/8", "10.0.0.1:9", &[]), "10.0.0.1:9");
        assert_eq!(told("10.0.0.0/8", "[::ffff:10.0.0.1]:9", &[(XFF, "1.2.3.4")]), "1.2.3.4");
    }

    #[test]
    fn the_nearest_address_that_is_not_trusted_counts() {
        let told = |list: &str| told("10.0.0.0/8", "10.0.0.1:9", &[(XFF, list)]);
        assert_eq!(told("6.6.6.6, 1.2.3.4"), "1.2.3.4");
        assert_eq!(told("6.6.6.6, 1.2.3.4, 10.0.0.7"), "1.2.3.4");
        assert_eq!(told("10.9.9.9, 10.0.0.7"), "10.9.9.9");
        assert_eq!(told("6.6.6.6, nonsense, 10.0.0.7"), "10.0.0.7");
        assert_eq!(told("6.6.6.6, nonsense"), "10.0.0.1:9");
        assert_eq!(told("1.2.3.4:5555"), "1.2.3.4");
        assert_eq!(told("[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(told("2001:db8::1"), "2001:db8::1");
    }

    #[test]
    fn several_headers_are_one_list() {
        let headers = [(XFF, "6.6.6.6"), (XFF, "1.2.3.4, 10.0.0.3")];
        assert_eq!(told("10.0.0.0/8", "10.0.0.1:9", &headers), "1.2.3.4");
    }

    #[test]
    fn forwarded_is_read_too() {
        let told = |value: &str| told("10.0.0.0/8", "10.0.0.1:9", &[("forwarded", value)]);
        assert_eq!(told("for=6.6.6.6, For=1.2.3.4;proto=https;by=10.0.0.1"), "1.2.3.4");
        assert_eq!(told("for=\"[2001:db8::1]:4711\""), "2001:db8::1");
        for odd in ["for=unknown", "for=_hidden", "proto=https", "for=1.1.1.1;for=2.2.2.2", "for=\"1.1.1.1"] {
            assert_eq!(told(odd), "10.0.0.1:9", "{odd}");
        }
    }

    #[test]
    fn two_lists_that_disagree_say_nothing() {
        let told =
            |xff: &str, value: &str| told("10.0.0.0/8", "10.0.0.1:9", &[(XFF, xff), ("forwarded", value)]);
        assert_eq!(told("1.2.3.4", "for=1.2.3.4"), "1.2.3.4");
        assert_eq!(told("1.2.3.4", "for=6.6.6.6"), "10.0.0.1:9");
        assert_eq!(told("1.2.3.4", "for=unknown"), "10.0.0.1:9");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["10.0.0.0/33", "example.com", "10.0.0", "*", "10.0.0.1 10.0.0.2"] {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text}");
        }
        assert_eq!(" ".parse(), Ok(TrustedProxies::default()));
    }
}
