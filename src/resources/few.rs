//! A list that nearly always holds one item, such as the values of a property: one that holds no more is not allocated.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// None, one, or more items in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Few<T> {
    /// None.
    #[default]
    None,
    /// One.
    One(T),
    /// As many as there are.
    More(Vec<T>),
}

impl<T> Few<T> {
    /// The items in order.
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(item) => std::slice::from_ref(item),
            Self::More(items) => items,
        }
    }

    /// Makes something else of each item, until that fails.
    pub(super) fn try_map<U, E>(self, mut make: impl FnMut(T) -> Result<U, E>) -> Result<Few<U>, E> {
        Ok(match self {
            Self::None => Few::None,
            Self::One(item) => Few::One(make(item)?),
            Self::More(items) => Few::More(items.into_iter().map(make).collect::<Result<_, E>>()?),
        })
    }

    /// Puts the items of `later` behind these.
    pub(super) fn append(&mut self, later: Self) {
        let mut items = Vec::from(std::mem::take(self));
        items.extend(Vec::from(later));
        *self = Self::from(items);
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut items: Vec<T>) -> Self {
        match items.len() {
            0 => Self::None,
            1 => items.pop().map_or(Self::None, Self::One),
            _ => Self::More(items),
        }
    }
}

impl<T> From<Few<T>> for Vec<T> {
    fn from(few: Few<T>) -> Self {
        match few {
            Few::None => Self::new(),
            Few::One(item) => vec![item],
            Few::More(items) => items,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Few<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
        let Some(first) = items.next_element()? else {
            return Ok(Few::None);
        };
        let Some(second) = items.next_element()? else {
            return Ok(Few::One(first));
        };
        let mut all = vec![first, second];
        while let Some(next) = items.next_element()? {
            all.push(next);
        }
        Ok(Few::More(all))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    #[test]
    fn any_number_of_items_is_read_and_joined_in_order() {
        let read = |json: &str| serde_json::from_str::<Few<u8>>(json).unwrap();
        for json in ["[]", "[1]", "[1,2]", "[1,2,3]"] {
            let few = read(json);
            assert_eq!(format!("{:?}", few.as_slice()).replace(' ', ""), json);
            let mut joined = read("[9]");
            joined.append(few);
            assert_eq!(joined.as_slice()[0], 9);
            assert_eq!(&joined.as_slice()[1..], read(json).as_slice());
        }
        assert!(serde_json::from_str::<Few<u8>>("7").is_err());
    }
}
