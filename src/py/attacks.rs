/*!
Attacks.

[`Callables`] lets the loops of [`attack::run`] ask a Python model. The
interpreter is held only while the model runs; Ctrl-C is looked for before
every call, so an attack stops within one.
*/

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tch::{Kind, Tensor};

use super::arrays::Input1;
use super::convert::{self, PyTensor};
use super::enter;
use super::exceptions::{raised, to_python};
use crate::core::attack::brendel_bethge::{BrendelBethge, Overshoot, Radius, Rules};
use crate::core::attack::estimate::{self, Estimate};
use crate::core::attack::pgd::{Pgd, Rules as PgdRules, StepRule};
use crate::core::attack::random_walk::{self, RandomWalk};
use crate::core::attack::{Method, Status};
use crate::core::norm::Norm;
use crate::core::pairing;
use crate::core::real::Real;
use crate::tensor::attack::{self, Classify, Criterion, Starts, Task};
use crate::{Error, Result};

/// Target labels, none equal to the truth.
#[pyfunction]
pub fn shuffled_targets<'py>(
    py: Python<'py>,
    labels: Input1<'py, i64>,
    seed: u64,
    by_class: bool,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let labels = labels.as_array().to_vec();
    let targets = enter(py, || {
        if by_class {
            pairing::shuffled_classes(&labels, seed)
        } else {
            pairing::shuffled_targets(&labels, seed)
        }
    })?;
    Ok(PyArray1::from_vec(py, targets))
}

/// A Python model, the user's criterion, and what hears of progress.
#[derive(FromPyObject)]
pub struct Callables {
    model: Py<PyAny>,
    criterion: Option<Py<PyAny>>,
    advance: Py<PyAny>,
}

impl Callables {
    /// Calls one of them with tensors, for a tensor.
    fn call<const N: usize>(
        callable: &Py<PyAny>,
        name: &str,
        arguments: [&Tensor; N],
    ) -> Result<Tensor> {
        Python::attach(|py| {
            py.check_signals().map_err(raised)?;
            let arguments = arguments.map(|tensor| PyTensor(tensor.shallow_clone()));
            let arguments = PyTuple::new(py, arguments).map_err(raised)?;
            let result = callable.bind(py).call1(arguments).map_err(raised)?;
            result
                .extract()
                .map(|PyTensor(tensor)| tensor)
                .map_err(|error: PyErr| Error::Model(format!("{name}: {}", error.value(py))))
        })
    }
}

impl Classify for Callables {
    fn logits(&mut self, images: &Tensor) -> Result<Tensor> {
        Self::call(&self.model, "model", [images])
    }

    /// Python's own backward pass: in libtorch's an exception of the model would
    /// lose its type. Torch releases the interpreter while it runs.
    fn gradient(&mut self, differences: &Tensor, images: &Tensor) -> Result<Option<Tensor>> {
        let ones = differences.f_ones_like()?;
        let [differences, ones, images] =
            [differences, &ones, images].map(|tensor| PyTensor(tensor.shallow_clone()));
        let found: PyResult<Option<PyTensor>> = Python::attach(|py| {
            py.check_signals()?;
            let options = PyDict::new(py);
            options.set_item("grad_outputs", ones)?;
            options.set_item("allow_unused", true)?;
            let grad = py.import("torch.autograd")?.getattr("grad")?;
            let gradients = grad.call((differences, images), Some(&options))?;
            gradients.get_item(0)?.extract()
        });
        Ok(found.map_err(raised)?.map(|gradient| gradient.0))
    }

    fn judge(&mut self, images: &Tensor, logits: &Tensor, positions: &Tensor) -> Result<Tensor> {
        match &self.criterion {
            Some(criterion) => Self::call(criterion, "criterion", [images, logits, positions]),
            None => Err(Error::Internal(
                "a criterion is asked that is not there".to_owned(),
            )),
        }
    }

    fn progress(&mut self, n: usize) -> Result<()> {
        Python::attach(|py| self.advance.call1(py, (n,)).map(drop)).map_err(raised)
    }
}

/// The attributes of `attacks._call.Task`.
#[derive(FromPyObject)]
pub struct Call {
    images: Py<PyAny>,
    labels: Vec<i64>,
    targets: Option<Vec<i64>>,
    is_custom: bool,
    margin: f64,
    probability: f64,
    norm: String,
    source: String,
    points: Option<Py<PyAny>>,
    n_starts: usize,
    n_bisections: usize,
    seed: u64,
    first_index: u64,
    batch_size: usize,
    is_deterministic: bool,
}

impl Call {
    /// Takes the tensors over; names what is none.
    fn task(self, py: Python<'_>) -> PyResult<Task> {
        let images = convert::named::<PyTensor>(self.images.bind(py), "images")?.0;
        let name = match self.source.as_str() {
            "pool" => "candidates",
            _ => "starting_points",
        };
        let points = self
            .points
            .as_ref()
            .map(|points| convert::named::<PyTensor>(points.bind(py), name));
        let points = points.transpose()?.map(|points| points.0);
        self.with(images, points).map_err(to_python)
    }

    fn with(self, images: Tensor, points: Option<Tensor>) -> Result<Task> {
        let call = self;
        let starts = match (call.source.as_str(), points) {
            ("given", Some(points)) => Starts::Given(points),
            ("pool", Some(points)) => Starts::Pool(points),
            ("climb", None) => Starts::Climb,
            ("scatter", None) => Starts::Scatter,
            ("noise", None) => Starts::Noise,
            ("unneeded", None) => Starts::Unneeded,
            (other, _) => return Err(Error::Internal(format!("starts from {other}"))),
        };
        Ok(Task {
            images,
            labels: call.labels,
            targets: call.targets,
            criterion: if call.is_custom {
                Criterion::Custom
            } else {
                Criterion::Logits {
                    margin: call.margin,
                    probability: call.probability,
                }
            },
            norm: Norm::from_name(&call.norm)?,
            starts,
            n_starts: call.n_starts,
            n_bisections: call.n_bisections,
            seed: call.seed,
            first_index: call.first_index,
            batch_size: call.batch_size,
            is_deterministic: call.is_deterministic,
        })
    }
}

/// The attributes of `attacks.BrendelBethge`.
#[derive(FromPyObject)]
pub struct BrendelBethgeSettings {
    steps: usize,
    restarts: usize,
    radius: String,
    first_radius: f64,
    last_radius: f64,
    decay: f64,
    n_decays: usize,
    patience: usize,
    tolerance: f64,
    momentum: f64,
    normalise: bool,
    overshoot: f64,
    overshoot_rule: String,
}

impl From<BrendelBethgeSettings> for Rules {
    fn from(settings: BrendelBethgeSettings) -> Self {
        let radius = if settings.radius == "published" {
            Radius::Published {
                first: settings.first_radius,
                decay: settings.decay,
                n_decays: settings.n_decays,
            }
        } else {
            Radius::Adaptive {
                first: settings.first_radius,
                last: settings.last_radius,
                decay: settings.decay,
                patience: settings.patience,
                tolerance: settings.tolerance,
            }
        };
        Self {
            steps: settings.steps,
            restarts: settings.restarts,
            radius,
            momentum: settings.momentum,
            is_normalised: settings.normalise,
            overshoot: settings.overshoot,
            overshoot_rule: match settings.overshoot_rule.as_str() {
                "authors" => Overshoot::Authors,
                _ => Overshoot::Foolbox,
            },
        }
    }
}

type Findings = (
    PyTensor,
    Vec<f64>,
    Vec<bool>,
    Vec<i64>,
    Vec<i64>,
    Vec<&'static str>,
    Vec<Vec<(i64, f64)>>,
);

/// The Brendel & Bethge attack: adversarial images, distances, success,
/// queries, gradients, status and trajectories.
#[pyfunction]
pub fn brendel_bethge(
    py: Python<'_>,
    callables: Callables,
    settings: BrendelBethgeSettings,
    task: Call,
) -> PyResult<Findings> {
    let rules = Rules::from(settings);
    run(
        py,
        callables,
        task,
        |_| BrendelBethge::<f32>::new(rules),
        |_| BrendelBethge::<f64>::new(rules),
    )
}

/// The attributes of `attacks.PGD`.
#[derive(FromPyObject)]
pub struct PgdSettings {
    budgets: Vec<f64>,
    steps: usize,
    step_size: Option<f64>,
    step_rule: String,
    restarts: usize,
    early_stop: bool,
    below: Option<Vec<f64>>,
}

impl From<PgdSettings> for PgdRules {
    fn from(settings: PgdSettings) -> Self {
        Self {
            budgets: settings.budgets.into(),
            steps: settings.steps,
            step_size: settings.step_size,
            step_rule: match settings.step_rule.as_str() {
                "constant" => StepRule::Constant,
                _ => StepRule::Adaptive,
            },
            restarts: settings.restarts,
            early_stop: settings.early_stop,
        }
    }
}

/// Projected gradient descent: as [`brendel_bethge`], within a budget.
#[pyfunction]
pub fn pgd(
    py: Python<'_>,
    callables: Callables,
    mut settings: PgdSettings,
    task: Call,
) -> PyResult<Findings> {
    fn maker<T: Real>(
        (rules, below): (PgdRules, Option<Vec<f64>>),
        (seed, first_index): (u64, u64),
    ) -> impl Fn(u64) -> Pgd<T> + Send {
        move |index| {
            let position = index.wrapping_sub(first_index) as usize;
            let below = below.as_ref().and_then(|below| below.get(position));
            let rng = attack::method_stream(seed, index);
            Pgd::new(rules.clone(), *below.unwrap_or(&f64::INFINITY), rng)
        }
    }
    let streams = (task.seed, task.first_index);
    let limits = settings.below.take();
    let rules = (PgdRules::from(settings), limits);
    let single = maker::<f32>(rules.clone(), streams);
    run(py, callables, task, single, maker::<f64>(rules, streams))
}

/// The attributes of `attacks.Boundary`.
#[derive(FromPyObject)]
pub struct BoundarySettings {
    max_queries: i64,
    proposal: String,
    probes: usize,
    reach: f64,
    tolerance: f64,
    spherical_step: f64,
    source_step: f64,
    step_adaptation: f64,
}

/// The decision-based attacks: as [`brendel_bethge`], from labels alone.
#[pyfunction]
pub fn boundary(
    py: Python<'_>,
    callables: Callables,
    settings: BoundarySettings,
    task: Call,
) -> PyResult<Findings> {
    let seed = task.seed;
    let stream = move |index| attack::method_stream(seed, index);
    if settings.proposal == "published" {
        let rules = random_walk::Rules {
            max_queries: settings.max_queries,
            spherical_step: settings.spherical_step,
            source_step: settings.source_step,
            adaptation: settings.step_adaptation,
        };
        return run(
            py,
            callables,
            task,
            move |index| RandomWalk::<f32>::new(rules, stream(index)),
            move |index| RandomWalk::<f64>::new(rules, stream(index)),
        );
    }
    let rules = estimate::Rules {
        max_queries: settings.max_queries,
        probes: settings.probes,
        reach: settings.reach,
        tolerance: settings.tolerance,
    };
    run(
        py,
        callables,
        task,
        move |index| Estimate::<f32>::new(rules, stream(index)),
        move |index| Estimate::<f64>::new(rules, stream(index)),
    )
}

/// Runs one method, in the precision of the images.
fn run<S: Method<f32>, D: Method<f64>>(
    py: Python<'_>,
    mut callables: Callables,
    task: Call,
    single: impl Fn(u64) -> S + Send,
    double: impl Fn(u64) -> D + Send,
) -> PyResult<Findings> {
    let task = task.task(py)?;
    let found = enter(py, move || match task.images.kind() {
        Kind::Double => attack::run::<f64, D>(&mut callables, &task, double),
        _ => attack::run::<f32, S>(&mut callables, &task, single),
    })?;
    Ok((
        PyTensor(found.adversarial),
        found.distance,
        found.success,
        found.n_queries,
        found.n_gradients,
        found.status.into_iter().map(Status::name).collect(),
        found.trajectory,
    ))
}
