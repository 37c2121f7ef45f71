//! Classifies HTTP statuses for a reader of the API, and says how long answers from something in front of the tenant
//! are retried. Bodies are not read here.

/// The class of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusClass {
    /// The body has the requested content.
    Content,
    /// A redirect. It is not followed, since it would carry the token elsewhere.
    Redirect,
    /// The request, or its cursor, is refused (400).
    Refused,
    /// The token or its scopes are refused (401, 403).
    Denied,
    /// The object does not exist (404).
    Absent,
    /// The server, or a gateway in front of it, cannot answer now: all of 5xx, and too many requests.
    Overload,
    /// A transient state: a time-out, a lock, a wrong node.
    Passing,
    /// The answer is too large for the server or a gateway (413); a smaller request may succeed.
    TooLarge,
    /// Repeating the request as it is cannot help.
    Final,
    /// A status that a plain GET does not expect: a challenge (202), a part (206), a cache's (304), another protocol's.
    Unexpected,
}

impl StatusClass {
    /// Classifies a status by RFC 9110 and the practice of gateways.
    pub(super) const fn of(status: u16) -> Self {
        match status {
            // 203: a proxy has changed the answer. Its body is checked like any other.
            200 | 203 => Self::Content,
            300 | 304 => Self::Unexpected,
            301..=399 => Self::Redirect,
            400 => Self::Refused,
            401 | 403 => Self::Denied,
            404 => Self::Absent,
            413 => Self::TooLarge,
            // 421: the wrong node answers. 424: a dependency failed. 449 and 499: IIS requests a retry, and nginx reports a
            // broken connection between two servers.
            408 | 421 | 423 | 424 | 425 | 449 | 499 => Self::Passing,
            // 420: 'enhance your calm', an older 429. Codes above 599 count as 5xx (RFC 9110, section 15).
            420 | 429 | 500.. => Self::Overload,
            402..=498 => Self::Final,
            _ => Self::Unexpected,
        }
    }

    /// Whether a retry may help, whatever has answered.
    pub(super) const fn is_passing(self) -> bool {
        matches!(self, Self::Overload | Self::Passing)
    }
}

/// How long an answer that is not the API's is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// For the whole retry budget: the tenant has answered before, or a firewall answers.
    Budget,
    /// For a few retries, since an address or a path may be wrong.
    Few,
    /// No further retries.
    Over,
}

impl Patience {
    /// How to treat an answer in the tenant's place, once the tenant itself has answered (`proven`).
    pub(super) const fn once(proven: bool) -> Self {
        if proven { Self::Budget } else { Self::Few }
    }
}

/// What the outcome of a request tells about all the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// The API has answered, if only with a refusal.
    Answers,
    /// The tenant cannot be reached, or something else answers in its place, for now.
    IsAway,
    /// Nothing: the fault is of this machine, or of the way to a token.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written as lists of codes, independent of the table.
    #[test]
    fn every_status_has_one_meaning() {
        let odd: Vec<u16> = (100..200).chain(201..203).chain(204..301).chain([304]).collect();
        let redirect: Vec<u16> = (301..304).chain(305..400).collect();
        let passing = [408, 421, 423, 424, 425, 449, 499];
        let overload: Vec<u16> = [420, 429].into_iter().chain(500..=999).collect();
        for status in 100..=999 {
            let expected = match status {
                200 | 203 => StatusClass::Content,
                400 => StatusClass::Refused,
                401 | 403 => StatusClass::Denied,
                404 => StatusClass::Absent,
                413 => StatusClass::TooLarge,
                _ if odd.contains(&status) => StatusClass::Unexpected,
                _ if redirect.contains(&status) => StatusClass::Redirect,
                _ if passing.contains(&status) => StatusClass::Passing,
                _ if overload.contains(&status) => StatusClass::Overload,
                _ => StatusClass::Final,
            };
            assert_eq!(StatusClass::of(status), expected, "{status}");
            assert_eq!(
                StatusClass::of(status).is_passing(),
                overload.contains(&status) || passing.contains(&status),
                "{status}"
            );
        }
    }
}
