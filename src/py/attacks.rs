/*!
Attacks.

[`Callable`] lets the loops of `tensor::attack` ask a Python model. The
interpreter is held only while the model runs; Ctrl-C is looked for before
every call, so an attack stops within one.
*/

use numpy::ndarray::ArrayView1;
use numpy::{Element, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tch::{Kind, Tensor};

use super::convert::PyTensor;
use super::enter;
use super::exceptions::to_python;
use crate::core::controller::{Overshoot, Rules, Status};
use crate::core::norm::Norm;
use crate::core::pairing;
use crate::core::real::Real;
use crate::core::trust_region::Batch;
use crate::tensor::attack::{self, Classify, Task};
use crate::tensor::start::Starts;
use crate::{Error, Result};

/// Target labels, none equal to the truth.
#[pyfunction]
pub fn shuffled_targets<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, i64>,
    seed: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let labels = labels.as_array().to_vec();
    let targets = enter(py, || pairing::shuffled_targets(&labels, seed))?;
    Ok(PyArray1::from_vec(py, targets))
}

/// A Python model, and what hears of progress.
struct Callable {
    model: Py<PyAny>,
    advance: Option<Py<PyAny>>,
}

impl Classify for Callable {
    fn logits(&mut self, images: &Tensor) -> Result<Tensor> {
        Python::attach(|py| {
            py.check_signals().map_err(raised)?;
            let images = PyTensor(images.shallow_clone());
            let logits = self.model.bind(py).call1((images,)).map_err(raised)?;
            logits
                .extract()
                .map(|PyTensor(logits)| logits)
                .map_err(|error| Error::Model(format!("model: {}", error.value(py))))
        })
    }

    fn progress(&mut self, n: usize) -> Result<()> {
        let Some(advance) = &self.advance else {
            return Ok(());
        };
        Python::attach(|py| advance.call1(py, (n,)).map(drop)).map_err(raised)
    }
}

/// An exception on its way through Rust.
fn raised(error: PyErr) -> Error {
    Error::Callback(Box::new(error))
}

/// The attributes of `attacks.BrendelBethge`.
#[derive(FromPyObject)]
pub struct Settings {
    steps: usize,
    lr: f64,
    lr_decay: f64,
    lr_num_decay: usize,
    momentum: f64,
    overshoot: f64,
    overshoot_rule: String,
    binary_search_steps: usize,
}

impl From<Settings> for Rules {
    fn from(settings: Settings) -> Self {
        Self {
            steps: settings.steps,
            lr: settings.lr,
            lr_decay: settings.lr_decay,
            lr_num_decay: settings.lr_num_decay,
            momentum: settings.momentum,
            overshoot: settings.overshoot,
            overshoot_rule: match settings.overshoot_rule.as_str() {
                "authors" => Overshoot::Authors,
                _ => Overshoot::Foolbox,
            },
            binary_search_steps: settings.binary_search_steps,
        }
    }
}

/// The attributes of `attacks._Task`.
#[derive(FromPyObject)]
pub struct Call {
    images: PyTensor,
    labels: Vec<i64>,
    targets: Option<Vec<i64>>,
    starting_points: Option<PyTensor>,
    candidates: Option<PyTensor>,
    seed: u64,
    first_index: u64,
    batch_size: usize,
}

impl From<Call> for Task {
    fn from(call: Call) -> Self {
        Self {
            images: call.images.0,
            labels: call.labels,
            targets: call.targets,
            starts: match (call.starting_points, call.candidates) {
                (Some(points), _) => Starts::Given(points.0),
                (None, Some(pool)) => Starts::Pool(pool.0),
                (None, None) => Starts::Search,
            },
            seed: call.seed,
            first_index: call.first_index,
            batch_size: call.batch_size,
        }
    }
}

type Findings = (PyTensor, PyTensor, Vec<bool>, Vec<i64>, Vec<&'static str>);

/// Adversarial images, distances, success, queries and status.
#[pyfunction]
#[pyo3(signature = (model, settings, task, advance=None))]
pub fn brendel_bethge(
    py: Python<'_>,
    model: Py<PyAny>,
    settings: Settings,
    task: Call,
    advance: Option<Py<PyAny>>,
) -> PyResult<Findings> {
    let (rules, task) = (Rules::from(settings), Task::from(task));
    let mut model = Callable { model, advance };
    let found = enter(py, move || match task.images.kind() {
        Kind::Double => attack::brendel_bethge::<f64>(&mut model, &task, &rules),
        _ => attack::brendel_bethge::<f32>(&mut model, &task, &rules),
    })?;
    Ok((
        PyTensor(found.adversarial),
        PyTensor(found.distance),
        found.success,
        found.n_queries,
        found.status.into_iter().map(Status::name).collect(),
    ))
}

/// Rows of pixels of single or double precision, of any strides.
#[derive(FromPyObject)]
pub enum Rows<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

type Reached<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<bool>>);

/// One step of many images: the next points, and whether the plane was
/// reached.
#[pyfunction]
pub fn trust_region_steps<'py>(
    py: Python<'py>,
    norm: &str,
    origins: Rows<'py>,
    points: Rows<'py>,
    normals: Rows<'py>,
    changes: PyReadonlyArray1<'py, f64>,
    radii: PyReadonlyArray1<'py, f64>,
) -> PyResult<Reached<'py>> {
    let norm = enter(py, || Norm::from_name(norm))?;
    let (changes, radii) = (changes.as_array(), radii.as_array());
    match (origins, points, normals) {
        (Rows::Single(origins), Rows::Single(points), Rows::Single(normals)) => {
            steps(py, norm, [origins, points, normals], (changes, radii))
        }
        (Rows::Double(origins), Rows::Double(points), Rows::Double(normals)) => {
            steps(py, norm, [origins, points, normals], (changes, radii))
        }
        _ => Err(to_python(Error::Type(
            "origins, points, normals: got different dtypes, expected one".into(),
        ))),
    }
}

fn steps<'py, T: Real + Element>(
    py: Python<'py>,
    norm: Norm,
    images: [PyReadonlyArray2<'py, T>; 3],
    (changes, radii): (ArrayView1<'_, f64>, ArrayView1<'_, f64>),
) -> PyResult<Reached<'py>> {
    let [origins, points, normals] = images.each_ref().map(PyReadonlyArray2::as_array);
    let (next, reached) = enter(py, || {
        let batch = Batch {
            origins,
            points,
            normals,
            changes,
            radii,
        };
        batch.steps(norm)
    })?;
    let reached = PyArray1::from_vec(py, reached);
    Ok((PyArray2::from_owned_array(py, next).into_any(), reached))
}
