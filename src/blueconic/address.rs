//! Where requests go: the tenant's address, the API's path below it, and queries that arrive as they were meant.

use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::blueconic::error::ClientError;
use crate::config::settings::Tenant;
use crate::model::page::Request;

/// The API's address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    base: Url,
    api_path: String,
}

impl Address {
    /// The address as the settings give it. They are validated; that a secret never leaves in the clear is checked here
    /// once more.
    pub(super) fn new(tenant: &Tenant) -> Result<Self, ClientError> {
        let base = tenant.address()?;
        let address = Self {
            base,
            api_path: tenant.api_path.clone(),
        };
        if address.base.scheme() != "https" && !address.is_loopback() {
            return Err(ClientError::Insecure {
                address: address.name(),
            });
        }
        Ok(address)
    }

    /// Whether the tenant is on this machine (simulated, or a mock).
    pub(super) fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            None => false,
        }
    }

    /// The tenant's name: its host in lower case, and the port where it is not the scheme's own.
    pub(super) fn name(&self) -> String {
        let host = self.base.host_str().unwrap_or_default().to_ascii_lowercase();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// The token endpoint.
    pub(super) fn token(&self) -> Result<Url, ClientError> {
        self.below("/oauth/token", "POST /oauth/token")
    }

    /// The URL of a request.
    pub(super) fn of(&self, request: &Request) -> Result<Url, ClientError> {
        let mut url = self.below(&request.path, &call(request))?;
        if !request.query.is_empty() {
            let query: Vec<String> = request
                .query
                .iter()
                .map(|(key, value)| format!("{key}={}", encode(value)))
                .collect();
            url.set_query(Some(&query.join("&")));
        }
        Ok(url)
    }

    /// A path below the API's, which it must not leave: an id such as `..` would ask for something else.
    fn below(&self, path: &str, call: &str) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        let whole = format!("{}{path}", self.api_path);
        url.set_path(&whole);
        if url.path() != whole {
            return Err(ClientError::Astray {
                call: call.to_owned(),
            });
        }
        Ok(url)
    }
}

/// A request in the words of a message: method and path. The id of a single object is left out: messages are kept, in
/// logs and in `sync.runs`, and a profile's id is a person's.
pub(super) fn call(request: &Request) -> String {
    match request.path.rsplit_once('/') {
        Some((before, _id)) if request.array.is_empty() => format!("GET {before}/{{id}}"),
        _ => format!("GET {}", request.path),
    }
}

/// Percent-encodes a value; a blank as `%20`, which every server understands, not as `+`.
fn encode(value: &str) -> String {
    byte_serialize(value.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}
