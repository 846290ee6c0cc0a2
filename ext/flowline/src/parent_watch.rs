//! Ends a forked child when its parent is gone. A native thread does it, because Ruby's threads may be blocked by
//! native code that holds Ruby's global lock.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use magnus::{Error, Object, RModule, Ruby, function};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use crate::error;

pub fn init(native: RModule) -> Result<(), Error> {
    native.define_singleton_method("watch_parent", function!(watch_parent, 2))
}

/// `watch_parent(descriptor: Integer, folder: String)`: when the other end of that pipe is closed, as it is when its process
/// ends, removes that directory, and kills this process and its group.
fn watch_parent(ruby: &Ruby, descriptor: u32, folder: PathBuf) -> Result<(), Error> {
    let pipe = File::open(format!("/dev/fd/{descriptor}")).map_err(|e| error::raise(ruby, &e))?;
    let wait = move || {
        await_end(pipe);
        let _ = fs::remove_dir_all(folder);
        // The group that this process leads, and never another one: the step may have joined that of a shell.
        let own = getpid();
        let _ = kill(Pid::from_raw(-own.as_raw()), Signal::SIGKILL);
        let _ = kill(own, Signal::SIGKILL);
    };
    std::thread::Builder::new().spawn(wait).map(|_| ()).map_err(|e| error::raise(ruby, &e))
}

fn await_end(mut pipe: File) {
    loop {
        match pipe.read(&mut [0]) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}
