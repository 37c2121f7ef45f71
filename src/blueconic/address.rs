//! Builds request addresses: the tenant's address, the API's path below it, and encoded queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::blueconic::error::ClientError;
use crate::config::settings::Tenant;
use crate::model::page::Request;

/// The characters that are encoded in a query's value. A blank becomes `%20`, which every server understands, not `+`.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// The API's address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    base: Url,
    api_path: String,
}

impl Address {
    /// Takes the address from the validated settings. Checks once more that no secret is sent in the clear.
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

    /// The tenant's name: its host in lower case, and the port if it is not the scheme's default.
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

    /// The revocation endpoint.
    pub(super) fn revocation(&self) -> Result<Url, ClientError> {
        self.below("/oauth/revoke", "POST /oauth/revoke")
    }

    /// The consent page.
    pub(super) fn authorization(&self) -> Result<Url, ClientError> {
        self.below("/oauth/authorize", "GET /oauth/authorize")
    }

    /// The URL of a request.
    pub(super) fn of(&self, request: &Request) -> Result<Url, ClientError> {
        let mut url = self.below(&request.path, &call(request))?;
        if !request.query.is_empty() {
            let query: Vec<String> = request
                .query
                .iter()
                .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, IN_QUERY)))
                .collect();
            url.set_query(Some(&query.join("&")));
        }
        Ok(url)
    }

    /// A path below the API's. It must stay below: an id such as `..` would request something else.
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

/// Names a request in messages: method and path. The id of a single object is left out, since messages are kept in logs
/// and in `sync.runs`, and the id of a profile belongs to a person.
pub(super) fn call(request: &Request) -> String {
    match single(request) {
        Some((before, _id)) => format!("GET {before}/{ID}"),
        None => format!("GET {}", request.path),
    }
}

/// A server's text about a request, without the requested id.
pub(super) fn without_id(request: &Request, words: &str) -> String {
    let Some((_, encoded)) = single(request).filter(|(_, id)| !id.is_empty()) else {
        return words.to_owned();
    };
    let plain = percent_decode_str(encoded).decode_utf8_lossy();
    words.replace(encoded, ID).replace(&*plain, ID)
}

/// The placeholder for an id in a message.
const ID: &str = "{id}";

/// The path of a single object: the part before its id, and the encoded id.
fn single(request: &Request) -> Option<(&str, &str)> {
    request
        .path
        .rsplit_once('/')
        .filter(|_| request.arrays.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_a_listing_and_no_single_object() {
        let request = |path: &str, arrays| Request {
            path: path.to_owned(),
            query: Vec::new(),
            arrays,
            scope: "read:profiles",
        };
        let listing = request("/segments/all/profiles", &["profiles"]);
        assert_eq!(call(&listing), "GET /segments/all/profiles");
        assert_eq!(without_id(&listing, "no profiles"), "no profiles");
        let one = request("/profiles/a%20b%2Bc", &[]);
        assert_eq!(call(&one), "GET /profiles/{id}");
        assert_eq!(
            without_id(&one, "`a b+c` is not at /profiles/a%20b%2Bc"),
            "`{id}` is not at /profiles/{id}"
        );
    }
}
