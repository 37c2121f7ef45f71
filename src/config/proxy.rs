//! Which proxy leads to an address: that of the settings, else that of the usual variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
//! `NO_PROXY`, in capitals or not). A proxy's address may hold a password: it is shown as host and port alone.

use std::net::IpAddr;

use url::Url;

use super::error::SettingsError;
use super::loopback::is_loopback;
use super::secret::Secret;
use super::shown::Origin;
use super::variables::Variables;

/// The supported schemes; an address without one is `http`.
const SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

/// The proxies. Those of variables are validated when one is needed.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    given: Option<Named>,
    https: Option<Named>,
    http: Option<Named>,
    no_proxy: String,
}

/// The address of a proxy, and what names it.
#[derive(Debug, Clone)]
struct Named {
    named_by: String,
    address: Secret,
}

/// The proxy that leads to an address.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The setting or the variable that names it.
    pub named_by: String,
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
                let named_by = (*variable).to_owned();
                Some(Named { named_by, address })
            })
        };
        Self {
            given: None,
            https: named(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http: named(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default(),
        }
    }

    /// The same with the proxy of a setting, which wins over those of the variables. Its address is validated here.
    pub(super) fn with(self, named_by: &str, address: Secret) -> Result<Self, SettingsError> {
        let named_by = named_by.to_owned();
        let given = Named { named_by, address };
        given.proxy()?;
        Ok(Self {
            given: Some(given),
            ..self
        })
    }

    /// The same with exceptions that take the place of those of `NO_PROXY`.
    pub(super) fn without(self, exceptions: &[String]) -> Self {
        Self {
            no_proxy: exceptions.join(","),
            ..self
        }
    }

    /// The proxy to this address, if there is one. This machine is never reached through one.
    pub fn to(&self, url: &Url) -> Result<Option<Proxy>, SettingsError> {
        let of_variable = if url.scheme() == "http" {
            &self.http
        } else {
            &self.https
        };
        let named = self.given.as_ref().or(of_variable.as_ref());
        let named = named.filter(|_| !is_loopback(url) && !self.is_excepted(url));
        named.map(Named::proxy).transpose()
    }

    /// The variable that names the proxy of https without its user and password, where no setting names one.
    pub(super) fn of_variable(&self) -> Option<(String, Origin)> {
        let named = self.https.as_ref().filter(|_| self.given.is_none())?;
        Some((named.shown()?, Origin::Variable(named.named_by.clone())))
    }

    /// Whether the exceptions name the host: itself, a domain that it is below, a network that it is in, or `*`.
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

impl Named {
    /// The address as a URL.
    fn parsed(&self) -> Result<Url, SettingsError> {
        let given = self.address.expose().trim();
        let bad = |why: String| SettingsError::BadProxy {
            named_by: self.named_by.clone(),
            why,
        };
        let parsed = if given.contains("://") {
            Url::parse(given)
        } else {
            Url::parse(&format!("http://{given}"))
        };
        let parsed = parsed.map_err(|error| bad(error.to_string()))?;
        if !SCHEMES.contains(&parsed.scheme()) {
            return Err(bad(format!("`{}` is no scheme of a proxy", parsed.scheme())));
        }
        if parsed.host_str().is_none_or(str::is_empty) {
            return Err(bad("it names no host".to_owned()));
        }
        Ok(parsed)
    }

    fn proxy(&self) -> Result<Proxy, SettingsError> {
        let parsed = self.parsed()?;
        let host = parsed.host_str().unwrap_or_default();
        Ok(Proxy {
            named_by: self.named_by.clone(),
            shown: format!("{host}:{}", port(&parsed)),
            address: Secret::new(parsed.into()),
        })
    }

    /// The address without user and password; none if it is not an address.
    fn shown(&self) -> Option<String> {
        let url = self.parsed().ok()?;
        Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, port(&url)))
    }
}

impl Proxy {
    /// The host and the port.
    pub fn host_and_port(&self) -> (String, u16) {
        // It was parsed when it was read.
        let url = Url::parse(self.address.expose()).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (host.to_owned(), url.as_ref().map_or(0, port))
    }
}

/// The port of a proxy's address, or that of its scheme.
fn port(url: &Url) -> u16 {
    let socks = url.scheme().starts_with("socks").then_some(1080);
    url.port_or_known_default().or(socks).unwrap_or_default()
}

/// The address of a proxy without a password, as a settings file may hold it. `key` is the setting.
pub(super) fn without_password(key: &str, given: &str) -> Result<Secret, SettingsError> {
    let named = Named {
        named_by: key.to_owned(),
        address: Secret::new(given.to_owned()),
    };
    let url = named.parsed()?;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(named.address);
    }
    Err(SettingsError::BadProxy {
        named_by: key.to_owned(),
        why: "it holds a user or a password, which belong in BLUECONIC_SYNC_PROXY, or in the file that `network.proxy_file` \
              names"
            .to_owned(),
    })
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
    fn chosen(pairs: &[(&str, &str)]) -> Option<(String, String)> {
        let tenant = Url::parse("https://x.blueconic.net").unwrap();
        let proxy = proxies(pairs).to(&tenant).unwrap()?;
        Some((proxy.named_by, proxy.shown))
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
            assert_eq!(named, Some((all[first].0.to_owned(), expected[first].to_owned())));
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
    #[test]
    fn a_setting_wins_over_the_variables() {
        let tenant = Url::parse("https://x.blueconic.net").unwrap();
        let variables = || {
            proxies(&[
                ("HTTPS_PROXY", "http://u:hunter2@a:1"),
                ("NO_PROXY", "x.blueconic.net"),
            ])
        };
        let given = || Secret::new("socks5h://v:hunter2@b\n".to_owned());
        let to = |proxies: Proxies| {
            proxies
                .to(&tenant)
                .unwrap()
                .map(|proxy| (proxy.named_by, proxy.shown))
        };
        assert_eq!(to(variables().with("s", given()).unwrap()), None);
        let own = variables()
            .with("s", given())
            .unwrap()
            .without(&["other".to_owned()]);
        assert_eq!(to(own.clone()), Some(("s".to_owned(), "b:1080".to_owned())));
        assert_eq!(to(own.without(&["*".to_owned()])), None);
        // What is plain http goes through it, too.
        let plain = Url::parse("http://x.net").unwrap();
        let through = variables().with("s", given()).unwrap().to(&plain).unwrap();
        assert_eq!(through.unwrap().host_and_port(), ("b".to_owned(), 1080));
        let shown = variables().of_variable().unwrap();
        assert_eq!(
            shown,
            (
                "http://a:1".to_owned(),
                Origin::Variable("HTTPS_PROXY".to_owned())
            )
        );
        assert_eq!(variables().with("s", given()).unwrap().of_variable(), None);
    }

    #[test]
    fn a_settings_file_holds_no_password() {
        assert!(without_password("network.proxy", "http://p:3128").is_ok());
        for given in ["http://u:hunter2@p:1", "http://hunter2@p:1", "u:hunter2@p:1"] {
            let error = without_password("network.proxy", given).unwrap_err();
            let message = format!("{error}; {}", error.hint());
            assert!(message.contains("BLUECONIC_SYNC_PROXY"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        let bad = proxies(&[]).with("s", Secret::new("ftp://u:hunter2@p".to_owned()));
        assert!(!format!("{:?}", bad.unwrap_err()).contains("hunter2"));
    }
}
