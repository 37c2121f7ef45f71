//! The errors of a message. None of them shows the address, which is a secret.

use crate::config::error::SettingsError;
use crate::model::fault::{Fault, Kind};
use crate::network::error::RouteError;
use crate::network::failure::Failure;

/// A message that could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The settings of the proxy.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No client can be made.
    #[error("no connection to {what} can be set up")]
    Setup {
        /// What would be asked.
        what: &'static str,
        /// Why; without the address.
        #[source]
        source: RouteError,
    },
    /// No connection came about.
    #[error("{0}")]
    Unconnected(Failure),
    /// Nothing answered.
    #[error("{what} did not answer")]
    Unanswered {
        /// What was asked.
        what: &'static str,
        /// Why; without the address.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is no success.
    #[error("{what} answered with status {status}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The status of the answer.
        status: u16,
    },
}

impl NotifyError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Setup { .. } => {
                "the usual CA certificates come with the package ca-certificates; one of your own is named in `network.ca_file`"
                    .to_owned()
            }
            Self::Unconnected(failure) => failure.hint().to_owned(),
            Self::Unanswered { .. } => {
                "check the address, and that this machine (or its proxy) reaches its host".to_owned()
            }
            Self::Refused { status: 300..=399, .. } => {
                "a redirect is not followed, since the address is a secret: set the address that it leads to".to_owned()
            }
            Self::Refused { .. } => {
                "check that the address is complete and still valid, and that `notify.format` is what it takes".to_owned()
            }
        }
    }
}

impl From<NotifyError> for Fault {
    fn from(error: NotifyError) -> Self {
        let kind = match &error {
            NotifyError::Settings(_) => Kind::Settings,
            NotifyError::Unconnected(failure) if failure.is_of_settings() => Kind::Settings,
            NotifyError::Unconnected(_) | NotifyError::Unanswered { .. } => Kind::Transient,
            NotifyError::Setup { .. } | NotifyError::Refused { .. } => Kind::Final,
        };
        let fault = Self::new(kind, error.to_string()).hint(error.hint());
        if let NotifyError::Unconnected(failure) = &error
            && let Some(detail) = failure.detail()
        {
            return fault.because(detail);
        }
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        if causes.is_empty() {
            fault
        } else {
            fault.because(causes.join(": "))
        }
    }
}
