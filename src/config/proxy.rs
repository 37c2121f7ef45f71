//! The usual proxy variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in capitals or not): which proxy leads
//! to an address. A proxy's address may hold a password: it is shown as host and port alone.

use std::net::IpAddr;

use url::Url;

use super::error::SettingsError;
use super::loopback::is_loopback;
use super::secret::Secret;
use super::variables::Variables;

/// The supported schemes; an address without one is `http`.
const SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

/// The proxy variables. They are validated when a proxy is needed.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    no_proxy: String,
}

/// A variable that is set.
#[derive(Debug, Clone)]
struct Named {
    variable: &'static str,
    address: Secret,
}

/// The proxy that leads to an address.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its host and port.
    pub shown: String,
    /// Its address, which may contain a password.
    pub address: Secret,
}

impl Proxies {
    /// Reads the variables. An empty one counts as unset, and one that is not Unicode is ignored.
    pub fn of(variables: &Variables) -> Self {
        let text = |name: &str| {
            let value = variables.get(name)?.to_str()?.trim();
            Some(value.to_owned()).filter(|value| !value.is_empty())
        };
        let named = |names: &[&'static str]| {
            names.iter().find_map(|variable| {
                let address = Secret::new(text(variable)?);
                Some(Named { variable, address })
            })
        };
        Self {
            https: named(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http: named(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default(),
        }
    }

    /// The proxy to this address, if there is one. This machine is never reached through one.
    pub fn to(&self, url: &Url) -> Result<Option<Proxy>, SettingsError> {
        let named = if url.scheme() == "http" {
            &self.http
        } else {
            &self.https
        };
        let Some(named) = named
            .as_ref()
            .filter(|_| !is_loopback(url) && !self.is_excepted(url))
        else {
            return Ok(None);
        };
        let given = named.address.expose();
        let text = if given.contains("://") {
            given.to_owned()
        } else {
            format!("http://{given}")
        };
        let bad = |why: String| SettingsError::BadProxy {
            variable: named.variable,
            why,
        };
        let parsed = Url::parse(&text).map_err(|error| bad(error.to_string()))?;
        if !SCHEMES.contains(&parsed.scheme()) {
            return Err(bad(format!("`{}` is no scheme of a proxy", parsed.scheme())));
        }
        let Some(host) = parsed.host_str().filter(|host| !host.is_empty()) else {
            return Err(bad("it names no host".to_owned()));
        };
        let socks = parsed.scheme().starts_with("socks").then_some(1080);
        let port = parsed.port_or_known_default().or(socks).unwrap_or_default();
        Ok(Some(Proxy {
            variable: named.variable,
            shown: format!("{host}:{port}"),
            address: Secret::new(text),
        }))
    }

    /// Whether `NO_PROXY` names the host: itself, a domain that it is below, a network that it is in, or `*`.
    fn is_excepted(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches([']', '.'])
            .to_ascii_lowercase();
        let port = url.port_or_known_default();
        let entries = self.no_proxy.split([',', ' ']);
        entries
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .any(|entry| {
                let entry = entry.to_ascii_lowercase();
                entry == "*" || covers(&entry, &host, port)
            })
    }
}

fn covers(entry: &str, host: &str, port: Option<u16>) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_in_network(entry.trim_matches(['[', ']']), address);
    }
    let (domain, only) = match entry.rsplit_once(':') {
        Some((domain, only)) => (domain, only.parse::<u16>().ok()),
        None => (entry, None),
    };
    let domain = domain.strip_prefix("*.").unwrap_or(domain).trim_matches('.');
    let below = host
        .strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !domain.is_empty() && below && (only.is_none() || only == port)
}

/// An address, or a network such as 10.0.0.0/8.
fn is_in_network(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (entry, Some(128)),
    };
    match (network.parse(), address, bits) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address), Some(bits)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            (network.to_bits() & mask) == (address.to_bits() & mask)
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address), Some(bits)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            (network.to_bits() & mask) == (address.to_bits() & mask)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    fn proxies(pairs: &[(&str, &str)]) -> Proxies {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()));
        Proxies::of(&pairs.collect())
    }

    /// The variable and the host of the proxy to the tenant.
    fn chosen(pairs: &[(&str, &str)]) -> Option<(&'static str, String)> {
        let tenant = Url::parse("https://x.blueconic.net").unwrap();
        let proxy = proxies(pairs).to(&tenant).unwrap()?;
        Some((proxy.variable, proxy.shown))
    }

    #[test]
    fn the_usual_variables_name_the_proxy_in_their_order() {
        let all = [
            ("HTTPS_PROXY", "http://a:3128"),
            ("https_proxy", "https://b"),
            ("ALL_PROXY", "c"),
            ("all_proxy", "socks5h://d"),
        ];
        let expected = ["a:3128", "b:443", "c:80", "d:1080"];
        for first in 0..all.len() {
            let named = chosen(&all[first..]);
            assert_eq!(named, Some((all[first].0, expected[first].to_owned())));
        }
        assert_eq!(
            chosen(&[("HTTP_PROXY", "http://a:1"), ("HTTPS_PROXY", " ")]),
            None
        );
        let local = Url::parse("http://127.0.0.1:1").unwrap();
        assert!(
            proxies(&[("HTTP_PROXY", "http://a:1")])
                .to(&local)
                .unwrap()
                .is_none()
        );
        let plain = Url::parse("http://x.net").unwrap();
        assert_eq!(
            proxies(&[("http_proxy", "a:1")])
                .to(&plain)
                .unwrap()
                .unwrap()
                .shown,
            "a:1"
        );
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        for (list, host, excepted) in [
            ("x.blueconic.net", "x.blueconic.net", true),
            ("blueconic.net", "x.blueconic.net", true),
            (".blueconic.net", "x.blueconic.net", true),
            ("*.BlueConic.net", "x.blueconic.net", true),
            ("a, b blueconic.net:443", "x.blueconic.net", true),
            ("blueconic.net:8443", "x.blueconic.net", false),
            ("conic.net", "x.blueconic.net", false),
            ("", "x.blueconic.net", false),
            (".", "x.blueconic.net", false),
            ("*", "x.blueconic.net", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "10.1.2.4", true),
            ("fd00::/8", "[fd12::1]", true),
            ("[fd12::1]", "[fd12::1]", true),
            ("fd00::/8", "[fe80::1]", false),
        ] {
            let url = Url::parse(&format!("https://{host}")).unwrap();
            let proxies = proxies(&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", list)]);
            assert_eq!(proxies.to(&url).unwrap().is_none(), excepted, "{list}: {host}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_reported_without_its_password() {
        let tenant = Url::parse("https://x.blueconic.net").unwrap();
        for (given, why) in [
            ("ftp://u:hunter2@p:1", "`ftp` is no scheme of a proxy"),
            ("socks6://u:hunter2@p:1", "`socks6` is no scheme"),
            ("http://u:hunter2@p:port", "port"),
            ("http://", "host"),
            ("socks5://", "host"),
            ("u:hunter2@p:99999", "port"),
        ] {
            let proxies = proxies(&[("HTTPS_PROXY", given)]);
            let error = proxies.to(&tenant).unwrap_err();
            let message = format!("{error}; {} {proxies:?}", error.hint());
            assert!(
                message.contains("HTTPS_PROXY") && message.contains(why),
                "{given}: {message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
        }
        let proxy = proxies(&[("HTTPS_PROXY", "http://u:hunter2@p:3128")])
            .to(&tenant)
            .unwrap()
            .unwrap();
        assert_eq!(proxy.shown, "p:3128");
        assert!(!format!("{proxy:?}").contains("hunter2"));
    }
}
