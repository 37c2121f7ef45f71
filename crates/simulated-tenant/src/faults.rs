//! Faults that tests can order: the requests that they hit, and their effects. Clients of real tenants see all of them,
//! and none occurs without an order.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::identity::{GOLDEN, mix};

/// The operations of the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// `POST /oauth/token`
    Token,
    /// `POST /oauth/revoke`
    Revoke,
    /// `GET /oauth/authorize`
    Authorize,
    /// `GET` and `POST /oauth/consent`: the page to which `authorize` redirects. Not in the document.
    Consent,
    /// `POST /oauth/introspect`: whether a token is active. Not in the document.
    Introspect,
    /// `GET /segments`
    Segments,
    /// `GET /segments/{segment}/profiles`
    Profiles,
    /// `GET /profiles/{profileId}`
    Profile,
    /// `GET /profileProperties`
    ProfileProperties,
    /// `GET /auditEvents`
    AuditEvents,
    /// `GET /groups/{grouptype}`
    Groups,
    /// `GET /groups/{grouptype}/{group}`
    Group,
    /// `GET /profileEvents/{profileId}`
    ProfileEvents,
    /// `GET /openapi.json`
    Document,
    /// A list that the tenant was given; any other path is a 404.
    Unknown,
}

impl Route {
    /// The operation behind a path below `api_path`.
    pub(crate) fn of(path: &str, api_path: &str) -> Self {
        let parts: Vec<&str> = match path.strip_prefix(api_path) {
            Some(below) => below.split('/').skip(1).collect(),
            None => Vec::new(),
        };
        match parts.as_slice() {
            ["oauth", "token"] => Self::Token,
            ["oauth", "revoke"] => Self::Revoke,
            ["oauth", "authorize"] => Self::Authorize,
            ["oauth", "consent"] => Self::Consent,
            ["oauth", "introspect"] => Self::Introspect,
            ["segments"] => Self::Segments,
            ["segments", _, "profiles"] => Self::Profiles,
            ["profiles", _] => Self::Profile,
            ["profileProperties"] => Self::ProfileProperties,
            ["auditEvents"] => Self::AuditEvents,
            ["groups", _] => Self::Groups,
            ["groups", _, _] => Self::Group,
            ["profileEvents", _] => Self::ProfileEvents,
            ["openapi.json"] => Self::Document,
            _ => Self::Unknown,
        }
    }
}

/// The requests of a route that are hit, counted from 1 since the fault was ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// All of them.
    Always,
    /// This one.
    Request(u64),
    /// Every so-many-th.
    Every(u64),
    /// This share of all requests, chosen by the tenant's seed: 0.0 to 1.0.
    Probability(f64),
    /// All requests for the page of this number: that of the different cursors that were sent.
    Page(u64),
    /// The same, until a client requests the listing from its start again: an invalid cursor.
    PageUntilAnew(u64),
}

/// The value of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// A date this far from the tenant's time.
    Date(Duration),
}

/// The effect of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This status, with a body of JSON, HTML or nothing, in turn.
    Status {
        /// The status code.
        status: u16,
        /// The header `Retry-After`.
        retry_after: Option<RetryAfter>,
    },
    /// All tokens are revoked; the request then gets a 401.
    TokensDie,
    /// 200 with a page of HTML, as from a proxy.
    Html,
    /// 200 with no body.
    Empty,
    /// The connection is reset before any header.
    Reset,
    /// The answer begins after this delay.
    Delay(Duration),
    /// The connection is closed after so many bytes of the body, before its end.
    /// These bytes arrive if the client reads, or if they fit into the buffers of the socket.
    CutAfter(u64),
    /// The body ends after so many bytes, as if it were complete: valid HTTP, broken JSON.
    EndAfter(u64),
    /// The body is sent at so many bytes a second.
    Slow {
        /// Bytes a second.
        bytes_per_second: u64,
    },
    /// The body stops after so many bytes and continues after this time.
    Stall {
        /// Bytes before it stops.
        after: u64,
        /// The pause.
        pause: Duration,
    },
    /// A complete, well-formed page with wrong content.
    Inconsistent(Inconsistency),
    /// The answer to the previous request of this route, as from a cache.
    Stale,
    /// The answer of a node with a wrong clock, or of a cache: its `Date` is so many seconds off, optionally with an `Age`.
    Dated {
        /// Seconds that `Date` is ahead.
        off: i64,
        /// The header `Age`, in seconds.
        age: Option<u64>,
    },
    /// The answer of a proxy in front of the tenant.
    Foreign {
        /// The status code.
        status: u16,
        /// The header `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: &'static str,
    },
}

/// The inconsistency of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inconsistency {
    /// So many elements at the end are left out.
    pub short_by: usize,
    /// `totalResults` is too large by this number.
    pub total_off: i64,
    /// `nextCursor` is left out.
    pub no_next: bool,
    /// The element with this id is left out, and is not counted in the total.
    pub hides: Option<&'static str>,
    /// `totalResults` is not a usable number.
    pub no_total: bool,
}

/// One fault to order.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The route; `None`: every route.
    pub route: Option<Route>,
    /// The requests.
    pub when: When,
    /// The effect.
    pub kind: Kind,
    /// At most so many times; `None`: no limit.
    pub limit: Option<u64>,
}

impl Fault {
    /// A fault at one route, without a limit.
    pub fn at(route: Route, when: When, kind: Kind) -> Self {
        Self {
            route: Some(route),
            when,
            kind,
            limit: None,
        }
    }
}

/// The id of an ordered fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FaultId(u64);

/// The faults of one tenant.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    ordered: Mutex<Ordered>,
}

#[derive(Debug, Default)]
struct Ordered {
    next: u64,
    faults: BTreeMap<FaultId, Order>,
    /// Counts cleared faults, too.
    given: BTreeMap<FaultId, u64>,
}

#[derive(Debug)]
struct Order {
    fault: Fault,
    requests: u64,
    cursors: Vec<String>,
    /// Whether it has hit, and whether the listing has started over since.
    hit: bool,
    anew: bool,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ordered: Mutex::default(),
        }
    }

    fn ordered(&self) -> MutexGuard<'_, Ordered> {
        self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders a fault. If several match a request, the one ordered first hits.
    pub fn push(&self, fault: Fault) -> FaultId {
        let mut ordered = self.ordered();
        ordered.next += 1;
        let id = FaultId(ordered.next);
        ordered.faults.insert(
            id,
            Order {
                fault,
                requests: 0,
                cursors: Vec::new(),
                hit: false,
                anew: false,
            },
        );
        id
    }

    /// Cancels all orders.
    pub fn clear(&self) {
        self.ordered().faults.clear();
    }

    /// The number of hits so far.
    pub fn given(&self) -> u64 {
        self.ordered().given.values().sum()
    }

    /// The number of hits of this fault so far.
    pub fn given_of(&self, id: FaultId) -> u64 {
        self.ordered().given.get(&id).copied().unwrap_or(0)
    }

    /// The effect on this request, and the number of this hit among those of the fault.
    pub(crate) fn draw(&self, route: Route, cursor: Option<&str>) -> Option<(Kind, u64)> {
        let mut ordered = self.ordered();
        let Ordered { faults, given, .. } = &mut *ordered;
        let mut drawn = None;
        for (id, order) in faults
            .iter_mut()
            .filter(|(_, order)| order.fault.route.is_none_or(|at| at == route))
        {
            let times = given.entry(*id).or_default();
            let hits = order.hits(mix(self.seed ^ id.0.wrapping_mul(GOLDEN)), cursor);
            if drawn.is_none() && hits && order.fault.limit.is_none_or(|limit| *times < limit) {
                *times += 1;
                drawn = Some((order.fault.kind.clone(), *times));
            }
        }
        drawn
    }
}

impl Order {
    /// Counts the request, and returns whether the fault hits it.
    fn hits(&mut self, salt: u64, cursor: Option<&str>) -> bool {
        self.requests += 1;
        match self.fault.when {
            When::Always => true,
            When::Request(number) => self.requests == number,
            When::Every(interval) => interval > 0 && self.requests.is_multiple_of(interval),
            When::Probability(share) => chance(mix(salt ^ self.requests), share),
            When::Page(number) => self.page(cursor) == number,
            When::PageUntilAnew(number) => {
                self.anew |= self.hit && cursor.is_none_or(|cursor| cursor == "*");
                self.hit |= self.page(cursor) == number;
                self.page(cursor) == number && !self.anew
            }
        }
    }

    /// The number of this cursor among the different ones.
    fn page(&mut self, cursor: Option<&str>) -> u64 {
        let cursor = cursor.unwrap_or("*");
        let known = self.cursors.iter().position(|seen| seen == cursor);
        let page = known.unwrap_or_else(|| {
            self.cursors.push(cursor.to_owned());
            self.cursors.len() - 1
        });
        page as u64 + 1
    }
}

#[expect(clippy::cast_precision_loss, reason = "a chance needs no more than 53 bits")]
fn chance(hash: u64, share: f64) -> bool {
    ((hash >> 11) as f64) < share * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(when: When, limit: Option<u64>, cursors: &[&str]) -> Vec<bool> {
        let faults = Faults::new(1);
        faults.push(Fault {
            limit,
            ..Fault::at(Route::Profiles, when, Kind::Empty)
        });
        cursors
            .iter()
            .map(|cursor| faults.draw(Route::Profiles, Some(cursor)).is_some())
            .collect()
    }

    #[test]
    fn requests_are_hit_as_ordered() {
        let walk = ["*", "a", "a", "b"];
        assert_eq!(drawn(When::Always, Some(2), &walk), [true, true, false, false]);
        assert_eq!(drawn(When::Request(3), None, &walk), [false, false, true, false]);
        assert_eq!(drawn(When::Every(2), None, &walk), [false, true, false, true]);
        assert_eq!(drawn(When::Page(2), None, &walk), [false, true, true, false]);
        let twice = ["*", "a", "a", "*", "a"];
        assert_eq!(
            drawn(When::PageUntilAnew(2), None, &twice),
            [false, true, true, false, false]
        );
    }

    #[test]
    fn chances_follow_the_seed() {
        let walk = ["*"; 1_000];
        let hits = drawn(When::Probability(0.2), None, &walk);
        assert_eq!(hits, drawn(When::Probability(0.2), None, &walk));
        let count = hits.iter().filter(|hit| **hit).count();
        assert!((150..250).contains(&count), "{count}");
    }

    #[test]
    fn other_routes_are_left_alone_and_the_first_order_wins() {
        let faults = Faults::new(1);
        let first = faults.push(Fault::at(Route::Segments, When::Always, Kind::Html));
        let second = faults.push(Fault {
            route: None,
            when: When::Always,
            kind: Kind::Empty,
            limit: None,
        });
        assert_eq!(faults.draw(Route::Segments, None), Some((Kind::Html, 1)));
        assert_eq!(faults.draw(Route::Token, None), Some((Kind::Empty, 1)));
        assert_eq!(
            (faults.given_of(first), faults.given_of(second), faults.given()),
            (1, 1, 2)
        );
        faults.clear();
        assert_eq!(faults.draw(Route::Segments, None), None);
        assert_eq!(faults.given(), 2);
    }
}
