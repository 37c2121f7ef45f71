//! The errors of a person's authorization and of its sealed tokens: what failed, and what to do.

use crate::blueconic::auth::advice::{self, Asked};
use crate::model::fault::Kind;

/// A person's authorization is missing, has ended, or cannot be obtained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The key is missing that seals a person's authorization in the database.
    #[error("`tenant.grant` is \"authorization_code\", and there is no key to seal what is granted")]
    NoKey,
    /// The command needs another grant.
    #[error(
        "`blueconic-sync login` is for the grant `authorization_code`, and `tenant.grant` is \"client_credentials\""
    )]
    OtherGrant,
    /// Nobody has signed in, or has signed out.
    #[error("nobody has signed in to the tenant")]
    NotSignedIn,
    /// The refresh token is dead.
    #[error("the authorization has ended: a person has to sign in again (reauth required)")]
    Reauthorize {
        /// The tenant's message about the end.
        why: String,
    },
    /// The tokens were sealed with another key.
    #[error("the stored tokens were sealed with another key (`{stored}`) than BLUECONIC_SYNC_KEY (`{own}`)")]
    OtherKey {
        /// The id of the key that sealed them.
        stored: String,
        /// The id of our key.
        own: String,
    },
    /// The tokens have our key's id but cannot be opened.
    #[error("the stored tokens cannot be opened")]
    Unsealed {
        /// What is wrong with them.
        why: String,
    },
    /// The tenant gives no refresh token with a consent.
    #[error(
        "the tenant gives no refresh token, without which the authorization ends with its first access token"
    )]
    NoRefreshToken,
    /// The redirect from the consent page does not answer this sign-in.
    #[error("this is not the answer to this sign-in: {why}")]
    Redirect {
        /// What is wrong with it; never the code.
        why: &'static str,
    },
    /// The person or the tenant refused on the consent page.
    #[error("the tenant grants no access ({error})")]
    Consent {
        /// OAuth's error code.
        error: String,
        /// The tenant's description.
        description: String,
    },
}

impl AuthorizationError {
    /// The cause, if the message does not contain it.
    pub(in crate::blueconic) fn why(&self) -> Option<String> {
        let why = match self {
            Self::Reauthorize { why } | Self::Unsealed { why } => why,
            Self::Consent { description, .. } => description,
            _ => return None,
        };
        Some(why.clone()).filter(|why| !why.is_empty())
    }

    /// What a person should do about it.
    pub(in crate::blueconic) fn hint(&self) -> String {
        let fixed = match self {
            Self::Consent { error, .. } => return advice::of(error, Asked::Code),
            Self::NoKey => {
                "make a key with `openssl rand -base64 32` and set it as BLUECONIC_SYNC_KEY (or BLUECONIC_SYNC_KEY_FILE)"
            }
            Self::OtherGrant => {
                "set `tenant.grant` to \"authorization_code\" if the application in BlueConic has that flow; with client \
                 credentials nobody signs in"
            }
            Self::NotSignedIn | Self::Reauthorize { .. } => "run `blueconic-sync login`",
            Self::OtherKey { .. } => {
                "set BLUECONIC_SYNC_KEY to the key that sealed them, or name that one in BLUECONIC_SYNC_OLD_KEY and run \
                 `blueconic-sync rotate-key`, or sign in again with `blueconic-sync login`"
            }
            Self::Unsealed { .. } => {
                "run `blueconic-sync login`: what is stored was changed, or is another row's"
            }
            Self::NoRefreshToken => {
                "in BlueConic under Settings > Access management > Applications, allow the application refresh tokens; some \
                 servers want a scope for that (`tenant.scopes`)"
            }
            Self::Redirect { .. } => "use the address that the browser shows after this sign-in, whole",
        };
        fixed.to_owned()
    }

    pub(in crate::blueconic) fn kind(&self) -> Kind {
        match self {
            Self::NoKey | Self::OtherGrant | Self::OtherKey { .. } => Kind::Settings,
            Self::NotSignedIn | Self::Reauthorize { .. } | Self::Unsealed { .. } => Kind::Person,
            Self::NoRefreshToken | Self::Redirect { .. } | Self::Consent { .. } => Kind::Final,
        }
    }
}
