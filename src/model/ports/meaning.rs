//! What a resource means, by how it is read.

use std::sync::Arc;

use super::feed::Feed;
use super::listing::Listing;
use super::resource::Resource;
use super::walkable::Walkable;
use crate::model::description::Reading;

/// The meaning of a resource.
pub type Meaning = Reading<Arc<dyn Listing>, Arc<dyn Walkable>, Arc<dyn Feed>>;

impl Meaning {
    /// What it has in common with all others.
    pub fn resource(&self) -> &dyn Resource {
        match self {
            Self::List(list) => list.as_ref(),
            Self::Walk(walk) => walk.as_ref(),
            Self::Feed(feed) => feed.as_ref(),
        }
    }
}
