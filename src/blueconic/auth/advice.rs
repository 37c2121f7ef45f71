//! The hints for OAuth's refusals: which page and field of BlueConic's settings to correct. No error is made here.

use std::fmt;

/// The request of the application to the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A token for itself.
    ClientCredentials,
    /// The tokens of a person's consent.
    Code,
    /// The next tokens of an authorization.
    Refresh,
    /// The revocation of a token.
    Revocation,
}

impl Asked {
    /// The name of the call in messages.
    pub(super) const fn call(self) -> &'static str {
        match self {
            Self::Revocation => "POST /oauth/revoke",
            _ => "POST /oauth/token",
        }
    }

    const fn flow(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client credentials",
            _ => "authorization code",
        }
    }
}

/// The refusal, as it follows "the tenant" in a message.
impl fmt::Display for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Revocation => "does not revoke the token",
            _ => "gives no token",
        })
    }
}

/// The page with these settings.
const PAGE: &str = "in BlueConic under Settings > Access management > Applications";

/// The hint for each of OAuth's error codes (RFC 6749, section 5.2, and RFC 7009).
pub(in crate::blueconic) fn of(error: &str, asked: Asked) -> String {
    match error {
        "invalid_client" => format!(
            "{PAGE}, open the application: its toggle must be ON, its client id and client secret must be those of \
             BLUECONIC_CLIENT_ID and BLUECONIC_CLIENT_SECRET (a new secret replaces the old one at once), and if it has a \
             list of allowed IP addresses, this machine's must be in it"
        ),
        "unauthorized_client" => format!(
            "{PAGE}, open the application: its toggle must be ON, its flow must be {}, and if it has a list of allowed IP \
             addresses, this machine's must be in it",
            asked.flow()
        ),
        "access_denied" => format!(
            "if somebody pressed the wrong button, run `blueconic-sync login` again. If not: {PAGE}, open the application: \
             if it has a list of allowed IP addresses, this machine's must be in it; the person who signs in needs the \
             permission 'Authorize Applications'"
        ),
        "invalid_scope" => format!(
            "{PAGE}, grant the application the scopes that the resources need (read:segments, read:profiles, \
             read:profile-properties, read:audit-events), or correct `tenant.scopes`"
        ),
        "unsupported_grant_type" => format!(
            "{PAGE}, open the application: its flow must be {}; or set `tenant.grant` to the flow that it has",
            asked.flow()
        ),
        "invalid_grant" if asked == Asked::Code => format!(
            "run `blueconic-sync login` again: a code is good once and for a short time. If it stays, compare the redirect \
             URL of the application ({PAGE}) with `tenant.redirect_url`: they must be equal to the letter"
        ),
        "invalid_grant" => {
            "run `blueconic-sync login`: the authorization was revoked or has lapsed".to_owned()
        }
        "invalid_request" => format!(
            "{PAGE}, compare the redirect URL of the application with `tenant.redirect_url`; if the application wants its \
             secret by HTTP Basic, set `tenant.client_auth` to \"basic\""
        ),
        "unsupported_token_type" => {
            "the tenant does not revoke tokens of this kind; revoke the application's access in \
             BlueConic, then say `blueconic-sync logout --forget`"
                .to_owned()
        }
        _ => format!(
            "{PAGE}, check the application: is its toggle ON, is this machine's address among its allowed IP addresses, do \
             client id and secret match?"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_oauth_has_its_sentence() {
        let asks = [
            Asked::ClientCredentials,
            Asked::Code,
            Asked::Refresh,
            Asked::Revocation,
        ];
        for (error, says) in [
            ("invalid_client", "toggle must be ON"),
            ("unauthorized_client", "allowed IP addresses"),
            ("access_denied", "Authorize Applications"),
            ("invalid_scope", "tenant.scopes"),
            ("unsupported_grant_type", "tenant.grant"),
            ("invalid_grant", "blueconic-sync login"),
            ("invalid_request", "tenant.redirect_url"),
            ("unsupported_token_type", "logout --forget"),
            ("no reason given", "toggle ON"),
        ] {
            for asked in asks {
                assert!(of(error, asked).contains(says), "{error}");
            }
        }
        assert!(of("unauthorized_client", Asked::ClientCredentials).contains("client credentials"));
        assert!(of("unauthorized_client", Asked::Refresh).contains("authorization code"));
        assert!(of("invalid_grant", Asked::Code).contains("redirect URL"));
    }
}
