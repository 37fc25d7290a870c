/*!
Adversarial starting points.

Three sources. *Given*: one point per image, checked. *Pool*: images of any
class; one pass over the pool serves all walks, and each draws, from its own
random stream, one that the model takes for what it is to become. *Search*,
the default: from the clean image along the signed gradient of the logit
difference, within a maximum norm that grows from 0.003 to 0.5; an image that
resists tries a few images of uniform noise from its own stream. The search
uses no other image, so it cannot depend on how a batch is split.
*/

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::attack::{Classify, Task, active};
use super::query::{Pixel, Queries};
use crate::Result;
use crate::core::controller::{Status, Walk};

/// Signed-gradient steps whose budget grows by the square root of 2.
const N_GROWING: i32 = 16;
/// Further steps at the full budget.
const N_FULL: i32 = 8;
/// The full budget: half the range of pixels.
const BUDGET: f64 = 0.5;
/// Noise images tried where the gradient led nowhere.
const N_NOISE: u128 = 10;

/// Where starts come from.
#[derive(Debug)]
pub enum Starts {
    /// One point per image.
    Given(Tensor),
    /// A pool of images for all.
    Pool(Tensor),
    /// Signed gradients, then noise.
    Search,
}

/// The predicted class of every image of the pool, if there is a pool.
pub fn classify_pool(
    queries: &mut Queries<'_, impl Classify>,
    starts: &Starts,
    batch_size: usize,
) -> Result<Option<Vec<i64>>> {
    let Starts::Pool(images) = starts else {
        return Ok(None);
    };
    let mut classes = Vec::new();
    for batch in images.f_split(batch_size as i64, 0)? {
        classes.extend(queries.predictions(&batch)?);
    }
    Ok(Some(classes))
}

/// Places every active walk of a batch at an adversarial start, or ends it.
pub fn place<T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    batch: &mut [Walk<T>],
    task: &Task,
    pool: Option<&[i64]>,
) -> Result<()> {
    let failure = match &task.starts {
        Starts::Given(points) => {
            for walk in active(batch) {
                let position = walk.index.wrapping_sub(task.first_index);
                take(queries, walk, points, position as i64)?;
            }
            Status::BadStart
        }
        Starts::Pool(images) => {
            for walk in active(batch) {
                draw(queries, walk, images, (task, pool.unwrap_or_default()))?;
            }
            Status::NoStart
        }
        Starts::Search => return search(queries, active(batch), task.seed),
    };
    for walk in settle(queries, active(batch))? {
        walk.status = failure;
    }
    Ok(())
}

/// Asks about the walks' points, places those that are adversarial, and
/// returns the others.
fn settle<'a, T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    mut walks: Vec<&'a mut Walk<T>>,
) -> Result<Vec<&'a mut Walk<T>>> {
    let mut answers = queries.differences(&mut walks)?.into_iter();
    walks.retain_mut(|walk| {
        let is_adversarial = answers.next().is_some_and(|difference| difference < 0.0);
        if is_adversarial {
            walk.place();
        }
        !is_adversarial
    });
    Ok(walks)
}

/// Moves a walk to row `row` of `images`.
fn take<T: Pixel>(
    queries: &Queries<'_, impl Classify>,
    walk: &mut Walk<T>,
    images: &Tensor,
    row: i64,
) -> Result<()> {
    for pixels in queries.pixels(&images.f_narrow(0, row, 1)?)? {
        walk.point = pixels;
    }
    Ok(())
}

/// Moves a walk to an image of the pool that the model takes for the target,
/// or for another class than the label; leaves it where there is none.
fn draw<T: Pixel>(
    queries: &Queries<'_, impl Classify>,
    walk: &mut Walk<T>,
    images: &Tensor,
    (task, pool): (&Task, &[i64]),
) -> Result<()> {
    let is_wanted = |&&(_, &class): &&(usize, &i64)| match task.targets {
        Some(_) => class == walk.class,
        None => class >= 0 && class != walk.class,
    };
    let classes: Vec<(usize, &i64)> = pool.iter().enumerate().collect();
    let wanted: Vec<usize> = classes
        .iter()
        .filter(is_wanted)
        .map(|&(row, _)| row)
        .collect();
    if wanted.is_empty() {
        walk.status = Status::NoStart;
        return Ok(());
    }
    let row = wanted[stream(task.seed, walk.index).random_range(0..wanted.len())];
    take(queries, walk, images, row as i64)
}

fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// Climbs out of the class along signed gradients, then tries noise.
fn search<T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    mut walks: Vec<&mut Walk<T>>,
    seed: u64,
) -> Result<()> {
    for round in 0..N_GROWING + N_FULL {
        let budget = BUDGET * 0.5_f64.powf(f64::from((N_GROWING - 1 - round).max(0)) / 2.0);
        let (differences, gradients) = queries.gradients(&mut walks)?;
        let mut answers = differences.into_iter().zip(gradients);
        walks.retain_mut(|walk| match answers.next() {
            Some((difference, _)) if difference < 0.0 => {
                walk.place();
                false
            }
            Some((_, gradient)) => {
                climb(walk, &gradient, budget);
                true
            }
            None => true,
        });
    }
    for attempt in 0..N_NOISE {
        walks = settle(queries, walks)?;
        for walk in &mut walks {
            let mut rng = stream(seed, walk.index);
            rng.set_word_pos(attempt << 40);
            walk.point.fill_with(|| T::from_f64(rng.random()));
        }
    }
    for walk in settle(queries, walks)? {
        walk.status = Status::NoStart;
    }
    Ok(())
}

/// One signed-gradient step of half the budget, within the budget and [0, 1].
fn climb<T: Pixel>(walk: &mut Walk<T>, gradient: &[T], budget: f64) {
    for ((point, &origin), &slope) in walk.point.iter_mut().zip(&walk.origin).zip(gradient) {
        let (slope, origin): (f64, f64) = (slope.into(), origin.into());
        let sign = if slope == 0.0 || slope.is_nan() {
            0.0
        } else {
            slope.signum()
        };
        let moved = (*point).into() - 0.5 * budget * sign - origin;
        let kept = origin + moved.clamp(-budget, budget);
        *point = T::from_f64(kept.clamp(0.0, 1.0));
    }
}
