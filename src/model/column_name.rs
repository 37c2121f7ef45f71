//! Names of columns from the ids of properties: names that need no quotes, and that mean nothing else in SQL.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

/// The longest name in bytes before a number or a type is appended. PostgreSQL cuts names at 63.
const LONGEST: usize = 58;

/// What a name must not be, beside the names that are taken: reserved words, system columns.
#[derive(Debug, Default)]
pub struct TakenNames(HashSet<String>);

impl TakenNames {
    /// Takes more names.
    pub fn add(&mut self, names: impl IntoIterator<Item = String>) {
        self.0.extend(names);
    }

    /// Takes the name of a property's column: the plain name, or the first free one with a number.
    pub fn take(&mut self, name: &str) -> String {
        let mut number = 1;
        loop {
            let free = match number {
                1 => name.to_owned(),
                number => with_suffix(name, &format!("_{number}")),
            };
            if self.0.insert(free.clone()) {
                return free;
            }
            number += 1;
        }
    }
}

/// The name of a column for a property: NFKC in lower case; what is no letter, digit or underscore becomes one underscore; a UUID is
/// its first eight digits. A name that would begin with a digit, be empty or be one of the `reserved` words gets `p_` before it. At most 58
/// bytes.
pub fn column_name(property: &str, reserved: impl Fn(&str) -> bool) -> String {
    let shortened = without_uuids(property);
    let mut name = String::with_capacity(shortened.len());
    for one in shortened.nfkc().flat_map(char::to_lowercase) {
        if one.is_alphanumeric() || one == '_' {
            name.push(one);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let begins_otherwise = name.starts_with(|first: char| first.is_numeric());
    if begins_otherwise || name.trim_matches('_').is_empty() || reserved(&name) {
        name.insert_str(0, "p_");
    }
    cut(&name, LONGEST).to_owned()
}

/// The name with a suffix, cut so that both have at most 58 bytes.
pub fn with_suffix(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", cut(name, LONGEST.saturating_sub(suffix.len())))
}

/// The text up to so many bytes, cut before a character.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The digits in each part of a UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// The text with the first eight digits of each UUID in place of the UUID.
fn without_uuids(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let begins_a_word = !short.ends_with(|before: char| before.is_ascii_alphanumeric());
        if begins_a_word && starts_with_uuid(rest) {
            short.push_str(&rest[..UUID[0]]);
            rest = &rest[UUID.iter().sum::<usize>() + UUID.len() - 1..];
        } else {
            short.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    short
}

/// Whether the text begins with a UUID that ends there.
fn starts_with_uuid(text: &str) -> bool {
    let mut bytes = text.bytes();
    for (part, digits) in UUID.into_iter().enumerate() {
        let is_apart = part == 0 || bytes.next() == Some(b'-');
        if !is_apart || !(0..digits).all(|_| bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())) {
            return false;
        }
    }
    !bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(property: &str) -> String {
        column_name(property, |name| ["user", "order"].contains(&name))
    }

    #[test]
    fn names_are_plain() {
        for (property, name) in [
            ("email", "email"),
            ("Last Name", "last_name"),
            ("visits-total (web)", "visits_total_web_"),
            ("2nd_choice", "p_2nd_choice"),
            ("user", "p_user"),
            ("User", "p_user"),
            ("", "p_"),
            ("!?", "p__"),
            ("Größe", "größe"),
            ("ﬁrst²", "first2"),
            ("a__b", "a__b"),
            ("06d3a5d1-3cf9-4a4e-bd47-1d2b3c4d5e6f", "p_06d3a5d1"),
            ("score_06d3a5d1-3cf9-4a4e-bd47-1d2b3c4d5e6f", "score_06d3a5d1"),
            (
                "06d3a5d1-3cf9-4a4e-bd47-1d2b3c4d5e6f0",
                "p_06d3a5d1_3cf9_4a4e_bd47_1d2b3c4d5e6f0",
            ),
        ] {
            assert_eq!(named(property), name, "{property}");
        }
        assert_eq!(named(&"é".repeat(40)), "é".repeat(29));
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut taken = TakenNames::default();
        taken.add(["id".to_owned()]);
        let long = "x".repeat(58);
        assert_eq!(taken.take("id"), "id_2");
        assert_eq!(taken.take("a"), "a");
        assert_eq!(taken.take("a"), "a_2");
        assert_eq!(taken.take("a"), "a_3");
        assert_eq!(taken.take(&long), long);
        assert_eq!(taken.take(&long), format!("{}_2", "x".repeat(56)));
    }

    proptest! {
        #[test]
        fn any_id_has_a_name_that_needs_no_quotes(property in "\\PC{0,80}|[ -~]{0,80}|[0-9a-f-]{0,80}") {
            let name = named(&property);
            prop_assert!((1..=58).contains(&name.len()), "{name}");
            prop_assert!(name.chars().all(|one| one == '_' || one.is_alphanumeric()), "{name}");
            prop_assert!(!name.starts_with(|first: char| first.is_ascii_digit()), "{name}");
            prop_assert!(!name.contains(|one: char| one.is_ascii_uppercase()), "{name}");
        }
    }
}
