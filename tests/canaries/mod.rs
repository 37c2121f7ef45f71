//! Secrets are canaries: unique texts that must not come to light anywhere, whatever goes wrong. Every command is run with
//! all logging on, and everything that can be read afterwards is searched for them, in every form.

mod documents;
mod front;
mod guarded;
mod searcher;
mod tour;
mod wrong;
