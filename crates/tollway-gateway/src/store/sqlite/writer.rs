//! A thread that talks to the file. It does everything that waits for it in one transaction, so
//! that a hundred requests share one wait for the disk, and tells each how it ended only when the
//! disk has it.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

/// The most jobs in one transaction: what comes later waits for the next one.
const MOST: usize = 256;

/// Hands work to the thread; it ends when nobody can hand it any more.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

/// The file did not take it. Everything in the same transaction failed with it.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Sqlite(Arc<rusqlite::Error>),
    #[error("its thread has ended")]
    Ended,
}

/// Work, and somebody who waits for what comes of it.
trait Job: Send {
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;
    fn tell(self: Box<Self>, committed: Result<(), WriteError>);
}

struct Task<W, T> {
    work: Option<W>,
    result: Option<T>,
    asker: oneshot::Sender<Result<T, WriteError>>,
}

impl<W, T> Job for Task<W, T>
where
    W: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.result = Some(work(transaction)?);
        }
        Ok(())
    }

    fn tell(self: Box<Self>, committed: Result<(), WriteError>) {
        let Self { result, asker, .. } = *self;
        // Whoever has stopped waiting does not want to know.
        asker.send(committed.and_then(|()| result.ok_or(WriteError::Ended))).ok();
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        database: Connection,
        behavior: TransactionBehavior,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let work = move || serve(database, behavior, &waiting);
        thread::Builder::new().name("tollway-sqlite".to_owned()).spawn(work)?;
        Ok(Self { jobs })
    }

    /// Does `work` in a transaction that others may share, and returns once it is on the disk. `work`
    /// must either change all that it wants to change or nothing.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, WriteError> {
        let (asker, answer) = oneshot::channel();
        let task = Task { work: Some(work), result: None, asker };
        self.jobs.send(Box::new(task)).map_err(|_| WriteError::Ended)?;
        answer.await.unwrap_or(Err(WriteError::Ended))
    }
}

fn serve(
    mut database: Connection,
    behavior: TransactionBehavior,
    waiting: &mpsc::Receiver<Box<dyn Job>>,
) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(MOST - 1));
        let committed = commit(&mut database, behavior, &mut batch)
            .map_err(|error| WriteError::Sqlite(Arc::new(error)));
        for job in batch {
            job.tell(committed.clone());
        }
    }
}

/// All of them or none: what one of them cannot do, the disk cannot do for the others either.
fn commit(
    database: &mut Connection,
    behavior: TransactionBehavior,
    batch: &mut [Box<dyn Job>],
) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(behavior)?;
    for job in batch {
        job.run(&transaction)?;
    }
    transaction.commit()
}
