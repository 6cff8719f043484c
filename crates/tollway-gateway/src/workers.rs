//! The threads on which connections are served, one for each core. A connection stays on its thread
//! from its first byte to its last, and so do the connections to upstreams that its requests use:
//! nothing that a request waits for has to wake another core.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc;
use tracing::Dispatch;
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// Which worker this thread is, counted from one; nought is every thread that is none.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// How many workers there are.
fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Threads that serve connections, each with a runtime of its own. When this is dropped they end, and
/// with them whatever is still being served there.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    jobs: mpsc::UnboundedSender<Job>,
    /// How many connections it serves.
    load: Arc<AtomicUsize>,
}

/// One of something for each worker, and one for all other threads.
#[derive(Debug)]
pub(crate) struct PerWorker<T>(Box<[T]>);

impl Workers {
    /// Starts them. Where the system gives no threads, connections are served on the runtime that
    /// takes them.
    pub(crate) fn start() -> Self {
        let started = (1..=count()).map(Worker::start).collect::<io::Result<_>>();
        Self(started.unwrap_or_else(|error| {
            tracing::warn!(%error, "no threads to serve connections on");
            Vec::new()
        }))
    }

    /// Has a connection served by whoever serves the fewest.
    ///
    /// # Errors
    /// The connection cannot be handed over; it is closed.
    pub(crate) fn serve<F>(
        &self,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let load = |worker: &&Worker| worker.load.load(Ordering::Relaxed);
        let Some(worker) = self.0.iter().min_by_key(load) else {
            tokio::spawn(serve(stream));
            return Ok(());
        };
        let stream = stream.into_std()?;
        let share = Share::of(&worker.load);
        let job = async move {
            let _share = share;
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection cannot be served"),
            }
        };
        worker.jobs.send(Box::pin(job)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut taken) = mpsc::unbounded_channel::<Job>();
        let work = async move {
            while let Some(job) = taken.recv().await {
                tokio::spawn(job);
            }
        };
        // Whoever listens to what is logged where the gateway is opened, listens here as well.
        let listener = dispatcher::get_default(Dispatch::clone);
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            HERE.set(number);
            let _listening =
                (!listener.is::<NoSubscriber>()).then(|| dispatcher::set_default(&listener));
            runtime.block_on(work);
        })?;
        Ok(Self { jobs, load: Arc::default() })
    }
}

/// One connection of a worker's load.
struct Share(Arc<AtomicUsize>);

impl Share {
    fn of(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> PerWorker<T> {
    /// Makes one for each.
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self((0..=count()).map(|_| make()).collect())
    }

    /// This thread's own.
    pub(crate) fn here(&self) -> &T {
        // A machine may be given more cores while it runs.
        &self.0[HERE.get() % self.0.len()]
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loads = self.0.iter().map(|worker| worker.load.load(Ordering::Relaxed));
        f.debug_list().entries(loads).finish()
    }
}
