/*!
One thread pool that survives `fork`.

Rayon's global pool is inherited by a forked child without its threads, and
the first parallel loop in that child waits for ever. `DataLoader` workers
fork, so this module keeps its own pool together with the process id that
made it, and builds a new one when the id has changed. The stale pool is
leaked: joining threads that do not exist would hang as well.

The lock is held only to read or replace the handle, never while a pool is
built or used.
*/

use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

/// A pool, the process that made it, and the thread count it was made for.
#[derive(Clone)]
struct Owned {
    process: u32,
    pool: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Owned>> = Mutex::new(None);
/// The count asked for by [`set_num_threads`]; 0 means the default.
static REQUESTED: Mutex<usize> = Mutex::new(0);

/// Runs `work` inside the pool of this process, where rayon's parallel
/// iterators use the configured number of threads.
pub fn install<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    Ok(current()?.install(work))
}

/// Sets the number of threads of later parallel loops.
///
/// The default is `RAYON_NUM_THREADS` where set, otherwise the number of
/// processors this process may use.
pub fn set_num_threads(count: usize) -> Result<()> {
    if count == 0 {
        return Err(Error::value("n_threads: got 0, expected at least 1"));
    }
    *lock(&REQUESTED) = count;
    let pool = build(count)?;
    *lock(&POOL) = Some(pool);
    Ok(())
}

/// The number of threads a parallel loop uses now.
pub fn num_threads() -> Result<usize> {
    Ok(current()?.current_num_threads())
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

/// A pool of `count` threads; 0 lets rayon choose as documented above.
fn build(count: usize) -> Result<Owned> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|index| format!("neurofreq-{index}"))
        .build()
        .map_err(|error| Error::Internal(format!("thread pool: {error}")))?;
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
    fn the_thread_count_is_settable_and_used() {
        set_num_threads(3).unwrap();
        assert_eq!(num_threads().unwrap(), 3);
        let inside = install(rayon::current_num_threads).unwrap();
        assert_eq!(inside, 3);
        let sum: u64 = install(|| (0..1000_u64).into_par_iter().sum()).unwrap();
        assert_eq!(sum, 499_500);
    }

    #[test]
    fn zero_threads_are_refused() {
        let message = set_num_threads(0).unwrap_err().to_string();
        assert!(message.contains("expected at least 1"), "{message}");
    }
}
