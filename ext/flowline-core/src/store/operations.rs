//! What can be asked of a store, as SQL.
//!
//! Arguments are `?1`, `?2` and so on, the same for all statements of an operation. A payload adds three at the
//! end: its bytes (`NULL` if they are in a file), their digest, and how many there are.

/// What an operation does with large values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// It has none.
    None,
    /// It stores one.
    In,
    /// The last two columns of its rows are one.
    Out,
    /// Its rows name the files that are still needed.
    Collect,
}

/// Statements that are carried out together.
#[derive(Debug)]
pub struct Operation {
    /// By which it is called.
    pub name: &'static str,
    /// Its large values.
    pub payload: Payload,
    /// In this order; the rows are those of the last.
    pub statements: &'static [&'static str],
}

impl Operation {
    /// Whether it leaves the store as it is.
    pub fn reads(&self) -> bool {
        self.payload != Payload::Collect && self.statements.iter().all(|sql| sql.starts_with("SELECT"))
    }
}

const fn operation(name: &'static str, payload: Payload, statements: &'static [&'static str]) -> Operation {
    Operation { name, payload, statements }
}

/// From one format of the store to the next. Those that were published never change.
pub const MIGRATIONS: [&str; 2] = [
    // Times are seconds, since 1970 or since the run's start. A checkpoint is a number shared by the runs that
    // resumed each other.
    "CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE, pipeline TEXT NOT NULL,
        identity TEXT NOT NULL, checkpoint INTEGER NOT NULL, resumed TEXT, params BLOB, status TEXT NOT NULL,
        pid INTEGER NOT NULL, started REAL NOT NULL, duration REAL, error TEXT);
    CREATE INDEX runs_by_pipeline ON runs (pipeline, id);
    CREATE INDEX runs_by_checkpoint ON runs (checkpoint);
    CREATE TABLE steps (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL,
        status TEXT NOT NULL, reason TEXT, attempts INTEGER NOT NULL, started REAL, duration REAL, error TEXT,
        PRIMARY KEY (run, position)) WITHOUT ROWID;
    CREATE TABLE outputs (
        checkpoint INTEGER NOT NULL, name TEXT NOT NULL, fingerprint TEXT NOT NULL,
        bytes BLOB, sum TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (checkpoint, name)) WITHOUT ROWID;",
    "CREATE TABLE cache (
        key TEXT NOT NULL UNIQUE, expires REAL, used REAL NOT NULL,
        bytes BLOB, sum TEXT NOT NULL, size INTEGER NOT NULL);",
];

const STEP: &str = "INSERT OR REPLACE INTO steps (run, position, name, status, reason, attempts, started, duration, error) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const OUTPUT: &str = "INSERT OR REPLACE INTO outputs (checkpoint, name, fingerprint, bytes, sum, size) \
                      VALUES (?10, ?3, ?11, ?12, ?13, ?14)";

/// The files that are needed.
const NEEDED: &str =
    "SELECT sum FROM outputs WHERE bytes IS NULL UNION SELECT sum FROM cache WHERE bytes IS NULL";

/// All of them. History keeps the last hundred runs of a pipeline, and those that have not ended.
pub const OPERATIONS: &[Operation] = &[
    // (run_id, pipeline, identity, checkpoint, resumed, params, pid, started) -> id
    operation(
        "begin",
        Payload::None,
        &[
            "INSERT INTO runs (run_id, pipeline, identity, checkpoint, resumed, params, status, pid, started) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7, ?8) RETURNING id",
        ],
    ),
    // (run, position, name, status, reason, attempts, started, duration, error)
    operation("step", Payload::None, &[STEP]),
    // The same, then (checkpoint, fingerprint), then the output.
    operation("complete", Payload::In, &[STEP, OUTPUT]),
    // The same of a step that was called for each of its items: what was recorded of those is of no more use.
    operation(
        "complete_each",
        Payload::In,
        &[
            STEP,
            "DELETE FROM outputs WHERE checkpoint = ?10 AND name > ?3 || '[' AND name < ?3 || '\\'",
            OUTPUT,
        ],
    ),
    // As complete, of a step that has no output: the digest is that of nothing.
    operation(
        "passed",
        Payload::None,
        &[
            STEP,
            "INSERT OR REPLACE INTO outputs (checkpoint, name, fingerprint, bytes, sum, size) VALUES (?10, ?3, ?11, x'', \
         'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262', 0)",
        ],
    ),
    // (checkpoint, name, fingerprint), then the output: of an item of a step that has not ended.
    operation(
        "item",
        Payload::In,
        &["INSERT OR REPLACE INTO outputs (checkpoint, name, fingerprint, bytes, sum, size) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)"],
    ),
    // (run, status, duration, error, pipeline, checkpoint that is of no more use or NULL)
    operation(
        "finish",
        Payload::Collect,
        &[
            "UPDATE runs SET status = ?2, duration = ?3, error = ?4 WHERE id = ?1",
            "DELETE FROM runs WHERE pipeline = ?5 AND status <> 'running' AND id <= \
         (SELECT id FROM runs WHERE pipeline = ?5 ORDER BY id DESC LIMIT 1 OFFSET 100)",
            "DELETE FROM outputs WHERE checkpoint = ?6 OR checkpoint NOT IN (SELECT checkpoint FROM runs)",
            NEEDED,
        ],
    ),
    // (run): its process is gone.
    operation(
        "crashed",
        Payload::None,
        &["UPDATE runs SET status = 'crashed' WHERE id = ?1 AND status = 'running'"],
    ),
    // (pipeline) -> id, checkpoint
    operation(
        "running",
        Payload::None,
        &["SELECT id, checkpoint FROM runs WHERE pipeline = ?1 AND status = 'running'"],
    ),
    // (pipeline, identity or NULL for any) -> the latest: id, run_id, checkpoint, status, params
    operation(
        "latest",
        Payload::None,
        &["SELECT id, run_id, checkpoint, status, params FROM runs \
         WHERE pipeline = ?1 AND identity = coalesce(?2, identity) ORDER BY id DESC LIMIT 1"],
    ),
    // (pipeline, identity) -> checkpoints that hold something
    operation(
        "checkpoints",
        Payload::None,
        &["SELECT DISTINCT checkpoint FROM runs WHERE pipeline = ?1 AND identity = ?2 \
         AND EXISTS (SELECT 1 FROM outputs WHERE outputs.checkpoint = runs.checkpoint)"],
    ),
    // (checkpoint)
    operation("clear", Payload::None, &["DELETE FROM outputs WHERE checkpoint = ?1"]),
    // (checkpoint, name): that step will run again.
    operation("forget", Payload::None, &["DELETE FROM outputs WHERE checkpoint = ?1 AND name = ?2"]),
    // (checkpoint) -> name, fingerprint, output
    operation(
        "outputs",
        Payload::Out,
        &["SELECT name, fingerprint, bytes, sum FROM outputs WHERE checkpoint = ?1"],
    ),
    // (checkpoint, name) -> output
    operation(
        "output",
        Payload::Out,
        &["SELECT bytes, sum FROM outputs WHERE checkpoint = ?1 AND name = ?2"],
    ),
    // (checkpoint) -> name, size
    operation("recorded", Payload::None, &["SELECT name, size FROM outputs WHERE checkpoint = ?1"]),
    // (pipeline or NULL, most) -> the latest runs first
    operation(
        "runs",
        Payload::None,
        &[
            "SELECT id, run_id, pipeline, checkpoint, resumed, status, pid, started, duration, error FROM runs \
         WHERE pipeline = coalesce(?1, pipeline) ORDER BY id DESC LIMIT ?2",
        ],
    ),
    // () -> the latest run of every pipeline
    operation(
        "last_runs",
        Payload::None,
        &[
            "SELECT id, run_id, pipeline, checkpoint, resumed, status, pid, started, duration, error FROM runs \
         WHERE id IN (SELECT max(id) FROM runs GROUP BY pipeline) ORDER BY pipeline",
        ],
    ),
    // (run) -> the steps that have ended
    operation(
        "steps",
        Payload::None,
        &[
            "SELECT name, status, reason, attempts, started, duration, error FROM steps WHERE run = ?1 ORDER BY position",
        ],
    ),
    // (pipeline) -> name, seconds it took on average in the latest runs
    operation(
        "timings",
        Payload::None,
        &["SELECT name, avg(duration) FROM steps WHERE status = 'succeeded' AND run IN \
         (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT 10) GROUP BY name"],
    ),
    // () -> the files that are needed
    operation("collect", Payload::Collect, &[NEEDED]),
    // (key, now) -> used, value
    operation(
        "read",
        Payload::Out,
        &["SELECT used, bytes, sum FROM cache WHERE key = ?1 AND (expires IS NULL OR expires > ?2)"],
    ),
    // (key, now)
    operation("used", Payload::None, &["UPDATE cache SET used = ?2 WHERE key = ?1"]),
    // (key, expires or NULL, now), then the value
    operation(
        "write",
        Payload::In,
        &[
            "INSERT OR REPLACE INTO cache (key, expires, used, bytes, sum, size) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        ],
    ),
    // (key, or NULL for all, and whether the key is only how they begin)
    operation(
        "delete",
        Payload::None,
        &["DELETE FROM cache WHERE ?1 IS NULL OR key = ?1 OR (?2 AND substr(key, 1, length(?1)) = ?1)"],
    ),
    // (now, most bytes): what has expired goes, then what was used longest ago.
    operation(
        "evict",
        Payload::None,
        &[
            "DELETE FROM cache WHERE expires <= ?1",
            "DELETE FROM cache WHERE rowid IN (SELECT rowid FROM \
         (SELECT rowid, sum(size) OVER (ORDER BY used DESC, rowid DESC) AS total FROM cache) WHERE total > ?2)",
        ],
    ),
    // (now) -> key, size, used, expires
    operation(
        "entries",
        Payload::None,
        &["SELECT key, size, used, expires FROM cache WHERE expires IS NULL OR expires > ?1 ORDER BY key"],
    ),
];
