//! `Flowline::Native::Store`: see the core's `store`. Waiting for the disk and for other processes is done
//! without Ruby's global lock.
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use flowline_core::store::{Locks, Request, Rows, Store as Core, StoreError, Value};
use magnus::encoding::EncodingCapable;
use magnus::{
    Class, Error, Float, Integer, IntoValue, Module, Object, RArray, RModule, RString, Ruby, Symbol,
    TypedData, Value as Any, function, method, value::ReprValue,
};

use crate::{error, raw};

#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Store", free_immediately)]
pub struct Store {
    core: Option<Mutex<Core>>,
    locks: RefCell<Locks>,
    pid: u32,
}

impl magnus::DataTypeFunctions for Store {}

impl Drop for Store {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // Inherited through a fork: closing it would run SQLite's shutdown in the child.
            std::mem::forget(self.core.take());
        }
    }
}

pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Store", ruby.class_object())?;
    class.undef_default_alloc_func();
    let _ = Store::class(ruby); // Looked up now: later, an interruption might come in between.
    class.define_singleton_method("open", function!(Store::open, 1))?;
    class.define_method("call", method!(Store::call, 4))?;
    class.define_method("acquire", method!(Store::acquire, 1))?;
    class.define_method("holder", method!(Store::holder, 1))?;
    class.define_method("release", method!(Store::release, 1))
}

impl Store {
    /// `open(directory: String) -> Store`
    fn open(ruby: &Ruby, root: PathBuf) -> Result<Self, Error> {
        let core = patiently(ruby, |cancelled| Core::open(&root, cancelled))?;
        let locks = Locks::open(&root).map_err(|e| error::raise(ruby, &e))?;
        Ok(Self { core: Some(Mutex::new(core)), locks: RefCell::new(locks), pid: std::process::id() })
    }

    /// `call(operation: Symbol, arguments: Array<Array>, payload: String or nil, durable) -> Array<Array>`:
    /// Strings in binary are bytes, others text. The payload is frozen.
    fn call(
        ruby: &Ruby,
        rb_self: &Self,
        operation: Symbol,
        arguments: RArray,
        payload: Option<RString>,
        durable: bool,
    ) -> Result<RArray, Error> {
        let operation = operation.name()?.into_owned();
        let arguments =
            arguments.into_iter().map(|list| values(ruby, list)).collect::<Result<Vec<_>, _>>()?;
        let payload = payload.as_ref().map(raw::frozen_bytes);
        let request = Request { operation: &operation, arguments: &arguments, payload, durable };
        let rows = patiently(ruby, |cancelled| match &rb_self.core {
            Some(core) => core.lock().unwrap_or_else(PoisonError::into_inner).call(request, cancelled),
            None => Err(StoreError::Cancelled),
        })?;
        answer(ruby, rows)
    }

    /// `acquire(id: Integer) -> Integer or nil`: the process that has the lock, `nil` if it is ours now.
    fn acquire(ruby: &Ruby, rb_self: &Self, id: i64) -> Result<Option<i32>, Error> {
        rb_self.locks.borrow_mut().acquire(id).map_err(|e| error::raise(ruby, &e))
    }

    /// `holder(id: Integer) -> Integer or nil`: the process that has the lock.
    fn holder(ruby: &Ruby, rb_self: &Self, id: i64) -> Result<Option<i32>, Error> {
        rb_self.locks.borrow().holder(id).map_err(|e| error::raise(ruby, &e))
    }

    fn release(ruby: &Ruby, rb_self: &Self, id: i64) -> Result<(), Error> {
        rb_self.locks.borrow_mut().release(id).map_err(|e| error::raise(ruby, &e))
    }
}

/// Without the global lock, until it is done or Ruby wants the thread for something else.
fn patiently<T>(ruby: &Ruby, mut work: impl FnMut(&AtomicBool) -> Result<T, StoreError>) -> Result<T, Error> {
    let cancelled = AtomicBool::new(false);
    let answer = raw::without_gvl(ruby, &cancelled, || match work(&cancelled) {
        Err(StoreError::Cancelled) => None,
        answer => Some(answer),
    })?;
    answer.map_err(|e| error::raise(ruby, &e))
}

fn values(ruby: &Ruby, list: Any) -> Result<Vec<Value>, Error> {
    let list = RArray::to_ary(list)?;
    list.into_iter().map(|value| stored(ruby, value)).collect()
}

fn stored(ruby: &Ruby, value: Any) -> Result<Value, Error> {
    Ok(if let Some(text) = RString::from_value(value) {
        if text.enc_get() == ruby.ascii8bit_encindex() {
            Value::Blob(raw::frozen_bytes(&text).to_vec())
        } else {
            Value::Text(text.to_string()?)
        }
    } else if let Some(integer) = Integer::from_value(value) {
        Value::Integer(integer.to_i64()?)
    } else if let Some(float) = Float::from_value(value) {
        Value::Real(float.to_f64())
    } else if let Some(symbol) = Symbol::from_value(value) {
        Value::Text(symbol.name()?.into_owned())
    } else if value.to_bool() {
        Value::Integer(1)
    } else {
        Value::Null
    })
}

fn answer(ruby: &Ruby, rows: Rows) -> Result<RArray, Error> {
    let array = ruby.ary_new_capa(rows.len());
    for row in rows {
        let columns = ruby.ary_new_capa(row.len());
        for value in row {
            columns.push(match value {
                Value::Null => ruby.qnil().into_value_with(ruby),
                Value::Integer(integer) => integer.into_value_with(ruby),
                Value::Real(float) => float.into_value_with(ruby),
                Value::Text(text) => text.into_value_with(ruby),
                Value::Blob(bytes) => ruby.str_from_slice(&bytes).into_value_with(ruby),
            })?;
        }
        array.push(columns)?;
    }
    Ok(array)
}
