//! The form of answers: everything that may differ between two servers that follow the document, plus
//! a few deviations that occur although the document does not allow them. The meaning never depends on it.

/// White space between the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// None, as from the vendor.
    #[default]
    Minified,
    /// Two spaces a level, one member a line.
    Pretty,
    /// The odd spacing of the vendor's examples: `"id" : "x"`, tabs and carriage returns.
    Airy,
}

/// The order of the members of every object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyOrder {
    /// As in the vendor's examples.
    #[default]
    Documented,
    /// Reversed: `id` is last.
    Reversed,
    /// A new order for every object of every request.
    Shuffled,
}

/// The place of `nextCursor` in a page of profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextCursor {
    /// Before the array, as in the vendor's example.
    #[default]
    BeforeProfiles,
    /// After the array.
    AfterProfiles,
}

/// The cursor of a listing's last page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastPage {
    /// No `nextCursor`, as documented.
    #[default]
    NoCursor,
    /// The cursor of the request again, as in Solr.
    SameCursor,
}

/// The form of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, set by name")]
pub struct Shape {
    /// White space between the tokens.
    pub layout: Layout,
    /// The order of the members of every object.
    pub key_order: KeyOrder,
    /// Properties, segments, objectives, tags and `replaces` in a new order for every request.
    pub shuffled_lists: bool,
    /// The place of `nextCursor`.
    pub next_cursor: NextCursor,
    /// The cursor of the last page.
    pub last_page: LastPage,
    /// Keys that are not in the document, in every object.
    pub unknown_keys: bool,
    /// Escapes all but ASCII as `\uXXXX`, and `/` as `\/`.
    pub escaped: bool,
    /// Empty arrays within an element are left out.
    pub empty_arrays_absent: bool,
    /// `Href`, `Rel` and `Type` as in the schema, not lower case as in the examples.
    pub links_upper_case: bool,
    /// Numbers as text and numeric property values as numbers. Against the document.
    pub numbers_swapped: bool,
}

impl Shape {
    /// Whether a profile of this form is rendered directly into the buffer; any other form goes through a tree.
    pub(crate) fn is_plain(&self) -> bool {
        let envelope_only = Self {
            next_cursor: NextCursor::default(),
            last_page: LastPage::default(),
            links_upper_case: false,
            ..*self
        };
        envelope_only == Self::default()
    }
}
