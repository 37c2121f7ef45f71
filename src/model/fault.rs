//! The one error that crosses a port: what failed, why, and what a person should do. Each layer has an error enum of
//! its own and turns it into a [`Fault`] at its edge, so that the engine and the commands decide by [`Kind`] alone.

use std::fmt;

/// The result of a port's method.
pub type Outcome<T> = Result<T, Fault>;

/// How a fault is to be treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Transient (overload, connection, a restart of the database); its retries are used up.
    Transient,
    /// Usage or settings are wrong, or the database belongs to another tenant: exit code 2.
    Settings,
    /// A person must act (approval, re-authorization): exit code 4.
    Person,
    /// The tenant denies a resource that needs `scope`. The other resources continue. Exit code 3.
    Denied {
        /// The scope as the vendor names it, for example `read:segments`.
        scope: String,
    },
    /// The tenant no longer accepts the cursor that was sent (400): the listing is read again from its start.
    CursorRefused,
    /// The page may be too large for the tenant or for a gateway. The caller may repeat the request for a smaller page, as its
    /// next attempt.
    Strained,
    /// The database crashed or failed over during a run and may have lost its last commits: the run goes on from what is stored.
    CommitsLost,
    /// Another run changed the typed columns of properties: the run goes on from what is stored, with the new ones.
    ColumnsChanged,
    /// The requested object does not exist at the tenant (404).
    Absent,
    /// The lease went to another holder: the current transaction wrote nothing.
    Fenced,
    /// Another process holds the lease and keeps renewing it.
    Held,
    /// A shutdown was requested; the position is stored.
    Interrupted,
    /// Everything else: retrying cannot help.
    Final,
}

/// An error with the sentence that an operator needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How it is to be treated.
    pub kind: Kind,
    /// What failed.
    pub what: String,
    /// The cause, if it is known. Never contains a secret.
    pub why: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the database, and not the tenant, caused the fault.
    pub of_database: bool,
}

impl Fault {
    /// A fault without cause or hint.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            why: None,
            hint: None,
            of_database: false,
        }
    }

    /// Adds the causes of an error, if it has any, on one line.
    #[must_use]
    pub fn because_of(self, error: &dyn std::error::Error) -> Self {
        let mut causes: Vec<String> = std::iter::successors(error.source(), |cause| (*cause).source())
            .map(ToString::to_string)
            .collect();
        causes.dedup();
        if causes.is_empty() {
            return self;
        }
        self.because(causes.join(": "))
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// Adds what a person should do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        self.kind == Kind::Transient
    }

    /// What failed and why, on one line.
    pub fn sentence(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.what),
            None => self.what.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.sentence())
    }
}

impl std::error::Error for Fault {}
