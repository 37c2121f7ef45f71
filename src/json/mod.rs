//! Reading JSON by its bytes: where values end, what is broken, and the fast reader of usual texts. Knows nothing of the
//! tenant, its elements or the tables, and imports nothing of this program.

pub(crate) mod bitmap;
pub(crate) mod object_end;
pub(crate) mod reader;
pub(crate) mod tolerant;
pub(crate) mod unusual;
pub(crate) mod value;
