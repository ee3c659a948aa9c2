//! What the writer does when the engine fails it.

use super::*;
use crate::sqlite::Sqlite;
use crate::{BATCH, Synchronous};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use swingbridge_domain::store::Tables;

/// What the engine is to fail at next.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Begin,
    Savepoint,
    Commit,
    /// The transaction ends with a statement, as SQLite may end it when the disk is full.
    Statement,
}

/// SQLite, with faults on demand.
struct Faulty {
    engine: Sqlite,
    next: Arc<Mutex<Fault>>,
}

impl Faulty {
    fn meet(&mut self, fault: Fault) -> Result<()> {
        let mut next = self.next.lock().unwrap();
        if *next != fault {
            return Ok(());
        }
        *next = Fault::None;
        if fault == Fault::Statement {
            self.engine.rollback();
        }
        Err(StoreError::Unavailable("on purpose".into()))
    }
}

impl Statements for Faulty {
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        self.meet(Fault::Statement)?;
        self.engine.execute(sql, values)
    }

    fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64> {
        self.engine.insert(sql, values)
    }

    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        self.engine.query(sql, values, each)
    }
}

impl Database for Faulty {
    fn script(&mut self, sql: &str) -> Result<()> {
        self.engine.script(sql)
    }

    fn begin(&mut self) -> Result<()> {
        self.meet(Fault::Begin)?;
        self.engine.begin()
    }

    fn savepoint(&mut self) -> Result<()> {
        self.meet(Fault::Savepoint)?;
        self.engine.savepoint()
    }

    fn release(&mut self) -> Result<()> {
        self.engine.release()
    }

    fn undo(&mut self) -> Result<()> {
        self.engine.undo()
    }

    fn commit(&mut self) -> Result<()> {
        self.meet(Fault::Commit)?;
        self.engine.commit()
    }

    fn rollback(&mut self) {
        self.engine.rollback();
    }

    fn in_transaction(&self) -> bool {
        self.engine.in_transaction()
    }

    fn tidy(&mut self) {
        self.engine.tidy();
    }
}

struct Setting {
    name: &'static str,
    fails: bool,
    told: Sender<Result<()>>,
}

impl Job for Setting {
    fn work(&mut self, tables: &mut dyn Tables) -> Result<()> {
        tables.setting_set(self.name, "1")?;
        match self.fails {
            true => Err(StoreError::Failed("by itself".into())),
            false => Ok(()),
        }
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let _ = self.told.send(committed);
    }
}

/// Keeps the thread busy while others queue, and arranges the fault that they meet.
struct Blocking {
    began: Sender<()>,
    go_on: Receiver<()>,
    fault: Fault,
    next: Arc<Mutex<Fault>>,
}

impl Job for Blocking {
    fn work(&mut self, _: &mut dyn Tables) -> Result<()> {
        let _ = self.began.send(());
        let _ = self.go_on.recv();
        Ok(())
    }

    fn finish(self: Box<Self>, _: Result<()>) {
        *self.next.lock().unwrap() = self.fault;
    }
}

/// Submits jobs that share a batch and meet a fault, the second of which fails by itself; answers what they were told.
fn batch(writer: &Writer, next: &Arc<Mutex<Fault>>, fault: Fault) -> Vec<Result<()>> {
    let (began, begun) = channel();
    let (go, go_on) = channel();
    writer.submit(Box::new(Blocking {
        began,
        go_on,
        fault,
        next: Arc::clone(next),
    }));
    begun.recv().unwrap();
    let answers: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|name| {
            let (told, answer) = channel();
            let fails = name == "two";
            writer.submit(Box::new(Setting { name, fails, told }));
            answer
        })
        .collect();
    go.send(()).unwrap();
    answers.iter().map(|answer| answer.recv().unwrap()).collect()
}

#[test]
fn a_fault_of_the_engine_loses_the_whole_batch_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let next = Arc::new(Mutex::new(Fault::None));
    let faults = Arc::clone(&next);
    let writer = Writer::start(BATCH, move |_| {
        Ok(Faulty {
            engine: Sqlite::open(&path, Synchronous::Normal)?,
            next: faults,
        })
    })
    .unwrap();
    let own = || Err(StoreError::Failed("by itself".into()));
    let lost = || Err(StoreError::Unavailable("on purpose".into()));
    for fault in [Fault::Begin, Fault::Savepoint, Fault::Statement] {
        assert_eq!(batch(&writer, &next, fault), [lost(), lost(), lost()]);
        assert_eq!(batch(&writer, &next, Fault::None), [Ok(()), own(), Ok(())]);
    }
    assert_eq!(batch(&writer, &next, Fault::Commit), [lost(), own(), lost()]);
    assert_eq!(batch(&writer, &next, Fault::None), [Ok(()), own(), Ok(())]);
}

/// Notes what is measured.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<(String, f64)>>>);

struct One(Noted, String);

impl HistogramFn for One {
    fn record(&self, value: f64) {
        self.0.0.lock().unwrap().push((self.1.clone(), value));
    }
}

impl CounterFn for One {
    fn increment(&self, by: u64) {
        self.record(by as f64);
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Noted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(One(self.clone(), key.name().to_owned())))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(One(self.clone(), key.name().to_owned())))
    }
}

#[test]
fn batches_and_their_failures_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let next = Arc::new(Mutex::new(Fault::None));
    let mut db = Faulty {
        engine: Sqlite::open(&folder.path().join("db"), Synchronous::Normal).unwrap(),
        next: Arc::clone(&next),
    };
    let jobs = |count: usize| {
        let job = || -> Box<dyn Job> {
            let (name, fails, told) = ("name", false, channel().0);
            Box::new(Setting { name, fails, told })
        };
        (0..count).map(|_| job()).collect()
    };
    let noted = Noted::default();
    metrics::with_local_recorder(&noted, || {
        run(&mut db, jobs(3));
        *next.lock().unwrap() = Fault::Commit;
        run(&mut db, jobs(2));
    });
    let noted = noted.0.lock().unwrap();
    let of = |name: &str| -> Vec<f64> {
        noted
            .iter()
            .filter(|(noted, _)| noted == name)
            .map(|(_, value)| *value)
            .collect()
    };
    assert_eq!(of("swingbridge_store_batch_jobs"), [3.0, 2.0]);
    assert_eq!(of("swingbridge_store_failed_batches_total"), [1.0]);
    let seconds = of("swingbridge_store_commit_seconds");
    assert!(
        seconds.len() == 2 && seconds.iter().all(|seconds| *seconds > 0.0),
        "{seconds:?}"
    );
}
