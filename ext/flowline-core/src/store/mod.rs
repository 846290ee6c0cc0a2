//! Where runs, outcomes, outputs and cached values are kept: a SQLite database in WAL mode, large values as
//! content-addressed files beside it, and a file of kernel locks.
//!
//! What can be asked of it is a table of [operations](operations::OPERATIONS). Each is carried out in one
//! transaction, so it is there as a whole or not at all. Several processes may use one store; who finds it
//! busy waits and tries again.

mod blobs;
mod error;
mod locks;
mod operations;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use error::StoreError;
pub use locks::Locks;
pub use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use blobs::Blobs;
use operations::{MIGRATIONS, OPERATIONS, Operation, Payload};

/// The database within a store's directory.
pub const FILE: &str = "flowline.db";

/// Values from this size up are files of their own.
pub const INLINE: usize = 256 * 1024;

/// "Flow" in ASCII: what SQLite's header calls the application.
const APPLICATION: i64 = 0x466c_6f77;

/// Who waits longer than this for other processes is told so.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(4);

/// Rows of columns.
pub type Rows = Vec<Vec<Value>>;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The name of an operation.
    pub operation: &'a str,
    /// It is carried out once for each of these, all in one transaction.
    pub arguments: &'a [Vec<Value>],
    /// A value to be stored with it.
    pub payload: Option<&'a [u8]>,
    /// Whether to wait until it would survive the loss of power.
    pub durable: bool,
}

/// An open store. For one thread at a time.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    blobs: Blobs,
    durable: bool,
}

impl Store {
    /// Opens the store in that directory, made if need be with access for its owner only.
    ///
    /// # Errors
    /// It cannot be read or written, is damaged, is no store, or was written by a newer version.
    pub fn open(root: &Path, cancelled: &AtomicBool) -> Result<Self, StoreError> {
        blobs::make_private(root)?;
        let path = root.join(FILE);
        retry(cancelled, || {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(Duration::ZERO)?;
            connection.set_prepared_statement_cache_capacity(OPERATIONS.len());
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
            migrate(&connection)?;
            connection.pragma_update(None, "journal_mode", "WAL")?; // Not before it is known to be ours.
            Ok(Self { path: path.clone(), connection, blobs: Blobs::new(root), durable: false })
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Carries out an operation.
    ///
    /// # Errors
    /// It failed, and changed nothing; or it was cancelled while it waited for another process.
    pub fn call(&mut self, request: Request, cancelled: &AtomicBool) -> Result<Rows, StoreError> {
        let operation = OPERATIONS
            .iter()
            .find(|operation| operation.name == request.operation)
            .ok_or_else(|| StoreError::Unknown(request.operation.to_owned()))?;
        if self.durable != request.durable {
            let level = if request.durable { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durable = request.durable;
        }
        let mut blob = request.payload.map(|bytes| self.blobs.prepare(bytes, request.durable)).transpose()?;
        let rows = retry(cancelled, || {
            if operation.reads() {
                return run(&self.connection, operation, request.arguments, &[]);
            }
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let added = blob.as_ref().map(|blob| blob.columns(request.payload)).unwrap_or_default();
            let rows = run(&transaction, operation, request.arguments, &added)?;
            if operation.payload == Payload::Collect && !request.arguments.is_empty() {
                self.blobs.collect(&rows);
            }
            if let Some(blob) = &mut blob {
                blob.keep()?;
            }
            transaction.commit()?;
            Ok(rows)
        })?;
        Ok(match operation.payload {
            Payload::Out => rows.into_iter().map(|row| self.blobs.resolve(row)).collect(),
            Payload::In | Payload::Collect | Payload::None => rows,
        })
    }
}

/// All statements for each list of arguments; the rows are those of the last statement.
fn run(
    connection: &Connection,
    operation: &Operation,
    arguments: &[Vec<Value>],
    added: &[Value],
) -> Result<Rows, StoreError> {
    let mut found = Vec::new();
    for list in arguments {
        for sql in operation.statements {
            let mut statement = connection.prepare_cached(sql)?;
            let columns = statement.column_count();
            for (index, value) in (1..=statement.parameter_count()).zip(list.iter().chain(added)) {
                statement.raw_bind_parameter(index, value)?;
            }
            let mut rows = statement.raw_query();
            found.clear();
            while let Some(row) = rows.next()? {
                found.push((0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?);
            }
        }
    }
    Ok(found)
}

fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let header = || Ok::<_, StoreError>((read("application_id")?, read("user_version")?));
    if header()? == (APPLICATION, known) {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let (application, found) = header()?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application, found, tables) != (0, 0, 0) {
        return Err(StoreError::Foreign);
    }
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for script in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(script)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// Tries until the store is not busy. Waits are short, so that whoever cancels need not wait.
fn retry<T>(
    cancelled: &AtomicBool,
    mut attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut left = PATIENCE.as_millis() / PAUSE.as_millis();
    loop {
        match attempt() {
            Err(StoreError::Busy) if left > 0 => left -= 1,
            answer => return answer,
        }
        if cancelled.load(Ordering::Relaxed) {
            return Err(StoreError::Cancelled);
        }
        std::thread::sleep(PAUSE);
    }
}
