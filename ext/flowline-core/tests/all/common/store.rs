//! A store in a temporary directory, with short ways to use it and to look into its files.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use flowline_core::store::{
    Begin, Claim, Completion, End, Entry, FILE, INLINE, Key, Record, Run, Start, Step, Store, StoreError,
    Wait,
};
use rusqlite::Connection;

/// The file of locks within a store's directory.
pub const LOCKS: &str = "flowline.lock";
/// The directory of large values within a store's.
pub const BLOBS: &str = "flowline.blobs";

/// A directory that is removed at the end of the test.
pub struct TempDir {
    pub path: PathBuf,
    mounted: bool,
}

impl TempDir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("flowline-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self { path, mounted: false }
    }

    /// A file system of that many bytes. Where it cannot be mounted, the test prints that it is skipped.
    pub fn tmpfs(bytes: usize) -> Option<Self> {
        let mut directory = Self::new();
        let options = format!("size={bytes},mode=700");
        directory.mounted = mount(&["-t", "tmpfs", "-o", &options, "flowline-test"], &directory.path);
        directory.mounted.then_some(directory).or_else(|| skip("a tmpfs cannot be mounted here"))
    }

    /// A child that another test has forked may hold files for a moment.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!((0..100).any(|_| mount(&["-o", &options], &self.path) || pause()));
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn pause() -> bool {
    std::thread::sleep(std::time::Duration::from_millis(20));
    false
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    Command::new("mount").args(arguments).arg(path).output().is_ok_and(|output| output.status.success())
}

/// Prints that a test is skipped, past the capture of the test harness.
pub fn skip<T>(reason: &str) -> Option<T> {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
    None
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

static NEVER: AtomicBool = AtomicBool::new(false);

/// Waits longer than any test should take.
pub fn patient() -> Wait<'static> {
    Wait::new(Duration::from_secs(60), &NEVER)
}

/// Tries once.
pub fn impatient() -> Wait<'static> {
    Wait::new(Duration::ZERO, &NEVER)
}

/// Opens the store in that directory.
pub fn open(root: &Path) -> Result<Store, StoreError> {
    Store::open(root, patient())
}

/// An open store. Its own methods are those of [`Store`], which expect success.
pub struct TestStore {
    pub root: PathBuf,
    pub store: Store,
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// No name.
pub const NONE: [&str; 0] = [];

/// Bytes as text, or by their length and digest if they are many.
pub fn describe(bytes: &[u8]) -> String {
    match bytes.len() {
        ..100 => format!("<{}>", String::from_utf8_lossy(bytes)),
        length => format!("<{length} bytes {}>", &digest(bytes)[..12]),
    }
}

/// A value that was looked up; `None`: it is damaged.
pub fn describe_value(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "damaged".to_owned(), describe)
}

/// Returns the start of a run.
pub fn start(run_id: &str, pipeline: &str, identity: &str) -> Start {
    Start {
        run: Run {
            run_id: run_id.to_owned(),
            pipeline: pipeline.to_owned(),
            identity: identity.to_owned(),
            pid: 7,
            host: "host".to_owned(),
            started: 100.0,
            ..Run::default()
        },
        ..Start::default()
    }
}

/// Returns the run that has begun.
#[track_caller]
pub fn begun(answer: Begin) -> Run {
    match answer {
        Begin::Begun(run) => *run,
        Begin::Held(other) => panic!("held by {}", other.run_id),
    }
}

/// Returns the start of a run that resumes an earlier one, whose checkpoint has been claimed.
pub fn resumption(run_id: &str, earlier: &Run) -> Start {
    let mut start = start(run_id, &earlier.pipeline, &earlier.identity);
    start.run.checkpoint = earlier.checkpoint;
    start.run.resumed = Some(earlier.run_id.clone());
    start.resumes = true;
    start
}

/// A step of a run that succeeded.
pub fn step(run: i64, position: i64, name: &str) -> Step {
    Step {
        run,
        position,
        name: name.to_owned(),
        status: "succeeded".to_owned(),
        reason: None,
        attempts: 1,
        started: Some(0.5),
        duration: Some(2.5),
        ..Step::default()
    }
}

/// The record of a step in a checkpoint.
pub fn record(checkpoint: i64, step: &str) -> Record {
    Record {
        checkpoint,
        step: step.to_owned(),
        item: None,
        outcome: "succeeded".to_owned(),
        imprint: "imprint".to_owned(),
        token: "token".to_owned(),
        made_of: "inputs".to_owned(),
        output: None,
    }
}

/// A step of a run, and its record in the run's checkpoint.
pub fn completion(run: &Run, position: i64, name: &str) -> Completion {
    Completion {
        step: Some(step(run.id, position, name)),
        record: Some(record(run.checkpoint, name)),
        ends_items: false,
        writes: None,
    }
}

/// Returns the end of a run.
pub fn end(run: &Run, status: &str) -> End {
    End { run: run.id, status: status.to_owned(), duration: 1.5, ..End::default() }
}

impl TestStore {
    #[track_caller]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), store: open(root).unwrap() }
    }

    /// Begins a run.
    #[track_caller]
    pub fn begin(&self, run_id: &str, pipeline: &str, identity: &str) -> Run {
        begun(self.store.begin(&start(run_id, pipeline, identity), false, patient()).unwrap())
    }

    /// Claims the checkpoint of a run, and begins a run that resumes it.
    #[track_caller]
    pub fn resume(&self, run_id: &str, earlier: &Run) -> Run {
        assert_eq!(self.claim(earlier, patient()).unwrap(), Claim::Claimed);
        begun(self.store.begin(&resumption(run_id, earlier), false, patient()).unwrap())
    }

    #[track_caller]
    pub fn finish(&self, run: &Run) {
        self.store.finish(&end(run, "succeeded"), &[], false, patient()).unwrap();
    }

    pub fn try_record(
        &self,
        run: &Run,
        position: i64,
        step: &str,
        output: &[u8],
        durable: bool,
    ) -> Result<(), StoreError> {
        self.store.record(&[completion(run, position, step)], output, durable, patient())
    }

    /// Records a step of a run with its output.
    #[track_caller]
    pub fn record(&self, run: &Run, position: i64, step: &str, output: &[u8]) {
        self.try_record(run, position, step, output, false).unwrap();
    }

    /// The steps and items of a checkpoint with their outputs, sorted.
    #[track_caller]
    pub fn outputs(&self, checkpoint: i64) -> Vec<String> {
        let records = self.records(checkpoint, patient()).unwrap();
        let mut outputs: Vec<_> = records
            .iter()
            .map(|record| {
                let item = record.item.map_or_else(String::new, |item| format!("[{item}]"));
                format!("{}{item} {}", record.step, describe_value(record.output.as_deref()))
            })
            .collect();
        outputs.sort();
        outputs
    }

    /// An output, `"damaged"`, or `"none"` if it cannot be had.
    #[track_caller]
    pub fn output(&self, checkpoint: i64, step: &str) -> String {
        let output = self.store.output(checkpoint, step, patient()).unwrap();
        output.map_or_else(|| "none".to_owned(), |bytes| describe(&bytes))
    }

    /// The numbers of the runs of a pipeline, or of all, latest first.
    #[track_caller]
    pub fn ids(&self, pipeline: Option<&str>) -> Vec<i64> {
        self.runs(pipeline, i64::MAX, patient()).unwrap().iter().map(|run| run.id).collect()
    }

    /// The runs of a pipeline and how they stand: `"2 running, 1 failed"`.
    #[track_caller]
    pub fn statuses(&self, pipeline: &str) -> String {
        let runs = self.runs(Some(pipeline), i64::MAX, patient()).unwrap();
        runs.iter().map(|run| format!("{} {}", run.id, run.status)).collect::<Vec<_>>().join(", ")
    }

    pub fn try_put(
        &self,
        key: &str,
        expires: Option<f64>,
        written: f64,
        value: &[u8],
        most: i64,
    ) -> Result<(), StoreError> {
        let entry = Entry { key: Key::Text(key.to_owned()), expires, written, ..Entry::default() };
        self.store.put(&entry, value, most, patient())
    }

    /// Caches a value that was written at time 1.
    #[track_caller]
    pub fn put(&self, key: &str, value: &[u8]) {
        self.try_put(key, None, 1.0, value, i64::MAX).unwrap();
    }

    /// The cached value at a time, `"damaged"`, or `"absent"`.
    #[track_caller]
    pub fn value_at(&self, key: &str, now: f64) -> String {
        match self.entry(&Key::Text(key.to_owned()), now, patient()).unwrap() {
            Some(entry) => describe_value(entry.value.as_deref()),
            None => "absent".to_owned(),
        }
    }

    /// The cached value at time 10.
    #[track_caller]
    pub fn value(&self, key: &str) -> String {
        self.value_at(key, 10.0)
    }

    /// The keys of the cache at a time.
    #[track_caller]
    pub fn keys_at(&self, now: f64) -> Vec<String> {
        let key = |entry: Entry| match entry.key {
            Key::Text(text) => text,
            Key::Bytes(bytes) => format!("{bytes:?}"),
        };
        self.entries(now, patient()).unwrap().into_iter().map(key).collect()
    }

    /// The keys of the cache at time 10.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        self.keys_at(10.0)
    }

    #[track_caller]
    pub fn delete(&self, key: &str) -> usize {
        self.drop_entries(Some(&Key::Text(key.to_owned())), false, patient()).unwrap()
    }

    /// Another connection to its database.
    pub fn sql(&self) -> Connection {
        Connection::open(self.root.join(FILE)).unwrap()
    }

    /// Changes rows behind the store's back; how many.
    #[track_caller]
    pub fn change(&self, sql: &str) -> usize {
        self.sql().execute(sql, []).unwrap()
    }

    /// The answer to a question that has one number for an answer.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[track_caller]
    pub fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    /// Asserts that the number of cached bytes is the sum of the sizes of the entries.
    #[track_caller]
    pub fn assert_total(&self) {
        let (total, sum) = ("SELECT cached FROM totals", "SELECT coalesce(sum(size), 0) FROM cache");
        assert_eq!(self.number(total), self.number(sum));
    }

    /// Asserts that SQLite finds nothing wrong with the database.
    #[track_caller]
    pub fn assert_sound(&self) {
        let found: String = self.sql().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok");
        let broken = self.sql().prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!broken);
    }

    /// The names of its files of large values, sorted.
    pub fn files(&self) -> Vec<String> {
        names(&self.root.join(BLOBS))
    }

    /// A file in the directory of large values.
    pub fn blob(&self, name: &str) -> PathBuf {
        self.root.join(BLOBS).join(name)
    }

    /// The file of a large value.
    pub fn blob_of(&self, value: &[u8]) -> PathBuf {
        self.blob(&blob_name(value))
    }
}

/// The names in a directory, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns the content of each file in a directory and below, by its path.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// The name of the file of a large value.
pub fn blob_name(value: &[u8]) -> String {
    format!("{}.blob", digest(value))
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

pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
