//! The hints for the errors of the client: what a person should do. No error is made or classified here.

use crate::blueconic::auth::advice;
use crate::blueconic::error::ClientError;

impl ClientError {
    /// What a person should do about it.
    pub fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Settings(error) => return Some(error.hint()),
            Self::Store(fault) => return fault.hint.clone(),
            Self::GaveUp { last, .. } => return last.hint(),
            Self::Denied { scope, .. } => return Some(denied(scope)),
            Self::Refused { error, asked, .. } => return Some(advice::of(error, *asked)),
            Self::Authorization(error) => return Some(error.hint()),
            Self::Status { .. } if self.may_be_size() => {
                "lower the resource's `page_size` if this stays: the tenant, or a proxy in between, may give up on large pages"
            }
            Self::Status { status, .. } => return of_status(*status),
            Self::Blocked { status, .. } => of_blocked(*status),
            Self::Redirected { .. } => {
                "set BLUECONIC_URL to the tenant's own address, as the browser shows it in BlueConic; if it is that one, \
                 something in front of the tenant sends requests elsewhere, as under maintenance: try again later"
            }
            Self::Key { .. } => {
                "make one with `openssl rand -base64 32` and set it as BLUECONIC_SYNC_KEY (or BLUECONIC_SYNC_KEY_FILE)"
            }
            Self::Insecure { .. } => "set BLUECONIC_URL to an address that begins with https://",
            Self::Setup { .. } => {
                "the usual CA certificates come with the package ca-certificates; one of your own is named in `network.ca_file`"
            }
            Self::Unreachable { failure, .. } | Self::Certificate { failure, .. } => failure.hint(),
            Self::Timeout { .. } => {
                "raise `tenant.read_timeout`, or lower the resource's `page_size`, if this stays"
            }
            Self::Slow { .. } => {
                "the tenant, or the network to it, is slow: lower the resource's `page_size`, or `tenant.least_rate`, or raise \
                 `tenant.page_timeout`, if this stays"
            }
            Self::Broken { .. } | Self::Garbled { .. } => {
                "lower the resource's `page_size` if this stays; a proxy in between may cut long answers"
            }
            Self::Compressed { .. } => {
                "set `tenant.compression` to false if this stays; a proxy in between may garble packed answers"
            }
            Self::Excessive { .. } => {
                "no page of profiles compresses like that: find out what answers in the tenant's place; if it is the tenant, lower \
                 the resource's `page_size` or set `tenant.compression` to false"
            }
            Self::Foreign { .. } => {
                "check BLUECONIC_URL and `tenant.api_path`: a proxy, a login page or another server answers"
            }
            Self::TooLarge { .. } => "raise `limits.element_size`",
            Self::Token { .. } => {
                "check BLUECONIC_URL and `tenant.api_path`: is this BlueConic's token endpoint?"
            }
            _ => return None,
        };
        Some(fixed.to_owned())
    }
}

fn of_status(status: u16) -> Option<String> {
    let fixed = match status {
        407 => {
            "something on the way wants credentials of a proxy: check `network.proxy`, BLUECONIC_SYNC_PROXY and HTTPS_PROXY"
        }
        420 | 429 | 503 | 529 => {
            "the tenant is overloaded: lower `limits.requests_per_second` and `limits.concurrent_requests`"
        }
        500.. => {
            "the tenant, or a gateway in front of it, is in trouble: nothing needs to be done if it passes; if it stays, ask \
             those who run it"
        }
        _ => return None,
    };
    Some(fixed.to_owned())
}

const fn of_blocked(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "something in front of the tenant refuses this machine (a firewall, a gateway, a list of allowed IP addresses), not \
             the API: have those who run it let its address through; if it counts requests, lower \
             `limits.requests_per_second`"
        }
        _ => {
            "check BLUECONIC_URL and `tenant.api_path`: something in front of the tenant answers, not the API; nothing needs \
             to be done if it passes"
        }
    }
}

fn denied(scope: &str) -> String {
    format!(
        "grant `{scope}` to the application in BlueConic (Settings > Access management > Applications), and check that its \
         'run as' user may read this"
    )
}
