//! The authorization-code flow of the tenant's only application: the consent page, codes, and rotating refresh tokens,
//! whose second use revokes all tokens of the same consent. PKCE with S256 is required. The client's authentication and the
//! check of access tokens are in `oauth`.

use std::collections::HashMap;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use crate::query::Query;

/// How long a code is valid, in milliseconds.
const CODE_LIFE: i64 = 60_000;

/// The tokens of one consent: access tokens carry its number and are revoked with it.
pub(crate) type Family = u64;

/// The state from consent pages to refresh tokens.
#[derive(Default)]
pub(crate) struct Authorizations {
    asked: HashMap<String, Asked>,
    codes: HashMap<String, Code>,
    refresh_tokens: HashMap<String, RefreshToken>,
    families: Family,
}

/// An open consent page.
struct Asked {
    redirect: Url,
    state: Option<String>,
    challenge: String,
    scopes: Vec<String>,
}

struct Code {
    redirect_uri: String,
    challenge: String,
    scopes: Vec<String>,
    dies_at: i64,
    /// The family that its exchange made.
    used_for: Option<Family>,
}

struct RefreshToken {
    family: Family,
    scopes: Vec<String>,
    used: bool,
}

/// The result of an exchange.
pub(crate) struct Given {
    pub(crate) family: Family,
    pub(crate) scopes: Vec<String>,
    pub(crate) refresh_token: String,
}

/// Why an exchange fails.
pub(crate) enum Refused {
    /// It changes nothing.
    Invalid(&'static str),
    /// A code or token was used twice: all tokens of this family are revoked.
    Reused(Family),
}

/// The properties of the application that the consent page needs.
pub(crate) struct Registered<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) enabled: bool,
}

/// A text that cannot be guessed.
pub(crate) fn unguessable() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<u128>().to_be_bytes())
}

impl Authorizations {
    /// `GET /oauth/authorize`: redirects to the consent page, or back with an error. A wrong client or redirect URI gets no
    /// redirect.
    pub(crate) fn authorize(&mut self, query: &Query, application: &Registered<'_>, page: &str) -> Response {
        let one = |name| query.one(name).unwrap_or_default();
        let redirect = Url::parse(one("redirect_uri")).ok();
        let registered =
            one("client_id") == application.client_id && one("redirect_uri") == application.redirect_uri;
        let Some(redirect) = redirect.filter(|_| registered) else {
            let text = "One or more required parameters are missing or invalid.";
            return (StatusCode::BAD_REQUEST, text).into_response();
        };
        let state = query.one("state").map(str::to_owned);
        let asked: Vec<String> = one("scope")
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect();
        let error = if !application.enabled {
            Some("unauthorized_client")
        } else if one("response_type") != "code" {
            Some("unsupported_response_type")
        } else if one("code_challenge").len() != 43 || one("code_challenge_method") != "S256" {
            // The default method is `plain`.
            Some("invalid_request")
        } else if asked.iter().any(|scope| !application.scopes.contains(scope)) {
            Some("invalid_scope")
        } else {
            None
        };
        if let Some(error) = error {
            return back(redirect, state.as_deref(), &[("error", error)]);
        }
        let request = unguessable();
        let consent = Asked {
            redirect,
            state,
            challenge: one("code_challenge").to_owned(),
            scopes: if asked.is_empty() {
                application.scopes.to_vec()
            } else {
                asked
            },
        };
        let page = format!("{page}?request={request}");
        self.asked.insert(request, consent);
        Redirect::to(&page).into_response()
    }

    /// The consent page.
    pub(crate) fn page(&self, request: &str) -> Response {
        let Some(asked) = self.asked.get(request) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let scopes = asked.scopes.join("</li><li>");
        Html(format!(
            "<!doctype html><title>Consent</title><h1>Let the application read?</h1><ul><li>{scopes}</li></ul>\
             <form method=\"post\"><input type=\"hidden\" name=\"request\" value=\"{request}\">\
             <button name=\"decision\" value=\"allow\">Allow</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></form>"
        ))
        .into_response()
    }

    /// The person's decision.
    pub(crate) fn decide(&mut self, request: &str, allow: bool, now: i64) -> Response {
        let Some(asked) = self.asked.remove(request) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let state = asked.state.as_deref();
        if !allow {
            let denied = [
                ("error", "access_denied"),
                ("error_description", "The user denied access"),
            ];
            return back(asked.redirect, state, &denied);
        }
        let code = unguessable();
        let response = back(asked.redirect.clone(), state, &[("code", &code)]);
        let granted = Code {
            redirect_uri: asked.redirect.into(),
            challenge: asked.challenge,
            scopes: asked.scopes,
            dies_at: now + CODE_LIFE,
            used_for: None,
        };
        self.codes.insert(code, granted);
        response
    }

    /// `grant_type=authorization_code`.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        now: i64,
    ) -> Result<Given, Refused> {
        let invalid = |why| Err(Refused::Invalid(why));
        let Some(granted) = self.codes.get_mut(code) else {
            return invalid("The code is unknown");
        };
        if let Some(family) = granted.used_for {
            return Err(Refused::Reused(family));
        }
        // A URI that cannot be normalized is compared unchanged.
        let same = Url::parse(redirect_uri).is_ok_and(|url| String::from(url) == granted.redirect_uri);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        if now >= granted.dies_at {
            return invalid("The code has expired");
        }
        if !same {
            return invalid("The redirect URI is another");
        }
        if challenge != granted.challenge {
            return invalid("The code verifier does not fit");
        }
        self.families += 1;
        granted.used_for = Some(self.families);
        let scopes = granted.scopes.clone();
        Ok(self.give(self.families, scopes))
    }

    /// `grant_type=refresh_token`: the token is invalid from now on.
    pub(crate) fn refresh(&mut self, token: &str) -> Result<Given, Refused> {
        let Some(known) = self.refresh_tokens.get_mut(token) else {
            return Err(Refused::Invalid(
                "The refresh token is invalid, expired or revoked",
            ));
        };
        if known.used {
            return Err(Refused::Reused(known.family));
        }
        known.used = true;
        let (family, scopes) = (known.family, known.scopes.clone());
        Ok(self.give(family, scopes))
    }

    fn give(&mut self, family: Family, scopes: Vec<String>) -> Given {
        let refresh_token = unguessable();
        let known = RefreshToken {
            family,
            scopes: scopes.clone(),
            used: false,
        };
        self.refresh_tokens.insert(refresh_token.clone(), known);
        Given {
            family,
            scopes,
            refresh_token,
        }
    }

    /// The family of a refresh token, valid or not.
    pub(crate) fn family_of(&self, token: &str) -> Option<Family> {
        self.refresh_tokens.get(token).map(|known| known.family)
    }

    /// Whether a refresh token would be accepted.
    pub(crate) fn is_valid(&self, token: &str) -> bool {
        self.refresh_tokens.get(token).is_some_and(|known| !known.used)
    }

    /// Ends a family: forgets all of its refresh tokens.
    pub(crate) fn end(&mut self, family: Family) {
        self.refresh_tokens.retain(|_, known| known.family != family);
    }

    /// Ends all.
    pub(crate) fn end_all(&mut self) {
        self.refresh_tokens.clear();
        self.codes.clear();
        self.asked.clear();
    }

    /// The number of valid refresh tokens.
    pub(crate) fn valid(&self) -> usize {
        self.refresh_tokens.values().filter(|known| !known.used).count()
    }
}

/// 302 back to the application.
fn back(mut redirect: Url, state: Option<&str>, with: &[(&str, &str)]) -> Response {
    redirect
        .query_pairs_mut()
        .extend_pairs(with)
        .extend_pairs(state.map(|state| ("state", state)));
    (StatusCode::FOUND, [(header::LOCATION, String::from(redirect))]).into_response()
}
