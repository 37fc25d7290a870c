/*!
Where the starts of each image come from: given, a pool, or its own search.

One pass over a pool serves all images; each draws, from its own random
stream, among those that the model takes for what it is to become. The other
sources use no image but its own. None of them can depend on how a batch is
split.
*/

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::query::{self, Pixel, Queries};
use super::{Classify, Task};
use crate::Result;
use crate::core::attack::{Source, Status};

/// Where starts come from.
#[derive(Debug)]
pub enum Starts {
    /// One point per image.
    Given(Tensor),
    /// A pool of images for all.
    Pool(Tensor),
    /// Signed gradients, then noise.
    Climb,
    /// The same, the first climb too from noise around the image.
    Scatter,
    /// Noise alone: no gradient is asked for.
    Noise,
    /// The attack needs none.
    Unneeded,
}

/// The random stream of the image at `index` of the data set.
#[must_use]
pub fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// A second stream of the image at `index`, for the attack itself: one that
/// is seeded from a number has no such key, so starts never share it.
#[must_use]
pub fn method_stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut key = *b"........ stream of the attack...";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// The predicted class of every image of the pool, if there is a pool; -1
/// where the logits are not finite.
pub fn classify_pool(
    queries: &mut Queries<'_, impl Classify>,
    task: &Task,
) -> Result<Option<Vec<i64>>> {
    let Starts::Pool(images) = &task.starts else {
        return Ok(None);
    };
    let mut classes = Vec::new();
    for batch in images.f_split(task.batch_size as i64, 0)? {
        classes.extend(queries.predictions(&batch)?);
    }
    Ok(Some(classes))
}

/// The source of the image at `position` of the task.
pub fn source<T: Pixel>(
    task: &Task,
    pool: Option<&[i64]>,
    position: usize,
    index: u64,
) -> Result<Source<T>> {
    Ok(match &task.starts {
        Starts::Given(points) => {
            Source::Points([query::row(points, position)?].into(), Status::BadStart)
        }
        Starts::Pool(images) => {
            let rows = drawn(task, pool.unwrap_or_default(), position, index);
            let points = rows.into_iter().map(|row| query::row(images, row));
            Source::Points(points.collect::<Result<_>>()?, Status::NoStart)
        }
        Starts::Climb => Source::Climb(task.n_starts),
        Starts::Scatter => Source::Scatter(task.n_starts),
        Starts::Noise => Source::Noise(task.n_starts),
        Starts::Unneeded => Source::Unneeded,
    })
}

/// Rows of the pool that the model takes for the target, or for another class
/// than the label.
fn drawn(task: &Task, pool: &[i64], position: usize, index: u64) -> Vec<usize> {
    let is_wanted = |class: i64| match &task.targets {
        Some(targets) => class == targets[position],
        None => class >= 0 && class != task.labels[position],
    };
    let wanted: Vec<usize> = (0..pool.len())
        .filter(|&row| is_wanted(pool[row]))
        .collect();
    let count = task.n_starts.min(wanted.len());
    let rows = sample(&mut stream(task.seed, index), wanted.len(), count);
    rows.into_iter().map(|row| wanted[row]).collect()
}
