/*!
The loop of every attack over any classifier.

[`Network`] and [`Classify`] are all that is asked of a model. Torch work stays on
the calling thread; what happens between two queries is pure host arithmetic
([`Search::answer`]) and runs in parallel over images. Gradients are taken for
the images alone, so no weight's `.grad` or flag is touched and no weight
gradient is computed.

A window of searches is under way at a time. Each round sends the model one
full batch of those that ask for the same thing; a search that has ended
leaves the window and the next image enters, so batches stay full to the last.
On a device that works asynchronously the host answers one batch while the
model works on the other.
*/

mod criterion;
mod nearest;
mod query;
mod sources;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use tch::{Device, Tensor};

pub use crate::core::attack::Ask;
use crate::core::attack::{self, Search, Settings, Start, Status, Walk};
use crate::core::norm::Norm;
use crate::core::parallel;
use crate::core::trust_region::Scratch;
use crate::{Error, Result};
pub use criterion::Criterion;
pub use nearest::nearest_classes;
use query::Answers;
pub use query::{Form, Pixel, Questions};
use sources::Pool;
pub use sources::Starts;

/// A network, on its own device.
pub trait Network {
    /// Logits (n, `n_classes`) of images (n, C, H, W), which are left as they
    /// are.
    fn logits(&self, images: &Tensor) -> Result<Tensor>;

    /// The gradient of the sum of `differences` in `images`, which they were
    /// computed from; `None` where they do not depend on them. It runs the
    /// backward pass of the user's model, so what that raises must come out.
    /// `keeps_graph`: another backward pass will follow.
    fn gradient(
        &self,
        differences: &Tensor,
        images: &Tensor,
        keeps_graph: bool,
    ) -> Result<Option<Tensor>>;

    /// The user's own criterion for `images` with these `logits`, the images
    /// at `positions` of the task: (n,), negative or true where adversarial.
    /// Only called where [`Criterion::Custom`] is asked for.
    fn judge(&self, images: &Tensor, logits: &Tensor, positions: &Tensor) -> Result<Tensor>;
}

/// Sends questions to a network, and brings the answers back.
pub trait Classify: Network {
    /// An answer that may still be under way on the device.
    type Pending;

    /// Starts an answer ([`Form::answer`]); `None` if the device has too little
    /// memory for so many images.
    fn start(&mut self, ask: Ask, questions: Questions) -> Result<Option<Self::Pending>>;

    /// Waits for the rows of an answer, which are then on the host.
    fn wait(&mut self, pending: Self::Pending) -> Result<Tensor>;

    /// Hears that `n` more of the planned answers were given or are not
    /// needed.
    fn progress(&mut self, n: usize) -> Result<()>;
}

/// What is attacked, and towards what.
#[derive(Debug)]
pub struct Task {
    /// Clean images (N, C, H, W) in [0, 1], on the host.
    pub images: Tensor,
    /// The true class of every image.
    pub labels: Vec<i64>,
    /// The class to reach; without it, any class but the label.
    pub targets: Option<Vec<i64>>,
    /// What counts as adversarial.
    pub criterion: Criterion,
    /// What is made small.
    pub norm: Norm,
    /// Where adversarial starts come from.
    pub starts: Starts,
    /// How many starts each image gets.
    pub n_starts: usize,
    /// How many of the other classes a survey looks at.
    pub n_surveyed: usize,
    /// Bisections between a start and its image.
    pub n_bisections: usize,
    /// Selects the random streams.
    pub seed: u64,
    /// The position of every image in the data set, for its random stream.
    pub indices: Vec<u64>,
    /// Images per query.
    pub batch_size: usize,
    /// Whether every image of a pool is sent alone, so that no kernel of the
    /// model can round differently for another batch.
    pub is_deterministic: bool,
    /// Whether the device answers later, so that the host can work meanwhile.
    pub is_queued: bool,
}

/// One entry per image.
#[derive(Debug)]
pub struct Findings {
    /// The nearest adversarial images found, on the host; the clean image without one.
    pub adversarial: Tensor,
    /// Their distance; infinite without one.
    pub distance: Vec<f64>,
    /// Whether `adversarial` is adversarial.
    pub success: Vec<bool>,
    /// Images sent to the model.
    pub n_queries: Vec<i64>,
    /// How many of those with a gradient.
    pub n_gradients: Vec<i64>,
    /// How the search ended.
    pub status: Vec<Status>,
    /// Each improvement, as the queries so far and the new distance.
    pub trajectory: Vec<Vec<(i64, f64)>>,
    /// The share of the probes' power in each frequency band; empty where it is not
    /// learned.
    pub probe_spectrum: Vec<Vec<f64>>,
}

/// A search and the position of its image in the task.
struct Entry<T: Pixel> {
    position: usize,
    search: Search<T>,
}

/// Attacks every image of the task by the method of the settings.
///
/// # Errors
/// What the model raises; [`crate::Error::Model`] if it returns something
/// other than logits; [`crate::Error::Value`] for a class it does not have;
/// [`crate::Error::Internal`] for settings that the method cannot use.
pub fn run<T: Pixel>(
    model: &mut impl Classify,
    task: &Task,
    form: &Form,
    settings: &Settings,
) -> Result<Findings> {
    let pool = sources::read_pool(model, task, form)?;
    let scratch = ScratchPool::default();
    let depth = usize::from(task.is_queued);
    let mut pipeline: VecDeque<(Vec<Entry<T>>, Ask, _)> = VecDeque::new();
    let mut window: Vec<Entry<T>> = Vec::new();
    let mut findings = Findings::new::<T>(&task.images)?;
    let mut upcoming = 0..task.labels.len();
    let shape = query::shape(&task.images)?;
    let mut size = task.batch_size;
    loop {
        while window.len() < 2 * size
            && let Some(position) = upcoming.next()
        {
            window.push(Entry::new(task, settings, pool.as_ref(), position, shape)?);
        }
        if !window.is_empty() {
            let (mut batch, ask) = take_batch(&mut window, size);
            let points = batch.iter().map(|entry| &entry.search.walk.point[..]);
            let positions: Vec<usize> = batch.iter().map(|entry| entry.position).collect();
            let questions = Questions::about(task, points, &positions)?;
            let Some(pending) = model.start(ask, questions)? else {
                if batch.len() == 1 {
                    return Err(Error::Memory("too little for one image".to_owned()));
                }
                size = batch.len().div_ceil(2);
                batch.append(&mut window);
                window = batch;
                continue;
            };
            pipeline.push_back((batch, ask, pending));
        }
        if pipeline.len() <= depth && !window.is_empty() {
            continue;
        }
        let Some((mut batch, ask, pending)) = pipeline.pop_front() else {
            break;
        };
        let rows = model.wait(pending)?;
        let answers = Answers::read(&rows, form, ask, shape.iter().product())?;
        let used = answer(&mut batch, &answers, &scratch)?;
        for entry in batch {
            if entry.search.ask() == Ask::Nothing {
                findings.probe_spectrum[entry.position] = entry.search.probe_spectrum();
                findings.record(entry.position, entry.search.walk)?;
            } else {
                window.push(entry);
            }
        }
        model.progress(used)?;
    }
    Ok(findings)
}

impl<T: Pixel> Entry<T> {
    /// The search for the image at `position` of the task.
    fn new(
        task: &Task,
        settings: &Settings,
        pool: Option<&Pool<T>>,
        position: usize,
        shape: [usize; 3],
    ) -> Result<Self> {
        let walk = Walk::new(query::row(&task.images, position)?, task.norm);
        let index = task.indices[position];
        let source = sources::source(task, pool, position, index)?;
        let start = Start::new(source, task.n_bisections, sources::stream(task.seed, index));
        let rng = sources::method_stream(task.seed, index);
        let method = attack::method(settings, position, shape, rng)?;
        let search = Search::new(walk, start, method);
        Ok(Self { position, search })
    }
}

/// Takes up to `size` searches out of the window, all asking for what most of
/// it asks for; the rest keep their order.
fn take_batch<T: Pixel>(window: &mut Vec<Entry<T>>, size: usize) -> (Vec<Entry<T>>, Ask) {
    let count = |ask| {
        window
            .iter()
            .filter(|entry| entry.search.ask() == ask)
            .count()
    };
    let most = [Ask::Value, Ask::Survey, Ask::Gradient]
        .into_iter()
        .max_by_key(|&ask| count(ask))
        .unwrap_or(Ask::Value);
    let mut room = size;
    let batch = window.extract_if(.., |entry| {
        let is_taken = room > 0 && entry.search.ask() == most;
        room -= usize::from(is_taken);
        is_taken
    });
    (batch.collect(), most)
}

/// Gives every search of a batch its answer, in parallel; returns how many
/// planned answers that used up.
fn answer<T: Pixel>(
    batch: &mut [Entry<T>],
    answers: &Answers<T>,
    scratch: &ScratchPool,
) -> Result<usize> {
    parallel::run(|stop| {
        let entries = batch.par_iter_mut().enumerate();
        entries
            .map(|(row, entry)| {
                stop.check()?;
                let answer = answers.row(row);
                Ok(scratch.with(|scratch| entry.search.answer(answer, scratch)))
            })
            .sum()
    })
}

impl Findings {
    /// Room for every image, on the host.
    fn new<T: Pixel>(images: &Tensor) -> Result<Self> {
        let count = images.size()[0] as usize;
        Ok(Self {
            adversarial: Tensor::f_empty(images.size(), (T::KIND, Device::Cpu))?,
            distance: vec![f64::INFINITY; count],
            success: vec![false; count],
            n_queries: vec![0; count],
            n_gradients: vec![0; count],
            status: vec![Status::Active; count],
            trajectory: vec![Vec::new(); count],
            probe_spectrum: vec![Vec::new(); count],
        })
    }

    /// Takes what the walk of the image at `position` found, and lets the rest
    /// of its memory go.
    fn record<T: Pixel>(&mut self, position: usize, walk: Walk<T>) -> Result<()> {
        let best = walk.best();
        if let Some(best) = best {
            self.distance[position] = walk.norm.size(best, &walk.origin);
        }
        self.success[position] = best.is_some();
        let pixels = Tensor::f_from_slice(best.unwrap_or(&walk.origin))?;
        let mut row = self.adversarial.f_select(0, position as i64)?;
        row.f_copy_(&pixels.f_view(row.size().as_slice())?)?;
        self.n_queries[position] = walk.n_queries;
        self.n_gradients[position] = walk.n_gradients;
        self.status[position] = walk.status;
        self.trajectory[position] = walk.trajectory;
        Ok(())
    }
}

/// As many scratches as there are threads at work.
#[derive(Default)]
struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let result = work(&mut scratch);
        lock().push(scratch);
        result
    }
}
