//! Other processes of a test: this program again, which plays a named part.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use flowline_core::store::fork;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::store::LOCKS;

/// Another process. It is killed when it is no longer needed.
pub struct Helper {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts this program, of which only the ignored test `helper` runs.
    pub fn start(part: &str, root: &Path, number: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper", "--ignored", "--nocapture"])
            .env("FLOWLINE_PART", part)
            .env("FLOWLINE_ROOT", root)
            .env("FLOWLINE_NUMBER", number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, stdin, lines }
    }

    /// Runs a part to its end, which must be a good one.
    #[track_caller]
    pub fn run(part: &str, root: &Path, number: u64) {
        Self::start(part, root, number).succeeds();
    }

    /// The next line that it sends.
    #[track_caller]
    pub fn receive(&mut self) -> String {
        self.try_receive().expect("the helper sends another line")
    }

    /// Skips what the test harness prints.
    pub fn try_receive(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, sent) = line.split_once("sends: ")?;
            Some(sent.to_owned())
        })
    }

    pub fn send(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    #[track_caller]
    pub fn succeeds(mut self) {
        self.stdin = None;
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    pub fn wait(&mut self) {
        self.process.wait().unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a helper: the part to play, the directory of the store and a number.
pub fn part(play: impl FnOnce(&str, &Path, u64)) {
    let Ok(part) = std::env::var("FLOWLINE_PART") else { return };
    let root = std::env::var_os("FLOWLINE_ROOT").unwrap();
    play(&part, Path::new(&root), std::env::var("FLOWLINE_NUMBER").unwrap().parse().unwrap());
}

/// In a helper: sends a line to the test.
pub fn send(line: impl std::fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "sends: {line}").unwrap();
    stdout.flush().unwrap();
}

/// In a helper: the next line from the test; empty at the end.
pub fn receive() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Forks like the Ruby binding, with the store's handlers around it. The child runs `work` and exits.
pub fn fork_with(work: impl FnOnce()) -> Pid {
    fork::prepare();
    // SAFETY: the child uses what another thread could have locked only behind the handlers, but for the allocator,
    // which the C library makes safe itself.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Child) => {
            fork::child();
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
            // SAFETY: ends this process without running what belongs to its parent.
            unsafe { libc::_exit(i32::from(!worked)) }
        }
        Ok(ForkResult::Parent { child }) => {
            fork::parent();
            child
        }
        Err(errno) => {
            fork::parent();
            panic!("cannot fork: {errno}");
        }
    }
}

/// Waits for a forked child, which must succeed, and must not hang.
#[track_caller]
pub fn join(child: Pid) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive if Instant::now() < until => {
                std::thread::sleep(Duration::from_micros(200))
            }
            WaitStatus::StillAlive => {
                nix::sys::signal::kill(child, nix::sys::signal::SIGKILL).unwrap();
                waitpid(child, None).unwrap();
                panic!("a forked child hangs");
            }
            status => return assert_eq!(status, WaitStatus::Exited(child, 0)),
        }
    }
}

/// Takes a byte of a store's file of locks for as long as the file is open. Byte 0 is the whole store.
pub fn take_byte(root: &Path, offset: i64, exclusive: bool) -> File {
    let file = File::options().read(true).write(true).open(root.join(LOCKS)).unwrap();
    fcntl(&file, FcntlArg::F_OFD_SETLK(&byte(offset, exclusive))).unwrap();
    file
}

/// A lock on one byte.
pub fn byte(offset: i64, exclusive: bool) -> libc::flock {
    libc::flock {
        l_type: if exclusive { libc::F_WRLCK } else { libc::F_RDLCK } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    }
}
