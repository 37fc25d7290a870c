/*!
Where the starts of each image come from: given, a pool, or its own search.

One pass over a pool serves all images; each draws, from its own random
stream, among those that the model takes for what it is to become, until one
is adversarial. The other sources use no image but its own. None of them can
depend on how a batch is split.
*/

use std::collections::VecDeque;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::query::{self, Form, Pixel};
use super::{Criterion, Network, Task};
use crate::Result;
use crate::core::attack::{Points, Source, Status};

/// Where starts come from.
#[derive(Debug)]
pub enum Starts {
    /// One point per image.
    Given(Tensor),
    /// A pool of images for all.
    Pool(Tensor),
    /// The nearest boundaries to other classes, then as `Climb`.
    Survey,
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

/// A pool on the host, and what the model takes its images for.
pub struct Pool<T> {
    pixels: Arc<Vec<T>>,
    /// -1 where the model returns NaN; unknown where the criterion is the
    /// user's own, to whom classes may mean nothing.
    classes: Vec<Option<i64>>,
}

/// The pool of the task, if there is one.
pub fn read_pool<T: Pixel>(
    network: &impl Network,
    task: &Task,
    form: &Form,
) -> Result<Option<Pool<T>>> {
    let Starts::Pool(images) = &task.starts else {
        return Ok(None);
    };
    let mut classes = Vec::new();
    if task.criterion == Criterion::Custom {
        classes.resize(images.size()[0] as usize, None);
    } else {
        let size = if task.is_deterministic {
            1
        } else {
            task.batch_size
        };
        for batch in images.f_split(size as i64, 0)? {
            classes.extend(form.predictions(network, &batch)?.into_iter().map(Some));
        }
    }
    let pixels = Arc::new(query::host(images, T::KIND)?);
    Ok(Some(Pool { pixels, classes }))
}

/// The source of the image at `position` of the task.
pub fn source<T: Pixel>(
    task: &Task,
    pool: Option<&Pool<T>>,
    position: usize,
    index: u64,
) -> Result<Source<T>> {
    Ok(match &task.starts {
        Starts::Given(points) => Source::Points(Points {
            pixels: Arc::new(query::row(points, position)?),
            rows: [0].into(),
            wanted: 1,
            failure: Status::BadStart,
        }),
        Starts::Pool(_) => Source::Points(Points {
            pixels: pool.map(|pool| pool.pixels.clone()).unwrap_or_default(),
            rows: pool.map_or_else(VecDeque::new, |pool| {
                drawn(task, &pool.classes, position, index)
            }),
            wanted: task.n_starts,
            failure: Status::NoStart,
        }),
        Starts::Survey => Source::Survey(task.n_starts),
        Starts::Climb => Source::Climb(task.n_starts),
        Starts::Scatter => Source::Scatter(task.n_starts),
        Starts::Noise => Source::Noise(task.n_starts),
        Starts::Unneeded => Source::Unneeded,
    })
}

/// Rows of the pool that the model takes for the target, or for another class
/// than the label, in an order of the image's own.
fn drawn(task: &Task, classes: &[Option<i64>], position: usize, index: u64) -> VecDeque<usize> {
    let is_wanted = |class: Option<i64>| match (class, &task.targets) {
        (None, _) => true,
        (Some(class), Some(targets)) => class == targets[position],
        (Some(class), None) => class >= 0 && class != task.labels[position],
    };
    let wanted: Vec<usize> = (0..classes.len())
        .filter(|&row| is_wanted(classes[row]))
        .collect();
    let mut rng = stream(task.seed, index);
    let count = task.n_starts.min(wanted.len());
    let first = sample(&mut rng, wanted.len(), count).into_vec();
    // For where not all of those are adversarial.
    let mut rest: Vec<usize> = (0..wanted.len()).filter(|at| !first.contains(at)).collect();
    rest.shuffle(&mut rng);
    first.into_iter().chain(rest).map(|at| wanted[at]).collect()
}
