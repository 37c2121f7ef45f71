//! The documents are true: their links lead somewhere, the program takes the command lines that they show, PostgreSQL
//! takes the SQL, and all that can be set and called is described.

mod commands;
mod document;
mod links;
mod names;
mod sql;
