//! Readers of JSON that work on bytes: where values end, which values are broken, and a fast reader for the common forms.
//! They know nothing of the tenant, its elements or the tables, and import nothing of this program.

pub(crate) mod bitmap;
pub(crate) mod object_end;
pub(crate) mod reader;
pub(crate) mod tolerant;
pub(crate) mod unsupported;
pub(crate) mod value;
