//! The named scenarios: each is a file here. This list and the table of `docs/simulation.md` are
//! written by a test of `tests/tidy.rs` when they differ from the files.

mod a_client_that_never_names_itself;
mod a_flood;
mod a_full_disk;
mod a_full_room;
mod a_killed_member;
mod a_lost_connection;
mod a_nickname_race;
mod a_panic;
mod a_partition;
mod a_password;
mod a_restart;
mod a_slow_reader;
mod a_stall;
mod a_takeover;
mod a_vanished_member;
mod an_abrupt_disconnect;
mod an_orderly_end;
mod hostile_text;
mod no_descriptors;
mod the_report;
mod too_many_connections;
