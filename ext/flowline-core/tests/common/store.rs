//! A store to be tested: in a directory of its own, asked in rows and answering in text.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use flowline_core::store::{FILE, INLINE, Request, Rows, Store, StoreError, Value};
use rusqlite::Connection;

/// A directory that is gone when the test is done.
pub struct Place {
    pub path: PathBuf,
    mounted: bool,
}

impl Place {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("flowline-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self { path, mounted: false }
    }

    /// A file system of its own of that many bytes, unless that is not allowed here; then the test says so.
    pub fn small(bytes: usize) -> Option<Self> {
        let mut place = Self::new();
        let options = format!("size={bytes}");
        place.mounted = mount(&["-t", "tmpfs", "-o", &options, "flowline-test"], &place.path);
        place.mounted.then_some(place).or_else(|| skip("a small tmpfs cannot be mounted here"))
    }

    pub fn make_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], &self.path));
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    Command::new("mount").args(arguments).arg(path).output().is_ok_and(|output| output.status.success())
}

/// Says, whatever the test harness captures, that a test was not made.
pub fn skip<T>(reason: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("SKIPPED {test}: {reason}");
    None
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// What an argument may be.
pub trait Cell {
    fn cell(self) -> Value;
}
impl Cell for () {
    fn cell(self) -> Value {
        Value::Null
    }
}
impl Cell for &str {
    fn cell(self) -> Value {
        Value::Text(self.to_owned())
    }
}
impl Cell for i64 {
    fn cell(self) -> Value {
        Value::Integer(self)
    }
}
impl Cell for f64 {
    fn cell(self) -> Value {
        Value::Real(self)
    }
}
impl Cell for &[u8] {
    fn cell(self) -> Value {
        Value::Blob(self.to_vec())
    }
}
impl<T: Cell> Cell for Option<T> {
    fn cell(self) -> Value {
        self.map_or(Value::Null, Cell::cell)
    }
}

/// A list of arguments: `row![1, "text", 2.5, ()]`.
#[macro_export]
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::common::store::Cell::cell($value)),*] };
}

/// No row.
pub const NOTHING: [&str; 0] = [];

/// Bytes as text, or by their length and digest if they are many.
pub fn told(bytes: &[u8]) -> String {
    match bytes.len() {
        ..100 => format!("<{}>", String::from_utf8_lossy(bytes)),
        length => format!("<{length} bytes {}>", &sum(bytes)[..12]),
    }
}

/// Rows as `text|1|2.5|NULL`.
pub fn show(rows: &Rows) -> Vec<String> {
    let cell = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => told(bytes),
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")).collect()
}

/// Opens the store in that directory.
pub fn open(root: &Path) -> Result<Store, StoreError> {
    Store::open(root, &AtomicBool::new(false))
}

/// An open store and where it is.
pub struct Subject {
    pub root: PathBuf,
    pub store: Store,
}

impl Subject {
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), store: open(root).unwrap() }
    }

    pub fn call(
        &mut self,
        operation: &str,
        arguments: &[Vec<Value>],
        payload: Option<&[u8]>,
    ) -> Result<Rows, StoreError> {
        let request = Request { operation, arguments, payload, durable: false };
        self.store.call(request, &AtomicBool::new(false))
    }

    /// Carries out an operation on one list of arguments.
    #[track_caller]
    pub fn ask(&mut self, operation: &str, list: Vec<Value>) -> Vec<String> {
        show(&self.call(operation, &[list], None).unwrap())
    }

    /// Stores a value with an operation.
    #[track_caller]
    pub fn put(&mut self, operation: &str, list: Vec<Value>, payload: &[u8]) {
        assert_eq!(show(&self.call(operation, &[list], Some(payload)).unwrap()), NOTHING);
    }

    /// Begins a run; its number.
    #[track_caller]
    pub fn begin(&mut self, run_id: &str, pipeline: &str, identity: &str, checkpoint: i64) -> i64 {
        let list = row![run_id, pipeline, identity, checkpoint, (), (), 7, 100.0];
        self.ask("begin", list)[0].parse().unwrap()
    }

    #[track_caller]
    pub fn finish(&mut self, run: i64, pipeline: &str) {
        self.ask("finish", row![run, "succeeded", 1.5, (), pipeline]);
    }

    /// Records an output of a step of the run.
    #[track_caller]
    pub fn complete(&mut self, run: i64, position: i64, name: &str, checkpoint: i64, output: &[u8]) {
        self.put("complete", complete(run, position, name, checkpoint), output);
    }

    /// Caches a value that was used at that time.
    #[track_caller]
    pub fn write(&mut self, key: &str, expires: Option<f64>, used: f64, value: &[u8]) {
        self.put("write", row![key, expires, used], value);
    }

    /// The cached value at time 0, or `"nothing"`.
    #[track_caller]
    pub fn read(&mut self, key: &str) -> String {
        let mut rows = self.call("read", &[row![key, 0.0]], None).unwrap();
        rows.iter_mut().for_each(|row| drop(row.drain(..row.len() - 1)));
        show(&rows).pop().unwrap_or_else(|| "nothing".to_owned())
    }

    /// The keys of the cache at time 0.
    #[track_caller]
    pub fn keys(&mut self) -> Vec<String> {
        let key = |row: &String| row.split('|').next().unwrap().to_owned();
        self.ask("entries", row![0.0]).iter().map(key).collect()
    }

    /// Another connection to its database.
    pub fn sql(&self) -> Connection {
        Connection::open(self.root.join(FILE)).unwrap()
    }

    #[track_caller]
    pub fn count(&self, table: &str) -> i64 {
        self.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    /// The names of its files of values, sorted.
    pub fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root.join("blobs")) else { return vec![] };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".gitignore");
        names.sort();
        names
    }

    pub fn blob(&self, name: &str) -> PathBuf {
        self.root.join("blobs").join(name)
    }
}

/// The arguments of a `complete`.
pub fn complete(run: i64, position: i64, name: &str, checkpoint: i64) -> Vec<Value> {
    row![run, position, name, "succeeded", (), 1, 0.5, 2.5, (), checkpoint, "print"]
}

/// Bytes that differ for each `seed`, no two pages of them alike.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = super::Random(seed);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// Bytes that do not fit into the database.
pub fn large(seed: u64) -> Vec<u8> {
    bytes(seed, INLINE + 5)
}

pub fn sum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
