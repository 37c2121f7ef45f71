//! Asks a tenant what the vendor's document leaves open, and says what follows. It only reads, sends a bounded number of requests, and
//! its report holds counts, times and fixed words. It knows neither HTTP nor SQL: the port
//! [`crate::model::ports::Examiner`] sends, and whoever runs a probe keeps the report.
//!
//! A question is one constant in the file of its group and one line in `questions.rs`.

mod audit;
mod contact;
mod cursors;
mod events;
mod facts;
mod found;
mod index;
mod listings;
mod pages;
mod prober;
mod profiles;
mod question;
mod questions;
mod requests;
pub mod run;
pub mod subject;
mod watch;
mod words;
