//! Reads a tenant's own OpenAPI document and compares it with what the program uses, and with an earlier document. Pure logic: where the document
//! comes from, and where findings go, is not known here.

pub mod api;
pub mod changes;
pub mod check;
mod fields;
mod release;
#[cfg(test)]
mod tests;
