/*!
Attacks.

[`Callables`] lets the loop of [`run`] ask a Python model. The
interpreter is held only while the model runs; Ctrl-C is looked for before
every call, so an attack stops within one.
*/

use std::collections::HashMap;

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tch::{Kind, Tensor};

use super::arrays::Input1;
use super::convert::{self, PyTensor};
use super::enter;
use super::exceptions::{raised, to_python};
use crate::core::attack::{Settings, Status, Value};
use crate::core::norm::Norm;
use crate::core::pairing;
use crate::tensor::attack::{Classify, Criterion, Starts, Task, nearest_classes, run};
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
    fn gradient(
        &mut self,
        differences: &Tensor,
        images: &Tensor,
        keeps_graph: bool,
    ) -> Result<Option<Tensor>> {
        // Of a sum torch wants no weights, for which it would import sympy, for seconds.
        let sum = tch::with_grad(|| differences.f_sum(None))?;
        let [sum, images] = [&sum, images].map(|tensor| PyTensor(tensor.shallow_clone()));
        let found: PyResult<Option<PyTensor>> = Python::attach(|py| {
            py.check_signals()?;
            let options = PyDict::new(py);
            options.set_item("allow_unused", true)?;
            options.set_item("retain_graph", keeps_graph)?;
            let grad = py.import("torch.autograd")?.getattr("grad")?;
            let gradients = grad.call((sum, images), Some(&options))?;
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

/// The attributes of `attacks._task.Task`.
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
    n_surveyed: usize,
    n_bisections: usize,
    seed: u64,
    indices: Vec<u64>,
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
            ("survey", None) => Starts::Survey,
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
            n_surveyed: call.n_surveyed,
            n_bisections: call.n_bisections,
            seed: call.seed,
            indices: call.indices,
            batch_size: call.batch_size,
            is_deterministic: call.is_deterministic,
        })
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
    Vec<Vec<f64>>,
);

impl<'py> FromPyObject<'_, 'py> for Value {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self::None);
        }
        // A flag is an integer too, and an integer is a number.
        if let Ok(flag) = object.extract() {
            return Ok(Self::Flag(flag));
        }
        if let Ok(whole) = object.extract() {
            return Ok(Self::Whole(whole));
        }
        if let Ok(number) = object.extract() {
            return Ok(Self::Number(number));
        }
        if let Ok(text) = object.extract() {
            return Ok(Self::Text(text));
        }
        Ok(object.extract().map_or(Self::Other, Self::Numbers))
    }
}

/// The attack of a name: adversarial images, distances, success, queries, gradients,
/// status, trajectories and the spectra of probes.
#[pyfunction]
pub fn attack(
    py: Python<'_>,
    mut callables: Callables,
    name: String,
    settings: HashMap<String, Value>,
    task: Call,
) -> PyResult<Findings> {
    let task = task.task(py)?;
    let settings = Settings::new(name, settings);
    let found = enter(py, move || match task.images.kind() {
        Kind::Double => run::<f64>(&mut callables, &task, &settings),
        _ => run::<f32>(&mut callables, &task, &settings),
    })?;
    Ok((
        PyTensor(found.adversarial),
        found.distance,
        found.success,
        found.n_queries,
        found.n_gradients,
        found.status.into_iter().map(Status::name).collect(),
        found.trajectory,
        found.probe_spectrum,
    ))
}

/// The likeliest other classes of images, nearest first, and their distances.
#[pyfunction]
#[pyo3(name = "nearest_classes")]
pub fn nearest(
    py: Python<'_>,
    mut callables: Callables,
    images: PyTensor,
    labels: Vec<i64>,
    norm: &str,
    most: usize,
) -> PyResult<(PyTensor, PyTensor)> {
    let norm = Norm::from_name(norm).map_err(to_python)?;
    let (classes, distances) = enter(py, move || {
        nearest_classes(&mut callables, &images.0, &labels, norm, most)
    })?;
    Ok((PyTensor(classes), PyTensor(distances)))
}
