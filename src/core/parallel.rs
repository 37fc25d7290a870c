/*!
One thread pool that survives `fork`, and parallel loops that can be interrupted.

A forked child inherits rayon's global pool without its threads, so its first
parallel loop would wait forever. `DataLoader` workers are forked. This module
therefore keeps its own pool with the id of the process that made it, and builds a
new pool if the id has changed. The old pool is leaked, because joining threads that
do not exist would also hang. The lock is held only to read or replace the handle,
never while a pool is built or used.

[`run`] does its work in the pool while the calling thread waits. Every [`PAUSE`],
the calling thread calls the function given to [`listen`], because Python delivers
signals only to the main thread. If that function returns an error, the flag of a
[`Stop`] is set. Every loop checks the flag between pieces of at most a tenth of a
second. A result does not depend on the flag: it is either complete or an error.
*/

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rayon::iter::ParallelIterator;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

/// Time between two calls of the listener by the calling thread.
const PAUSE: Duration = Duration::from_millis(50);

/// Values between two checks for interruption.
pub const PIECE: usize = 1 << 16;

/// Largest useful number of threads per processor.
const THREADS_PER_PROCESSOR: usize = 4;

/// The smallest and the largest limit of [`thread_limit`].
const LIMITS: (usize, usize) = (16, 1024);

/// A pool, and the id of the process that made it.
#[derive(Clone)]
struct Owned {
    process: u32,
    pool: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Owned>> = Mutex::new(None);
/// The thread count requested by [`set_num_threads`]; 0 means the default.
static REQUESTED: Mutex<usize> = Mutex::new(0);
/// The function that returns an error if the user has interrupted the program.
static LISTENER: OnceLock<fn() -> Result<()>> = OnceLock::new();

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The flag that interrupts all loops of one call.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// A flag that is already set.
    #[cfg(test)]
    #[must_use]
    pub fn raised() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Fails after an interruption; loops return this error.
    ///
    /// # Errors
    /// [`Error::Interrupted`], which [`run`] replaces by the listener's error.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// The items (such as rows or blocks), with a [`Stop::check`] before each.
    pub fn watch<I: IntoIterator>(&self, items: I) -> impl Iterator<Item = Result<I::Item>> {
        let items = items.into_iter();
        items.map(|item| self.check().map(|()| item))
    }

    /// Pieces of at most [`PIECE`] values, with a [`Stop::check`] before each.
    pub fn pieces<'v, T>(&self, values: &'v mut [T]) -> impl Iterator<Item = Result<&'v mut [T]>> {
        self.watch(values.chunks_mut(PIECE))
    }
}

/// Sets the listener, which [`run`] and [`poll`] call on their calling thread. Only the
/// first call has an effect.
pub fn listen(listener: fn() -> Result<()>) {
    _ = LISTENER.set(listener);
}

/// Calls the listener on this thread, at most once every [`PAUSE`]. For loops that run on
/// the calling thread.
///
/// # Errors
/// The error of the listener.
pub fn poll() -> Result<()> {
    let Some(ask) = LISTENER.get() else {
        return Ok(());
    };
    let now = Instant::now();
    let is_due = LAST
        .get()
        .is_none_or(|last| now.duration_since(last) >= PAUSE);
    if is_due {
        LAST.set(Some(now));
        ask()?;
    }
    Ok(())
}

/// Runs `work` inside the pool of this process, while this thread calls the listener.
///
/// Inside the pool, rayon's parallel iterators use the configured number of threads. Do
/// not call this function from inside the pool: functions there pass on their `Stop`.
///
/// # Errors
/// The errors of `work`, or of the listener.
pub fn run<T: Send>(work: impl FnOnce(&Stop) -> Result<T> + Send) -> Result<T> {
    let pool = current()?;
    let stop = Stop::default();
    let mut interruption = None;
    let mut outcome = Err(Error::Interrupted);
    let (sender, receiver) = sync_channel(1);
    pool.in_place_scope(|scope| {
        let stop = &stop;
        // The sender is dropped if `work` panics; the scope passes the panic on.
        scope.spawn(move |_| _ = sender.send(work(stop)));
        loop {
            match receiver.recv_timeout(PAUSE) {
                Ok(result) => outcome = result,
                Err(RecvTimeoutError::Timeout) => {
                    if interruption.is_none()
                        && let Some(ask) = LISTENER.get()
                        && let Err(error) = ask()
                    {
                        stop.0.store(true, Ordering::Relaxed);
                        interruption = Some(error);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => {}
            }
            break;
        }
    });
    interruption.map_or(outcome, Err)
}

/// Calls `work` for every item in parallel, and checks `stop` before each item. `make`
/// allocates the working memory, which the items of a thread reuse.
///
/// # Errors
/// The errors of `make` and `work`, and [`Error::Interrupted`].
pub fn each<I: ParallelIterator, S>(
    stop: &Stop,
    items: I,
    make: impl Fn() -> Result<S> + Send + Sync,
    work: impl Fn(&mut S, I::Item) -> Result<()> + Send + Sync,
) -> Result<()> {
    items.try_for_each_init(
        || None,
        |memory, item| {
            stop.check()?;
            match memory {
                Some(memory) => work(memory, item),
                None => work(memory.insert(make()?), item),
            }
        },
    )
}

/// Sets the number of threads of later parallel loops, and returns the number used:
/// `count`, but at most [`thread_limit`].
///
/// The default is `RAYON_NUM_THREADS` if it is set, otherwise the number of processors
/// that this process may use. The same limit holds for the default.
///
/// # Errors
/// [`Error::Value`] for 0; [`Error::Memory`] if threads cannot be started.
pub fn set_num_threads(count: usize) -> Result<usize> {
    if count == 0 {
        return Err(Error::value("n_threads: got 0, expected at least 1"));
    }
    let pool = build(count)?;
    *lock(&REQUESTED) = count;
    let used = pool.pool.current_num_threads();
    *lock(&POOL) = Some(pool);
    Ok(used)
}

/// The number of threads that parallel loops use now.
pub fn num_threads() -> Result<usize> {
    Ok(current()?.current_num_threads())
}

/// The largest number of threads: four per processor, but at least 16 and at most 1024.
#[must_use]
pub fn thread_limit() -> usize {
    (THREADS_PER_PROCESSOR * processors()).clamp(LIMITS.0, LIMITS.1)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `RAYON_NUM_THREADS`, or the number of processors.
fn default_count() -> usize {
    std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|&count| count > 0)
        .unwrap_or_else(processors)
}

fn current() -> Result<Arc<ThreadPool>> {
    let held = lock(&POOL).clone();
    if let Some(held) = held {
        if held.process == std::process::id() {
            return Ok(held.pool);
        }
        std::mem::forget(held);
    }
    let requested = *lock(&REQUESTED);
    let fresh = build(requested)?;
    let pool = Arc::clone(&fresh.pool);
    let stale = lock(&POOL).replace(fresh);
    if let Some(stale) = stale.filter(|stale| stale.process != std::process::id()) {
        std::mem::forget(stale);
    }
    Ok(pool)
}

/// Builds a pool of `count` threads, at most the limit; 0 means the default count.
fn build(count: usize) -> Result<Owned> {
    let count = if count == 0 { default_count() } else { count };
    let count = count.min(thread_limit());
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|index| format!("neurofreq-{index}"))
        .build()
        .map_err(|error| Error::Memory(format!("cannot start {count} threads: {error}")))?;
    Ok(Owned {
        process: std::process::id(),
        pool: Arc::new(pool),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn the_thread_count_is_settable_used_and_limited() {
        assert_eq!(set_num_threads(3).unwrap(), 3);
        assert_eq!(num_threads().unwrap(), 3);
        assert_eq!(run(|_| Ok(rayon::current_num_threads())).unwrap(), 3);
        let sum: u64 = run(|_| Ok((0..1000_u64).into_par_iter().sum())).unwrap();
        assert_eq!(sum, 499_500);
        assert_eq!(set_num_threads(1_000_000).unwrap(), thread_limit());
        assert!(thread_limit() <= 1024);
    }

    #[test]
    fn zero_threads_are_refused() {
        let message = set_num_threads(0).unwrap_err().to_string();
        assert!(message.contains("expected at least 1"), "{message}");
    }

    #[test]
    fn a_panic_of_the_work_reaches_the_caller() {
        let caught = std::panic::catch_unwind(|| run::<()>(|_| panic!("on purpose")));
        assert!(caught.is_err());
        assert_eq!(run(|_| Ok(1)).unwrap(), 1);
    }

    #[test]
    fn a_raised_flag_ends_every_loop() {
        let stop = Stop::raised();
        let work = |(): &mut (), _| -> Result<()> { panic!("not reached") };
        let ended = each(&stop, (0..10).into_par_iter(), || Ok(()), work);
        assert!(matches!(ended, Err(Error::Interrupted)));
        let mut values = [0; 3];
        let first = stop.pieces(&mut values).next().unwrap();
        assert!(matches!(first, Err(Error::Interrupted)));
    }

    #[test]
    fn pieces_are_all_values_in_order() {
        let mut values: Vec<usize> = (0..2 * PIECE + 3).collect();
        let expected = values.clone();
        let stop = Stop::default();
        let pieces: Vec<_> = stop.pieces(&mut values).collect::<Result<_>>().unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), expected);
    }
}
