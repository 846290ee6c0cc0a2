//! The process that a run belongs to.

use std::fs;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, gethostname};

use super::Run;

/// Returns the name of the machine and its namespace of process numbers, within which this process's number is unique.
pub fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let name = gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let space = fs::read_link("/proc/self/ns/pid").map(|link| format!(" {}", link.display()));
        name + &space.unwrap_or_default()
    })
}

/// Returns the name of the monotonic clock that this process reads: times of the same clock can be compared. It starts again
/// with the machine, and on Linux a container may have its own. `None`: it has no name.
pub fn clock() -> Option<&'static str> {
    static CLOCK: OnceLock<Option<String>> = OnceLock::new();
    CLOCK.get_or_init(boot).as_deref()
}

fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/time").map(|link| format!(" {}", link.display()));
    Some(boot.trim().to_owned() + &space.unwrap_or_default())
}

/// Whether the process of a run is certainly gone. Its lock may outlive it by a moment, until a child that it has just
/// forked closes its copy.
pub fn is_gone(run: &Run) -> bool {
    let pid = i32::try_from(run.pid).ok().filter(|pid| *pid > 0 && run.host == host());
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH))
}
