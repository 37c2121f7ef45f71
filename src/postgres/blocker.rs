//! The cause that blocks work on the database, in words. `blockers` finds it.

/// The cause that blocks work on the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// Sessions that hold a lock, in words.
    Session(String),
    /// A synchronous standby that does not confirm a commit.
    Standby,
    /// The server waits for our next message, while we wait for its answer.
    Silence,
    /// The server cannot be reached.
    Away,
    /// No visible cause.
    Nobody,
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session(who) => write!(out, "a lock is held by {who}"),
            Self::Standby => out.write_str("PostgreSQL waits for a synchronous standby that is away"),
            Self::Silence => out.write_str("the connection to PostgreSQL stopped responding"),
            Self::Away => out.write_str("PostgreSQL does not answer"),
            Self::Nobody => out.write_str("PostgreSQL has not finished it"),
        }
    }
}

impl Blocker {
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Session(_) => {
                "end that session's transaction (`select pg_terminate_backend(NUMBER)` ends the session), or wait for it"
            }
            Self::Standby => "bring the standby back, or take it out of `synchronous_standby_names`",
            Self::Silence => {
                "look at what stands between here and PostgreSQL (a firewall or NAT that drops connections, a node that \
                 failed)"
            }
            Self::Away => "check whether PostgreSQL runs, is overloaded, or cannot be reached from here",
            Self::Nobody => "check whether PostgreSQL is overloaded or its disk is slow",
        }
    }
}
