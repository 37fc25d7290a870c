/*!
Attacks.

[`Session`] lets the loop of [`run`] ask a Python model. `attacks._queries` in Python
sends each batch to the device and calls [`Query`] there, or replays a recording of
such a call. The interpreter is held only while Python runs; Ctrl-C is looked for
before every call, so an attack stops within one.
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
use crate::tensor::attack::{
    Ask, Classify, Criterion, Form, Network, Questions, Starts, Task, nearest_classes, run,
};
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

/// A Python model, the user's criterion, what sends questions to the device, and what
/// hears of progress.
#[derive(FromPyObject)]
pub struct Callables {
    model: Py<PyAny>,
    criterion: Option<Py<PyAny>>,
    queries: Py<PyAny>,
    advance: Py<PyAny>,
}

/// The questions of an attack to a network. Python calls it with questions on the
/// network's device, and may record what it does there.
#[pyclass(frozen)]
pub struct Query {
    callables: Callables,
    form: Form,
}

#[pymethods]
impl Query {
    /// One row for each image, on the device.
    fn __call__(
        &self,
        py: Python<'_>,
        ask: &str,
        images: PyTensor,
        classes: PyTensor,
        positions: PyTensor,
    ) -> PyResult<PyTensor> {
        let questions = Questions {
            images: images.0,
            classes: classes.0,
            positions: positions.0,
        };
        let ask = [Ask::Value, Ask::Gradient, Ask::Survey]
            .into_iter()
            .find(|&one| name_of(one) == ask)
            .ok_or_else(|| to_python(Error::Internal(format!("a query for {ask}"))))?;
        enter(py, move || {
            self.form.answer(&self.callables, ask, &questions)
        })
        .map(PyTensor)
    }
}

/// The name of a question in Python.
fn name_of(ask: Ask) -> &'static str {
    match ask {
        Ask::Value => "value",
        Ask::Gradient => "gradient",
        Ask::Survey => "survey",
        Ask::Nothing => "nothing",
    }
}

/// Calls a callable with tensors, for a tensor.
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
        tensor(&result, name)
    })
}

/// What a callable returned, as a tensor.
fn tensor(result: &Bound<'_, PyAny>, name: &str) -> Result<Tensor> {
    result
        .extract()
        .map(|PyTensor(tensor)| tensor)
        .map_err(|error: PyErr| Error::Model(format!("{name}: {}", error.value(result.py()))))
}

impl Network for Callables {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        call(&self.model, "model", [images])
    }

    /// Python's own backward pass: in libtorch's an exception of the model would
    /// lose its type. Torch releases the interpreter while it runs.
    fn gradient(
        &self,
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

    fn judge(&self, images: &Tensor, logits: &Tensor, positions: &Tensor) -> Result<Tensor> {
        match &self.criterion {
            Some(criterion) => call(criterion, "criterion", [images, logits, positions]),
            None => Err(Error::Internal(
                "a criterion is asked that is not there".to_owned(),
            )),
        }
    }
}

/// Python's side of an attack.
struct Session(Py<Query>);

impl Session {
    fn callables(&self) -> &Callables {
        &self.0.get().callables
    }
}

impl Network for Session {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.callables().logits(images)
    }

    fn gradient(&self, of: &Tensor, images: &Tensor, keeps: bool) -> Result<Option<Tensor>> {
        self.callables().gradient(of, images, keeps)
    }

    fn judge(&self, images: &Tensor, logits: &Tensor, positions: &Tensor) -> Result<Tensor> {
        self.callables().judge(images, logits, positions)
    }
}

impl Classify for Session {
    /// A Python function that waits.
    type Pending = Py<PyAny>;

    fn start(&mut self, ask: Ask, questions: Questions) -> Result<Option<Self::Pending>> {
        let Questions {
            images,
            classes,
            positions,
        } = questions;
        let query = &self.0;
        Python::attach(|py| {
            py.check_signals()?;
            let inputs = [images, classes, positions].map(PyTensor);
            let inputs = PyTuple::new(py, inputs)?;
            let queries = self.callables().queries.bind(py);
            let pending = queries.call1((query.clone_ref(py), name_of(ask), inputs))?;
            Ok((!pending.is_none()).then(|| pending.unbind()))
        })
        .map_err(raised)
    }

    fn wait(&mut self, pending: Self::Pending) -> Result<Tensor> {
        Python::attach(|py| {
            let rows = pending.bind(py).call0().map_err(raised)?;
            tensor(&rows, "queries")
        })
    }

    fn progress(&mut self, n: usize) -> Result<()> {
        let advance = &self.callables().advance;
        Python::attach(|py| advance.call1(py, (n,)).map(drop)).map_err(raised)
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
    is_queued: bool,
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
            is_queued: call.is_queued,
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
    callables: Callables,
    name: String,
    settings: HashMap<String, Value>,
    task: Call,
) -> PyResult<Findings> {
    let task = task.task(py)?;
    let settings = Settings::new(name, settings);
    let form = Form::new(&task);
    let query = Py::new(py, Query { callables, form })?;
    let found = enter(py, move || {
        let mut session = Session(Python::attach(|py| query.clone_ref(py)));
        let form = &query.get().form;
        match task.images.kind() {
            Kind::Double => run::<f64>(&mut session, &task, form, &settings),
            _ => run::<f32>(&mut session, &task, form, &settings),
        }
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
    callables: Callables,
    images: PyTensor,
    labels: PyTensor,
    norm: &str,
    most: usize,
) -> PyResult<(PyTensor, PyTensor)> {
    let norm = Norm::from_name(norm).map_err(to_python)?;
    let (classes, distances) = enter(py, move || {
        nearest_classes(&callables, &images.0, &labels.0, norm, most)
    })?;
    Ok((PyTensor(classes), PyTensor(distances)))
}
