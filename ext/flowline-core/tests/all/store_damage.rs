//! Checks how a store reads damaged rows: a seal finds every flipped bit, and a column of another type is no reason
//! to fail.

use std::sync::Arc;

use crate::common::store::{TempDir, TestStore, begun, completion, describe, end, large, patient, start};
use flowline_core::store::{Claim, DAMAGED, Graph, Key, Run, Tally};
use rusqlite::Connection;
use rusqlite::types::{Type, Value};

const STEP: [&str; 17] = [
    "position",
    "name",
    "status",
    "reason",
    "attempts",
    "started",
    "duration",
    "error",
    "items_total",
    "items_done",
    "items_failed",
    "items_restored",
    "kind",
    "size",
    "preview",
    "detail",
    "seal",
];

/// A store with a finished run, a step, a record and a cached value.
fn with_rows(test: impl FnOnce(&TestStore, &Run)) {
    let directory = TempDir::new();
    let store = TestStore::at(&directory.path);
    let mut start = start("run-1", "import", "identity");
    start.run.params = Some(b"params".to_vec());
    start.run.resumed = Some("run-0".to_owned());
    for column in
        [&mut start.run.shown, &mut start.run.trigger, &mut start.run.location, &mut start.run.directory]
    {
        *column = Some("text".to_owned());
    }
    start.graph = Some(Arc::new(Graph::new("graph".to_owned())));
    let run = begun(store.store.begin(&start, false, patient()).unwrap());
    let mut completion = completion(&run, 0, "fetch");
    completion.step.as_mut().unwrap().reason = Some("reason".to_owned());
    completion.step.as_mut().unwrap().error = Some("error".to_owned());
    let step = completion.step.as_mut().unwrap();
    step.items = Tally { total: Some(9), done: Some(7), failed: Some(2), restored: Some(1) };
    step.size = Some(3);
    for column in [&mut step.kind, &mut step.preview, &mut step.detail] {
        *column = Some("text".to_owned());
    }
    completion.record.as_mut().unwrap().made_of = "made of".to_owned();
    store.store.record(&[completion], b"output", false, patient()).unwrap();
    let mut end = end(&run, "failed");
    end.error = Some("boom".to_owned());
    end.warnings = Some("[]".to_owned());
    store.store.finish(&end, &[], false, patient()).unwrap();
    store.try_put("key", Some(99.0), 1.0, b"value", i64::MAX).unwrap();
    test(&store, &run);
}

/// A column's value with each of its bits flipped in turn. A text may no longer be UTF-8.
fn flips(sql: &Connection, table: &str, column: &str) -> Vec<Value> {
    let question = format!("SELECT {column} FROM {table}");
    let bytes = |value: &Value| match value {
        Value::Integer(number) => number.to_le_bytes().to_vec(),
        Value::Real(number) => number.to_bits().to_le_bytes().to_vec(),
        Value::Text(text) => text.clone().into_bytes(),
        Value::Blob(bytes) => bytes.clone(),
        Value::Null => panic!("{table}.{column} has a value"),
    };
    let value: Value = sql.query_row(&question, [], |row| row.get(0)).unwrap();
    let original = bytes(&value);
    let flip = |bit: usize| {
        let mut flipped = original.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let eight = || flipped.clone().try_into().unwrap();
        match value.data_type() {
            Type::Integer => Value::Integer(i64::from_le_bytes(eight())),
            Type::Real => Value::Real(f64::from_bits(u64::from_le_bytes(eight()))),
            _ => Value::Blob(flipped),
        }
    };
    (0..original.len() * 8).map(flip).collect()
}

/// Sets a column to each value in turn, tests, and sets it back.
fn with_each(
    store: &TestStore,
    table: &str,
    column: &str,
    values: impl FnOnce(&Connection) -> Vec<Value>,
    mut test: impl FnMut(&str),
) {
    let sql = store.sql();
    let original: Value =
        sql.query_row(&format!("SELECT {column} FROM {table}"), [], |row| row.get(0)).unwrap();
    let is_text = original.data_type() == Type::Text;
    let set = |value: &Value, cast: bool| {
        // Bytes can be written into a text only like this.
        let set = if cast { "CAST(?1 AS TEXT)" } else { "?1" };
        sql.execute(&format!("UPDATE {table} SET {column} = {set}"), [value])
    };
    for value in values(&sql) {
        if value == original || set(&value, is_text && matches!(value, Value::Blob(_))).is_err() {
            continue; // NULL, where a column has a value always.
        }
        test(&format!("{table}.{column} = {value:?}"));
        set(&original, false).unwrap();
    }
}

fn status(store: &TestStore) -> String {
    let runs = store.runs(None, 9, patient()).unwrap();
    assert_eq!(runs.len(), 1);
    runs[0].status.clone()
}

mod a_flipped_bit {
    use super::*;

    #[test]
    fn in_any_column_of_a_run_makes_it_damaged() {
        with_rows(|store, run| {
            let columns = [
                "run_id",
                "pipeline",
                "identity",
                "checkpoint",
                "resumed",
                "params",
                "status",
                "pid",
                "host",
                "started",
                "duration",
                "error",
                "shown",
                "trigger",
                "location",
                "directory",
                "graph",
                "warnings",
                "outcomes",
                "items_done",
                "items_failed",
                "items_restored",
                "seal",
            ];
            for column in columns {
                with_each(
                    store,
                    "runs",
                    column,
                    |sql| flips(sql, "runs", column),
                    |change| {
                        assert_eq!(status(store), DAMAGED, "{change}");
                        let found = store.runs(None, 9, patient()).unwrap().remove(0);
                        assert_eq!((found.id, found.alive, found.params), (1, false, None), "{change}");
                        let latest = store.latest("import", Some("identity"), patient()).unwrap();
                        assert_eq!(latest, None, "{change}: nothing to be resumed");
                        assert_eq!(store.claim(run, patient()).unwrap(), Claim::Changed, "{change}");
                    },
                );
            }
            assert_eq!(status(store), "failed", "as it was");
            assert!(store.latest("import", Some("identity"), patient()).unwrap().is_some());
        });
    }

    #[test]
    fn in_any_column_of_a_step_makes_it_absent() {
        with_rows(|store, _| {
            for column in STEP {
                with_each(
                    store,
                    "steps",
                    column,
                    |sql| flips(sql, "steps", column),
                    |change| {
                        assert_eq!(store.steps(1, patient()).unwrap(), [], "{change}");
                    },
                );
            }
            assert_eq!(store.steps(1, patient()).unwrap().len(), 1);
        });
    }

    #[test]
    fn in_any_column_of_a_record_makes_it_absent() {
        with_rows(|store, _| {
            let columns = [
                "checkpoint",
                "step",
                "item",
                "outcome",
                "imprint",
                "token",
                "made_of",
                "digest",
                "size",
                "seal",
            ];
            for column in columns {
                with_each(
                    store,
                    "records",
                    column,
                    |sql| flips(sql, "records", column),
                    |change| {
                        let checkpoint = store.number("SELECT checkpoint FROM records");
                        assert_eq!(store.records(checkpoint, patient()).unwrap(), [], "{change}");
                        assert_eq!(store.output(checkpoint, "fetch"), "none", "{change}");
                        assert_eq!(store.outcomes(checkpoint, patient()).unwrap(), [], "{change}");
                        assert_eq!(store.sizes(checkpoint, patient()).unwrap(), [], "{change}");
                    },
                );
            }
            with_each(
                store,
                "records",
                "bytes",
                |sql| flips(sql, "records", "bytes"),
                |change| {
                    assert_eq!(store.outputs(1), ["fetch damaged"], "{change}");
                    assert_eq!(store.output(1, "fetch"), "none", "{change}");
                },
            );
            assert_eq!(store.outputs(1), ["fetch <output>"]);
        });
    }

    #[test]
    fn in_any_column_of_a_cached_value_loses_that_value_alone() {
        with_rows(|store, _| {
            let value = || {
                let entry = store.entry(&Key::Text("key".to_owned()), 10.0, patient()).unwrap();
                entry.and_then(|entry| entry.value)
            };
            for column in ["key", "expires", "written", "digest", "size", "seal"] {
                with_each(
                    store,
                    "cache",
                    column,
                    |sql| flips(sql, "cache", column),
                    |change| {
                        assert_eq!(value(), None, "{change}");
                        assert_eq!(store.entries(10.0, patient()).unwrap(), [], "{change}");
                    },
                );
            }
            with_each(
                store,
                "cache",
                "bytes",
                |sql| flips(sql, "cache", "bytes"),
                |change| {
                    assert_eq!(value(), None, "{change}");
                },
            );
            assert_eq!(value().as_deref(), Some(&b"value"[..]));
        });
    }
}

mod a_column_of_another_type {
    use super::*;

    fn others(_: &Connection) -> Vec<Value> {
        vec![
            Value::Null,
            Value::Integer(1234),
            Value::Integer(i64::MIN),
            Value::Real(0.25),
            Value::Text("other".to_owned()),
            Value::Text(String::new()),
            Value::Blob(vec![0xff, 0, 1]),
            Value::Blob(vec![]),
            Value::Blob(vec![0; 32]),
        ]
    }

    /// The same, of which no value becomes a text.
    fn blobs(_: &Connection) -> Vec<Value> {
        vec![Value::Blob(vec![0xff, 0, 1])]
    }

    /// Blobs stay blobs in columns of text.
    fn with_others(store: &TestStore, table: &str, column: &str, mut test: impl FnMut(&str)) {
        with_each(store, table, column, others, &mut test);
        let sql = store.sql();
        let original: Value =
            sql.query_row(&format!("SELECT {column} FROM {table}"), [], |row| row.get(0)).unwrap();
        for value in blobs(&sql) {
            sql.execute(&format!("UPDATE {table} SET {column} = ?1"), [&value]).unwrap();
            test(&format!("{table}.{column} = {value:?}, as it is"));
            sql.execute(&format!("UPDATE {table} SET {column} = ?1"), [&original]).unwrap();
        }
    }

    #[test]
    fn of_a_run_makes_it_damaged_and_hinders_no_other() {
        with_rows(|store, run| {
            let columns = [
                "run_id",
                "pipeline",
                "identity",
                "checkpoint",
                "resumed",
                "params",
                "status",
                "pid",
                "host",
                "started",
                "duration",
                "error",
                "shown",
                "trigger",
                "location",
                "directory",
                "graph",
                "warnings",
                "outcomes",
                "items_done",
                "items_failed",
                "items_restored",
                "seal",
            ];
            for column in columns {
                with_others(store, "runs", column, |change| {
                    assert_eq!(status(store), DAMAGED, "{change}");
                    assert_eq!(store.claim(run, patient()).unwrap(), Claim::Changed, "{change}");
                    store.last_runs(patient()).unwrap();
                    store.timings("import", patient()).unwrap();
                });
            }
            assert_eq!(status(store), "failed");
        });
    }

    #[test]
    fn of_a_run_hinders_neither_the_next_runs_nor_their_pruning() {
        for column in ["checkpoint", "status", "identity", "params", "run_id", "seal", "duration", "host"] {
            let directory = TempDir::new();
            let store = TestStore::at(&directory.path);
            let damaged = store.begin("damaged", "p", "i");
            store.record(&damaged, 0, "a", b"output");
            store.finish(&damaged);
            store.change(&format!("UPDATE runs SET {column} = x'ff00'"));
            for n in 0..101 {
                let run = store.begin(&format!("r{n}"), "p", "i");
                store.finish(&run);
            }
            assert!(!store.ids(Some("p")).contains(&1), "{column}");
            assert_eq!(store.ids(Some("p")).len(), 100);
        }
    }

    #[test]
    fn of_a_step_makes_it_absent() {
        with_rows(|store, _| {
            for column in STEP {
                with_others(store, "steps", column, |change| {
                    assert_eq!(store.steps(1, patient()).unwrap(), [], "{change}");
                    store.timings("import", patient()).unwrap();
                });
            }
            assert_eq!(store.steps(1, patient()).unwrap().len(), 1);
        });
    }

    #[test]
    fn of_a_step_that_succeeded_hinders_no_timings_of_others() {
        with_rows(|store, run| {
            store.record(run, 1, "other", b"");
            store.change("UPDATE steps SET name = x'ff' WHERE position = 0");
            let timings = store.timings("import", patient()).unwrap();
            assert_eq!(timings.into_iter().collect::<Vec<_>>(), [("other".to_owned(), 2.5)]);
        });
    }

    #[test]
    fn of_a_record_makes_it_absent_and_spares_the_others() {
        let columns = ["step", "item", "outcome", "imprint", "token", "made_of", "digest", "size", "seal"];
        with_rows(|store, _| {
            for column in columns {
                with_others(store, "records", column, |change| {
                    assert_eq!(store.records(1, patient()).unwrap(), [], "{change}");
                    assert_eq!(store.output(1, "fetch"), "none", "{change}");
                    assert_eq!(store.outcomes(1, patient()).unwrap(), [], "{change}");
                    assert_eq!(store.sizes(1, patient()).unwrap(), [], "{change}");
                });
            }
            with_others(store, "records", "bytes", |change| {
                assert!(store.outputs(1).iter().all(|output| output == "fetch damaged"), "{change}");
                assert_eq!(store.output(1, "fetch"), "none", "{change}");
            });
        });
        for column in columns {
            with_rows(|store, run| {
                store.change(&format!("UPDATE records SET {column} = x'ff00'"));
                store.record(run, 1, "sound", b"sound");
                assert_eq!(store.outputs(1), ["sound <sound>"], "{column}");
                let outcomes = store.outcomes(1, patient()).unwrap();
                assert_eq!(outcomes, [("sound".to_owned(), "succeeded".to_owned())], "{column}");
                assert_eq!(store.clear(1, patient()).unwrap(), Claim::Claimed, "{column}");
                assert_eq!(store.count("records"), 0, "{column}");
            });
        }
    }

    #[test]
    fn of_a_cached_value_loses_that_value_alone_until_it_is_written_again() {
        for column in ["expires", "written", "used", "digest", "size", "seal", "bytes"] {
            with_rows(|store, _| {
                store.put("other", b"other");
                for value in
                    ["x'ff00'", "'text'", "0.25", "1234", "NULL", "''", "x''", "-1", "4611686018427387904"]
                {
                    let sql = format!("UPDATE cache SET {column} = {value} WHERE key = 'key'");
                    if store.sql().execute(&sql, []).is_err() {
                        continue; // It cannot be NULL.
                    }
                    let change = format!("{column} = {value}");
                    let found = store.entry(&Key::Text("key".to_owned()), 10.0, patient()).unwrap();
                    let value = found.and_then(|entry| entry.value);
                    let is_sound = value.as_deref() == Some(b"value");
                    assert!(value.is_none() || (column == "used" && is_sound), "{change}");
                    assert!(store.keys().contains(&"other".to_owned()), "{change}");
                    store.try_put("key", Some(99.0), 1.0, b"value", i64::MAX).unwrap();
                    assert_eq!(store.value("key"), "<value>", "{change}, written again");
                    assert_eq!(store.value("other"), "<other>");
                }
                store.change(&format!("UPDATE cache SET {column} = x'ff00' WHERE key = 'key'"));
                store.try_put("new", None, 2.0, b"new", 3).unwrap(); // Evicts the others.
                assert_eq!(store.value("other"), "absent", "{column}");
            });
        }
    }
}

mod the_total_of_the_cache {
    use super::*;

    #[test]
    fn is_right_again_soon_after_a_damage() {
        for damage in [
            "UPDATE cache SET size = size + (1 << 40) WHERE key = 'a'",
            "UPDATE cache SET size = 1 << 62 WHERE key = 'b'",
            "UPDATE totals SET cached = 1 << 50",
            "UPDATE totals SET cached = -(1 << 50)",
            "DELETE FROM totals",
        ] {
            let directory = TempDir::new();
            let store = TestStore::at(&directory.path);
            ["a", "b", "c"].iter().for_each(|key| store.put(key, b"ten bytes."));
            store.change(damage);
            for n in 0..6 {
                store.try_put(&format!("n{n}"), None, 2.0 + f64::from(n), b"ten bytes.", 30).unwrap();
            }
            assert_eq!(store.keys(), ["n3", "n4", "n5"], "{damage}");
            store.assert_total();
            store.drop_entries(None, false, patient()).unwrap();
            store.assert_total();
        }
    }

    #[test]
    fn is_zero_after_the_cache_was_cleared() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        store.put("a", b"ten bytes.");
        store.change("UPDATE cache SET size = size + (1 << 40)");
        store.drop_entries(None, false, patient()).unwrap();
        store.assert_total();
    }
}

mod a_damaged_reference {
    use super::*;

    #[test]
    fn leads_to_no_other_file() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        store.put("k", b"value");
        store.put("l", &large(1));
        for change in [
            "bytes = NULL",
            "digest = x''",
            "digest = '../flowline.db', bytes = NULL",
            "bytes = NULL, digest = (SELECT digest FROM cache WHERE key = 'l')",
            "digest = (SELECT digest FROM cache WHERE key = 'l'), size = (SELECT size FROM cache WHERE key = 'l'), \
             bytes = NULL",
            "bytes = 'value'",
            "bytes = 5",
            "bytes = x''",
        ] {
            store.change(&format!("UPDATE cache SET {change} WHERE key = 'k'"));
            assert_eq!(store.value("k"), "damaged", "{change}");
            store.put("k", b"value");
            assert_eq!(store.value("k"), "<value>");
        }
        assert_eq!(store.value("l"), describe(&large(1)));
    }

    #[test]
    fn between_rows_of_two_checkpoints_is_found() {
        // A whole row of another checkpoint, seal and all.
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let (one, other) = (store.begin("r1", "p", "i"), store.begin("r2", "p", "j"));
        store.record(&one, 0, "a", b"one");
        store.record(&other, 0, "b", b"other");
        store.change("UPDATE records SET checkpoint = 1 WHERE step = 'b'");
        assert_eq!(store.outputs(1), ["a <one>"]);
        store.change("UPDATE runs SET params = x'00', identity = 'j' WHERE id = 1");
        assert_eq!(store.latest("p", Some("j"), patient()).unwrap().unwrap().id, 2);
    }
}

#[test]
fn an_entry_that_expired_is_absent_even_if_its_value_is_damaged() {
    with_rows(|store, _| {
        store.change("UPDATE cache SET bytes = x'00'");
        assert_eq!(store.value_at("key", 99.0), "absent");
        assert_eq!(store.value_at("key", 98.0), "damaged");
    });
}

#[test]
fn a_damaged_run_stays_damaged_when_it_is_finished() {
    with_rows(|store, _| {
        let next = store.begin("run-2", "import", "identity");
        store.record(&next, 0, "a", b"output");
        store.change("UPDATE runs SET params = x'00' WHERE id = 2");
        store.finish(&next);
        assert_eq!(store.runs(Some("import"), 1, patient()).unwrap()[0].status, DAMAGED);
        assert_eq!(store.output(2, "a"), "<output>", "no other checkpoint was cleared, nor its own");
    });
}

mod a_damaged_counter {
    use super::*;

    #[test]
    fn of_runs_gives_no_number_twice() {
        with_rows(|store, run| {
            store.change("UPDATE sqlite_sequence SET seq = 0");
            let next = store.begin("run-2", "import", "identity");
            assert_eq!(next.id, run.id + 1);
            store.change("UPDATE sqlite_sequence SET seq = 9223372036854775807");
            let answer = store.store.begin(&start("run-3", "import", "other"), false, patient());
            assert_eq!(
                answer.unwrap_err().to_string().split(';').next().unwrap(),
                "is damaged (no number is left for a run)"
            );
        });
    }
}

mod a_damaged_key {
    use super::*;

    #[test]
    fn is_named_and_one_of_an_older_format_is_taken() {
        with_rows(|store, _| {
            assert_eq!(store.key(b"first", patient()).unwrap(), b"first");
            assert_eq!(store.key(b"second", patient()).unwrap(), b"first");
            store.change("UPDATE keys SET value = x'00'");
            let answer = store.key(b"third", patient()).unwrap_err().to_string();
            assert!(answer.starts_with("is damaged (its secret key has changed)"), "{answer}");
            store.change("UPDATE keys SET seal = NULL");
            assert_eq!(store.key(b"fourth", patient()).unwrap(), [0]);
        });
    }
}
