//! The outward form of answers: everything that may differ between two servers which both follow the document, plus
//! a few liberties that no document allows but that happen. Meaning never depends on it.

/// White space between the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// None, as the vendor sends it.
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
    /// The other way round: `id` comes last.
    Reversed,
    /// Another one for every object of every request.
    Shuffled,
}

/// Where `nextCursor` stands in a page of profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextCursor {
    /// Before the array, as in the vendor's example.
    #[default]
    BeforeProfiles,
    /// After the array.
    AfterProfiles,
}

/// What the last page of a listing says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastPage {
    /// No `nextCursor`, as documented.
    #[default]
    NoCursor,
    /// The cursor that was sent, once more, as Solr does.
    SameCursor,
}

/// The outward form of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, set by name")]
pub struct Shape {
    /// White space between the tokens.
    pub layout: Layout,
    /// The order of the members of every object.
    pub key_order: KeyOrder,
    /// Properties, segments, objectives, tags and `replaces` in a new order for every request.
    pub shuffled_lists: bool,
    /// Where `nextCursor` stands.
    pub next_cursor: NextCursor,
    /// What the last page says.
    pub last_page: LastPage,
    /// Keys that no document names, in every object.
    pub unknown_keys: bool,
    /// Everything that is not ASCII as `\uXXXX`, and `/` as `\/`.
    pub escaped: bool,
    /// Empty arrays within an element are left out.
    pub empty_arrays_absent: bool,
    /// `Href`, `Rel` and `Type` as in the schema, not lower case as in the examples.
    pub links_upper_case: bool,
    /// Numbers as text and numeric property values as numbers. Against the document.
    pub numbers_swapped: bool,
}

impl Shape {
    /// Only this form of a profile is written straight into the buffer; any other goes through a tree.
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
