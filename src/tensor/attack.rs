/*!
The Brendel & Bethge attack over any classifier.

[`Classify`] is all that is asked of a model: logits of a batch. Torch work
stays on the calling thread; the steps between two queries are pure host
arithmetic ([`Walk::advance`]) and run in parallel over images. Gradients are
taken for the images alone, so no weight's `.grad` or flag is touched and no
weight gradient is computed.

Images that are finished, or that failed, are no longer sent to the model.
Every image has its own rules, random stream and start, so a result depends
neither on the split into batches nor on the number of threads, as far as the
model's own answers do not.
*/

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use tch::Tensor;

use super::query::{Pixel, Queries};
use super::start::{self, Starts};
use crate::Result;
use crate::core::controller::{Rules, Status, Walk};
use crate::core::parallel;
use crate::core::trust_region::Scratch;

/// A classifier that is asked about batches of images.
pub trait Classify {
    /// Logits (n, `n_classes`) of images (n, C, H, W).
    fn logits(&mut self, images: &Tensor) -> Result<Tensor>;

    /// Hears that `n` more of the expected steps are done.
    fn progress(&mut self, n: usize) -> Result<()>;
}

/// What is attacked, and towards what.
#[derive(Debug)]
pub struct Task {
    /// Clean images (N, C, H, W) in [0, 1], where the model expects them.
    pub images: Tensor,
    /// The true class of every image.
    pub labels: Vec<i64>,
    /// The class to reach; without it, any class but the label.
    pub targets: Option<Vec<i64>>,
    /// Where adversarial starts come from.
    pub starts: Starts,
    /// Selects the random streams.
    pub seed: u64,
    /// The first image's position in the data set, for its random stream.
    pub first_index: u64,
    /// Images per query.
    pub batch_size: usize,
}

/// One entry per image.
#[derive(Debug)]
pub struct Findings {
    /// The nearest adversarial images found; the clean image without one.
    pub adversarial: Tensor,
    /// Their distance in the maximum norm; infinite without one.
    pub distance: Tensor,
    /// Whether `adversarial` is adversarial.
    pub success: Vec<bool>,
    /// Images sent to the model.
    pub n_queries: Vec<i64>,
    /// How the search ended.
    pub status: Vec<Status>,
}

/// Attacks every image of the task, batch by batch.
///
/// # Errors
/// What the model raises; [`crate::Error::Model`] if it returns something
/// other than logits; [`crate::Error::Value`] for a class it does not have.
pub fn brendel_bethge<T: Pixel>(
    model: &mut impl Classify,
    task: &Task,
    rules: &Rules,
) -> Result<Findings> {
    let mut queries = Queries::new(model, task);
    let pool = start::classify_pool(&mut queries, &task.starts, task.batch_size)?;
    let classes = task.targets.as_ref().unwrap_or(&task.labels);
    let mut walks: Vec<Walk<T>> = Vec::with_capacity(classes.len());
    let pixels = queries.pixels(&task.images)?;
    for (position, (origin, &class)) in pixels.into_iter().zip(classes).enumerate() {
        let index = task.first_index.wrapping_add(position as u64);
        walks.push(Walk::new(origin, class, index));
    }
    for batch in walks.chunks_mut(task.batch_size) {
        inspect(&mut queries, batch)?;
        start::place(&mut queries, batch, task, pool.as_deref())?;
        bisect(&mut queries, batch, rules)?;
        follow(&mut queries, batch, rules)?;
        confirm(&mut queries, batch)?;
    }
    findings(&task.images, walks)
}

/// Sends the clean images: some need no search.
fn inspect<T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    batch: &mut [Walk<T>],
) -> Result<()> {
    let mut walks: Vec<_> = batch.iter_mut().collect();
    let differences = queries.differences(&mut walks)?;
    for (walk, difference) in walks.into_iter().zip(differences) {
        walk.inspect(difference);
    }
    Ok(())
}

/// Pulls the starts to the boundary.
fn bisect<T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    batch: &mut [Walk<T>],
    rules: &Rules,
) -> Result<()> {
    let mut walks = active(batch);
    for _ in 0..rules.binary_search_steps {
        let differences = queries.differences(&mut walks)?;
        for (walk, difference) in walks.iter_mut().zip(differences) {
            walk.bisect(difference);
        }
    }
    walks.into_iter().for_each(Walk::settle);
    Ok(())
}

/// Follows the boundary for the given number of steps.
fn follow<T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    batch: &mut [Walk<T>],
    rules: &Rules,
) -> Result<()> {
    let scratch = ScratchPool::default();
    for step in 0..rules.steps {
        let mut walks = active(batch);
        if !walks.is_empty() {
            let (differences, gradients) = queries.gradients(&mut walks)?;
            let answers = differences.par_iter().zip(&gradients);
            parallel::install(|| {
                walks
                    .par_iter_mut()
                    .zip(answers)
                    .for_each(|(walk, (&difference, gradient))| {
                        scratch.with(|scratch| {
                            walk.advance(difference, gradient, (rules, step), scratch);
                        });
                    });
            })?;
        }
        queries.model.progress(1)?;
    }
    for walk in active(batch) {
        walk.status = Status::Completed;
    }
    Ok(())
}

/// Asks once more about every point that is to be returned.
fn confirm<T: Pixel>(
    queries: &mut Queries<'_, impl Classify>,
    batch: &mut [Walk<T>],
) -> Result<()> {
    let mut walks: Vec<_> = batch
        .iter_mut()
        .filter(|walk| walk.best().is_some() && walk.status != Status::AlreadyAdversarial)
        .collect();
    for walk in &mut walks {
        walk.settle();
    }
    for attempt in 0.. {
        if walks.is_empty() {
            break;
        }
        let mut answers = queries.differences(&mut walks)?.into_iter();
        walks.retain_mut(|walk| !walk.confirm(answers.next().unwrap_or(f64::NAN), attempt));
    }
    Ok(())
}

/// The walks that go on.
pub fn active<T: Pixel>(batch: &mut [Walk<T>]) -> Vec<&mut Walk<T>> {
    batch.iter_mut().filter(|walk| walk.is_active()).collect()
}

fn findings<T: Pixel>(images: &Tensor, walks: Vec<Walk<T>>) -> Result<Findings> {
    let success: Vec<bool> = walks.iter().map(|walk| walk.best().is_some()).collect();
    let pixels: Vec<T> = walks
        .iter()
        .flat_map(|walk| walk.best().unwrap_or(&walk.origin))
        .copied()
        .collect();
    let adversarial = Tensor::f_from_slice(&pixels)?
        .f_view(images.size().as_slice())?
        .f_to_device(images.device())?;
    let size = adversarial
        .f_sub(images)?
        .f_abs()?
        .f_amax([1, 2, 3], false)?;
    let found = Tensor::f_from_slice(&success)?.f_to_device(images.device())?;
    let nowhere = size.f_full_like(f64::INFINITY)?;
    Ok(Findings {
        distance: size.f_where_self(&found, &nowhere)?,
        adversarial,
        success,
        n_queries: walks.iter().map(|walk| walk.n_queries).collect(),
        status: walks.iter().map(|walk| walk.status).collect(),
    })
}

/// As many scratches as there are threads at work.
#[derive(Default)]
struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    fn with(&self, work: impl FnOnce(&mut Scratch)) {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        work(&mut scratch);
        lock().push(scratch);
    }
}
