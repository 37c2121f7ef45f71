//! All tests from outside, in one binary: each file is named by what it shows. `support` holds the harness, which the binaries
//! `canaries`, `torture` and `third_party` share.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the harness is shared: no binary uses all of it")]
mod support;

mod client;
mod command_line;
mod consent;
mod dictionary;
mod distributed;
mod embedded;
mod groups;
mod history;
mod memberships;
mod notify;
mod oauth;
mod personal_data;
mod probe;
mod process;
mod proofs;
mod queries;
mod schedule;
mod store;
mod tenant;
mod timelines;
mod tree;
mod typed_columns;
mod web;

mod a_list_is_one_description;
mod a_second_backfill_writes_nothing;
mod audit_alarm;
mod bad_answers_are_reported;
mod bad_input_is_reported;
mod behind_a_proxy;
mod budget;
mod by_hand;
mod changes;
mod children;
mod clocks;
mod deaths_in_a_row;
mod deploy;
mod distribution_rules;
mod documented;
mod drift;
mod erase;
mod every_wait_ends;
mod few_changes;
mod full_window;
mod hostile_text;
mod increments;
mod json_and_status;
mod large_elements;
mod layers;
mod ledger;
mod life_cycle;
mod listings_in_the_wild;
mod lists_of_parents;
mod lists_of_urls;
mod members_of_segments;
mod merges_are_guarded;
mod modification_dates_go_back;
mod no_id_in_the_log;
mod odd_dates;
mod output;
mod read_paths;
mod resume;
mod rolling_upgrade;
mod serve;
mod settings_are_guarded;
mod status_contract;
mod sweeps;
mod the_tables_equal_the_tenant;
mod traces;
mod verification;
