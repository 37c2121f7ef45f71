//! The hosts that the pages answer to. A website can let its own name resolve to this machine (DNS rebinding) and make
//! a browser here read the pages; the request's host shows the website's name. Loopback names and the address at which
//! the request arrived are always allowed.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use super::connections::ArrivedAt;

/// The allowed hosts besides those that are always allowed; in lower case, without port.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    named: Vec<String>,
    any: bool,
}

impl Hosts {
    /// Takes the hosts of the settings; `*` is any.
    pub fn of(named: &[String]) -> Self {
        let name = |host: &String| bare(host).to_lowercase();
        Self {
            named: named.iter().map(name).collect(),
            any: named.iter().any(|host| host == "*"),
        }
    }

    /// Whether a request is meant for this service.
    pub(super) fn allow(&self, uri: &Uri, headers: &HeaderMap, arrived: Option<ArrivedAt>) -> bool {
        if self.any {
            return true;
        }
        let mut given = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (given.next(), given.next()) else {
            return false;
        };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        // If a request names a whole URL, its host must be allowed as well.
        host.is_some_and(|host| self.is_meant(host.host(), arrived))
            && uri.host().is_none_or(|host| self.is_meant(host, arrived))
    }

    fn is_meant(&self, host: &str, arrived: Option<ArrivedAt>) -> bool {
        let host = bare(host).to_lowercase();
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            if address.is_loopback() || arrived.is_some_and(|arrived| arrived.0 == address) {
                return true;
            }
        }
        host == "localhost" || host.ends_with(".localhost") || self.named.contains(&host)
    }
}

/// A host without the brackets of an IPv6 address, and without the dot that ends a full name.
fn bare(host: &str) -> &str {
    let host = host.trim();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn allows(hosts: &[&str], host: &str) -> bool {
        let named: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        let arrived = Some(ArrivedAt("10.1.2.3".parse().unwrap()));
        Hosts::of(&named).allow(&"/".parse().unwrap(), &headers, arrived)
    }

    #[test]
    fn loopback_the_address_of_arrival_and_what_is_named_are_meant() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "sync.localhost",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "10.1.2.3:8080",
            "[::ffff:10.1.2.3]",
            "localhost.",
        ] {
            assert!(allows(&[], host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.1.2.4",
            "10.1.2.3.evil.example",
            "",
            "a b",
            "user@localhost.example",
            "2130706433",
        ] {
            assert!(!allows(&[], host), "{host}");
            assert!(allows(&["*"], host), "{host}");
        }
        assert!(allows(&["Sync.example"], "sync.EXAMPLE:9090"));
        assert!(allows(&["sync.example."], "sync.example"));
        assert!(allows(&["192.0.2.7"], "192.0.2.7:80"));
        assert!(!allows(&["sync.example"], "evil.sync.example"));
    }

    #[test]
    fn none_or_two_hosts_and_another_in_the_address_are_not() {
        let hosts = Hosts::default();
        let uri: Uri = "/".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert!(!hosts.allow(&uri, &headers, None));
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert!(hosts.allow(&uri, &headers, None));
        assert!(!hosts.allow(&"http://evil.example/".parse().unwrap(), &headers, None));
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert!(!hosts.allow(&uri, &headers, None));
    }
}
