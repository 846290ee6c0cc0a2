//! The format of the database, and the migrations from older formats.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;

use nix::fcntl::FcntlArg::F_GETLK;
use nix::fcntl::fcntl;
use nix::libc::{self, flock};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::locks::{Lock, Locks};
use super::rows::{Columns, Run, Step};
use super::{StoreError, directory};

/// "Flow" in ASCII: the application ID in SQLite's header.
const APPLICATION: i64 = 0x466c_6f77;

/// The migrations from each format of the store to the next. Published formats never change.
const MIGRATIONS: [&str; 5] = [
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
    // Older formats recorded outputs without their inputs, so none of them can be restored; and cached values had
    // other keys. A checkpoint was a random number.
    "DROP TABLE outputs;
    DROP TABLE cache;
    ALTER TABLE runs ADD COLUMN host TEXT NOT NULL DEFAULT '';
    ALTER TABLE runs ADD COLUMN seal BLOB;
    ALTER TABLE steps ADD COLUMN seal BLOB;
    CREATE TEMP TABLE first_runs AS SELECT checkpoint AS number, min(id) AS id FROM runs GROUP BY checkpoint;
    UPDATE runs SET checkpoint = (SELECT f.id FROM temp.first_runs f WHERE f.number = runs.checkpoint);
    DROP TABLE temp.first_runs;
    CREATE TABLE records (
        checkpoint INTEGER NOT NULL, step TEXT NOT NULL, item INTEGER NOT NULL, outcome TEXT NOT NULL,
        imprint TEXT NOT NULL, token TEXT NOT NULL, made_of TEXT NOT NULL,
        digest BLOB NOT NULL, size INTEGER NOT NULL, seal BLOB NOT NULL, bytes BLOB,
        PRIMARY KEY (checkpoint, step, item)) WITHOUT ROWID;
    CREATE INDEX files_of_records ON records (digest) WHERE bytes IS NULL;
    CREATE TABLE cache (
        key NOT NULL UNIQUE, expires REAL, written REAL NOT NULL, used REAL NOT NULL,
        digest BLOB NOT NULL, size INTEGER NOT NULL, seal BLOB NOT NULL, bytes BLOB);
    CREATE INDEX files_of_cache ON cache (digest) WHERE bytes IS NULL;
    CREATE INDEX cache_by_use ON cache (used);
    CREATE INDEX cache_by_end ON cache (expires) WHERE expires IS NOT NULL;
    CREATE TABLE totals (cached INTEGER NOT NULL);
    INSERT INTO totals VALUES (0);",
    // New columns are NULL in older rows. A seal leaves out the NULLs at its end, so older seals stay valid.
    "ALTER TABLE runs ADD COLUMN shown TEXT;
    ALTER TABLE runs ADD COLUMN trigger TEXT;
    ALTER TABLE runs ADD COLUMN location TEXT;
    ALTER TABLE runs ADD COLUMN directory TEXT;
    ALTER TABLE runs ADD COLUMN graph INTEGER;
    ALTER TABLE runs ADD COLUMN warnings TEXT;
    ALTER TABLE runs ADD COLUMN outcomes TEXT;
    ALTER TABLE runs ADD COLUMN items_done INTEGER;
    ALTER TABLE runs ADD COLUMN items_failed INTEGER;
    ALTER TABLE runs ADD COLUMN items_restored INTEGER;
    ALTER TABLE runs ADD COLUMN clock TEXT;
    ALTER TABLE runs ADD COLUMN ended REAL;
    CREATE INDEX runs_alive ON runs (pipeline) WHERE status = 'running';
    CREATE INDEX runs_unsuccessful ON runs (status, pipeline) WHERE status NOT IN ('running', 'succeeded');
    CREATE INDEX runs_by_start ON runs (started);
    CREATE INDEX runs_by_resumed ON runs (resumed) WHERE resumed IS NOT NULL;
    ALTER TABLE steps ADD COLUMN items_total INTEGER;
    ALTER TABLE steps ADD COLUMN items_done INTEGER;
    ALTER TABLE steps ADD COLUMN items_failed INTEGER;
    ALTER TABLE steps ADD COLUMN items_restored INTEGER;
    ALTER TABLE steps ADD COLUMN kind TEXT;
    ALTER TABLE steps ADD COLUMN size INTEGER;
    ALTER TABLE steps ADD COLUMN preview TEXT;
    ALTER TABLE steps ADD COLUMN detail TEXT;
    CREATE TABLE graphs (
        id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, digest BLOB NOT NULL, body TEXT NOT NULL,
        UNIQUE (pipeline, digest));
    CREATE TABLE state (
        pipeline TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, shown TEXT NOT NULL, written REAL NOT NULL,
        run_id TEXT, seal BLOB NOT NULL, PRIMARY KEY (pipeline, key)) WITHOUT ROWID;
    CREATE TABLE writes (
        checkpoint INTEGER NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, value BLOB, shown TEXT NOT NULL,
        written REAL NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (checkpoint, step, key)) WITHOUT ROWID;
    CREATE TABLE keys (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE live (
        run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE, updated REAL NOT NULL, body TEXT NOT NULL,
        seal BLOB NOT NULL);
    CREATE TABLE requests (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, subject TEXT NOT NULL,
        requester TEXT NOT NULL, requested REAL NOT NULL, seal BLOB NOT NULL,
        PRIMARY KEY (run, kind, subject)) WITHOUT ROWID;
    CREATE TABLE logs (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, step INTEGER NOT NULL, number INTEGER NOT NULL,
        lines INTEGER NOT NULL, body TEXT NOT NULL, seal BLOB NOT NULL);
    CREATE UNIQUE INDEX logs_by_step ON logs (run, step, number);",
    // Of a write of an older format it is not known what it followed, so it is committed in any case.
    "ALTER TABLE writes ADD COLUMN run INTEGER;
    ALTER TABLE writes ADD COLUMN base BLOB;
    ALTER TABLE keys ADD COLUMN seal BLOB;
    CREATE INDEX runs_by_identity ON runs (pipeline, identity);
    CREATE INDEX runs_by_end ON runs (pipeline, clock, ended) WHERE clock IS NOT NULL;",
];

/// The first format whose rows have seals.
const SEALED: i64 = 3;

/// Migrates a database to this format. An empty database gets its tables.
///
/// # Errors
/// It is another program's, was written by a newer version, or is in use by an older one.
pub fn migrate(
    connection: &Connection,
    root: &Path,
    writable: bool,
    locks: &Locks,
) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let header = header(connection)?;
    if header == (APPLICATION, known) {
        return Ok(());
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let (application, found) = header;
    if application != APPLICATION && (application, found, tables) != (0, 0, 0) {
        return Err(StoreError::Foreign);
    }
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if !writable {
        return Err(super::locks::read_only());
    }
    if found == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?; // Before there is a table.
    } else if is_in_use(connection, root, locks, found)? {
        return Err(StoreError::Older);
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let files = old_files(&transaction, found)?;
    for script in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        transaction.execute_batch(script)?;
    }
    if found < SEALED {
        seal_all(&transaction)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    if found > 0 {
        remove_old_files(root, &files);
    }
    Ok(())
}

/// Returns the application ID and the format from the database's header.
fn header(connection: &Connection) -> Result<(i64, i64), StoreError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((read("application_id")?, read("user_version")?))
}

/// Whether a run of an older format is alive. Formats before 3 had POSIX record locks in a file of another name.
fn is_in_use(connection: &Connection, root: &Path, locks: &Locks, found: i64) -> Result<bool, StoreError> {
    if found >= SEALED {
        let mut statement = connection.prepare("SELECT checkpoint FROM runs WHERE status = 'running'")?;
        let checkpoints = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        return checkpoints
            .into_iter()
            .try_fold(false, |taken, id| Ok(taken || locks.is_taken(Lock::Checkpoint(id))?));
    }
    let Ok(file) = File::open(root.join("lock")) else { return Ok(false) };
    let mut found = flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, F_GETLK(&mut found)).map_err(StoreError::of_lock)?;
    Ok(found.l_type != libc::F_UNLCK as libc::c_short)
}

/// Returns the names of the files in which older formats stored values.
fn old_files(connection: &Connection, format: i64) -> Result<HashSet<String>, StoreError> {
    let sql = match format {
        1 => "SELECT sum FROM outputs WHERE bytes IS NULL",
        2 => "SELECT sum FROM outputs WHERE bytes IS NULL UNION SELECT sum FROM cache WHERE bytes IS NULL",
        _ => return Ok(HashSet::new()),
    };
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Removes the files of older formats, and only those, by name.
fn remove_old_files(root: &Path, files: &HashSet<String>) {
    let folder = root.join("blobs");
    if !fs::symlink_metadata(&folder).is_ok_and(|data| data.is_dir()) {
        return;
    }
    for name in files.iter().filter(|name| blake3::Hash::from_hex(name.as_str()).is_ok()) {
        let _ = fs::remove_file(folder.join(name));
    }
    let note = folder.join(".gitignore");
    let alone = fs::read_dir(&folder).is_ok_and(|entries| entries.count() == 1);
    if alone && fs::read_to_string(&note).is_ok_and(|text| text == "*\n") {
        let _ = fs::remove_file(note).and_then(|()| fs::remove_dir(folder));
    }
}

/// Seals the rows of a format that had no seals.
fn seal_all(connection: &Connection) -> Result<(), StoreError> {
    let sql = format!("SELECT {} FROM runs", Run::COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let id: i64 = columns.next()?;
        let run = Run::unsealed(id, &mut columns)?;
        connection.execute("UPDATE runs SET seal = ?2 WHERE id = ?1", params![id, run.seal()])?;
    }
    let sql = format!("SELECT {} FROM steps", Step::COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let step = Step::unsealed(&mut Columns::of(row))?;
        connection.execute(
            "UPDATE steps SET seal = ?3 WHERE run = ?1 AND position = ?2",
            params![step.run, step.position, step.seal()],
        )?;
    }
    Ok(())
}

/// Removes the access of other users to a database, its log and the index of the log.
pub fn make_own(database: &Path) -> Result<(), StoreError> {
    for ending in ["", "-wal", "-shm"] {
        directory::make_own(&super::sqlite_file(database, ending))?;
    }
    Ok(())
}
