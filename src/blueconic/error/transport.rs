//! Converts errors of the HTTP client: a request without an answer, or an answer that broke off.

use std::error::Error as _;
use std::sync::Arc;

use super::chain;
use crate::blueconic::error::ClientError;
use crate::blueconic::status::Patience;

impl ClientError {
    /// The error of a request that brought no answer.
    pub(in crate::blueconic) fn unanswered(
        call: &str,
        error: reqwest::Error,
        proxy: Option<&str>,
        proven: bool,
    ) -> Self {
        let error = Self::transport(call, error);
        let why = error.source().map(chain).unwrap_or_default();
        match (error, proxy) {
            // hyper-util has these messages, also for SOCKS, for a 407 and similar refusals; it has no public type for them.
            (Self::Unreachable { call, .. }, Some(proxy))
                if why.contains("proxy authorization required")
                    || why.contains("credentials not accepted") =>
            {
                let proxy = proxy.to_owned();
                Self::ProxyRefuses { call, proxy }
            }
            (Self::Unreachable { call, source, .. }, proxy) => {
                let proxy = proxy.map(str::to_owned);
                Self::Unreachable { call, proxy, source }
            }
            (Self::Certificate { call, source, .. }, _) if proven => {
                let patience = Patience::Budget;
                Self::Certificate {
                    call,
                    patience,
                    source,
                }
            }
            (error, _) => error,
        }
    }

    /// The error of an answer that could not be read to its end.
    pub(in crate::blueconic) fn transport(call: &str, error: reqwest::Error) -> Self {
        let call = call.to_owned();
        let connecting = error.is_connect();
        let timeout = error.is_timeout();
        // The query may contain secrets or ids.
        let source = Arc::new(error.without_url());
        if connecting && chain(&*source).contains("invalid peer certificate") {
            let patience = Patience::Over;
            return Self::Certificate {
                call,
                patience,
                source,
            };
        }
        match (connecting, timeout) {
            (true, _) => {
                let proxy = None;
                Self::Unreachable { call, proxy, source }
            }
            (_, true) => Self::Timeout { call, source },
            _ => Self::Broken { call, source },
        }
    }
}
