//! All tests in one program: linking one takes a fraction of the time of linking one for each file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::module_inception,
    reason = "a test may panic, and a file may have a module of its own name"
)]

mod common;

mod diagram;
#[cfg(target_os = "linux")]
mod durable;
mod graph;
mod items;
mod journal;
mod names;
mod oracle;
mod pictures;
mod preset;
mod processes;
mod ranking;
mod resources;
mod retry;
mod run;
mod schedule;
mod store;
mod store_damage;
mod store_forks;
mod store_gone;
mod store_history;
mod store_open;
mod virtual_executor;
mod watch;

use common::process;

/// Plays a part in another process of a test, which is this program, too.
#[test]
#[ignore = "it is started by other tests"]
fn helper() {
    process::part(|part, root, number| {
        #[cfg(target_os = "linux")]
        if durable::play(part, root, number) {
            return;
        }
        let played = processes::play(part, root, number)
            || store_forks::play(part, root, number)
            || store_gone::play(part, root, number)
            || store_open::play(part, root, number);
        assert!(played, "no part {part}");
    });
}
