//! The state that the requests of one tenant share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};

use crate::answer::Refusal;
use crate::clock::{Clock, milliseconds};
use crate::cursor_lives::CursorLives;
use crate::dates::DAY;
use crate::faults::Faults;
use crate::identity::mix;
use crate::json::Writer;
use crate::lists::{self, List, ServedList};
use crate::oauth::Oauth;
use crate::read_paths::ReadPaths;
use crate::render_cache::RenderCaches;
use crate::requests::Requests;
use crate::settings::Settings;
use crate::shape::Shape;
use crate::stale_counts::StaleCounts;
use crate::world::World;

/// A tenant, without its socket.
pub(crate) struct State {
    pub(crate) settings: Settings,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    pub(crate) clock: Clock,
    pub(crate) oauth: Oauth,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) render_caches: RenderCaches,
    /// The lists that it was given.
    pub(crate) lists: Vec<ServedList>,
    world: RwLock<World>,
    shape: RwLock<Shape>,
    read_paths: RwLock<Option<ReadPaths>>,
    stale_counts: StaleCounts,
    pub(crate) cursor_lives: CursorLives,
    /// Listings of profiles so far.
    listings: AtomicU64,
    salts: AtomicU64,
}

impl State {
    pub(crate) fn new(settings: Settings, url: String) -> Self {
        let real = Utc::now().timestamp_millis();
        let (starts_at, made_at) = match settings.now.as_ref().map(DateTime::timestamp_millis) {
            Some(now) => (now, now),
            None => (real, real - real % DAY),
        };
        let made_at = settings
            .as_of
            .as_ref()
            .map_or(made_at, DateTime::timestamp_millis);
        Self {
            url,
            clock: Clock::starting_at(starts_at),
            oauth: Oauth::new(&settings),
            faults: Faults::new(settings.seed),
            requests: Requests::default(),
            render_caches: RenderCaches::default(),
            lists: lists::served(
                &settings.lists,
                settings.seed,
                made_at - milliseconds(settings.history),
            ),
            world: RwLock::new(World::new(&settings, made_at)),
            shape: RwLock::new(settings.shape),
            read_paths: RwLock::new(settings.read_paths),
            stale_counts: StaleCounts::new(settings.count_age),
            cursor_lives: CursorLives::new(settings.cursor_life),
            listings: AtomicU64::new(0),
            salts: AtomicU64::new(0),
            settings,
        }
    }

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_world(&self) -> RwLockWriteGuard<'_, World> {
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        world.now = self.clock.now();
        world
    }

    pub(crate) fn set_shape(&self, shape: Shape) {
        *self.shape.write().unwrap_or_else(PoisonError::into_inner) = shape;
    }

    pub(crate) fn set_read_paths(&self, paths: ReadPaths) {
        let mut read_paths = self.read_paths.write().unwrap_or_else(PoisonError::into_inner);
        // Without read paths there is no order of a scan.
        if read_paths.is_some() {
            *read_paths = Some(paths);
        }
    }

    pub(crate) fn read_paths(&self) -> Option<ReadPaths> {
        *self.read_paths.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A writer with the current shape; two requests never shuffle alike.
    pub(crate) fn writer(&self) -> Writer {
        let shape = *self.shape.read().unwrap_or_else(PoisonError::into_inner);
        let request = self.salts.fetch_add(1, Ordering::Relaxed);
        Writer::new(shape, mix(self.settings.seed) ^ request)
    }

    /// The number of profiles in a segment, as old as the settings allow.
    pub(crate) fn count(&self, world: &World, bit: usize) -> u64 {
        self.stale_counts.count(world, bit, self.clock.now())
    }

    /// The list of the tenant's own group types, if it is the one at this path.
    pub(crate) fn group_types_at(&self, path: &str) -> Option<&List> {
        let list = self.settings.group_types.as_ref();
        list.filter(|list| list.path == path)
    }

    /// The number of listings before this one.
    pub(crate) fn next_listing(&self) -> u64 {
        self.listings.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the request may read a resource of this scope.
    pub(crate) fn allow(&self, headers: &HeaderMap, scope: &str) -> Result<(), Refusal> {
        self.oauth.allow(headers, scope, self.clock.now())
    }
}
