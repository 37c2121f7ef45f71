//! Converts errors of the HTTP client: a request without an answer, or an answer that broke off.

use std::sync::Arc;

use crate::blueconic::error::ClientError;
use crate::blueconic::status::Patience;
use crate::network::failure::Failure;

impl ClientError {
    /// The error of a request that brought no connection. `proven`: there was one before.
    pub(in crate::blueconic) fn unconnected(call: &str, failure: Failure, proven: bool) -> Self {
        let call = call.to_owned();
        if failure.is_of_certificate() {
            let patience = if proven { Patience::Budget } else { Patience::Over };
            return Self::Certificate {
                call,
                failure,
                patience,
            };
        }
        Self::Unreachable { call, failure }
    }

    /// The error of a request that brought no answer over its connection, or of an answer that could not be read to its end.
    pub(in crate::blueconic) fn transport(call: &str, error: reqwest::Error) -> Self {
        let call = call.to_owned();
        let timeout = error.is_timeout();
        // The query may contain secrets or ids.
        let source = Arc::new(error.without_url());
        if timeout {
            Self::Timeout { call, source }
        } else {
            Self::Broken { call, source }
        }
    }
}
