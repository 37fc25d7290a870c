/*!
Similarity of responses and features.
*/

use numpy::ToPyArray;
use numpy::{Element, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tch::Tensor;

use super::arrays::{Input1, Input2, Input3};
use super::convert::PyTensor;
use super::enter;
use crate::core::similarity::{self, Real, agreement};
use crate::tensor::similarity::{SimilarityLoss, pulled, running_mean as updated_mean};

/// Mean-subtracted cosine similarity of float64 rows.
#[pyfunction]
pub fn response_similarity_f64<'py>(
    py: Python<'py>,
    responses: Input2<'py, f64>,
    weights: Input1<'py, f64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    response_similarity(py, &responses, &weights)
}

/// Mean-subtracted cosine similarity of float32 rows.
#[pyfunction]
pub fn response_similarity_f32<'py>(
    py: Python<'py>,
    responses: Input2<'py, f32>,
    weights: Input1<'py, f64>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    response_similarity(py, &responses, &weights)
}

fn response_similarity<'py, T: Real + Element>(
    py: Python<'py>,
    responses: &PyReadonlyArray2<'py, T>,
    weights: &PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let (responses, weights) = (responses.as_array(), weights.as_array());
    let matrix = enter(py, || similarity::response_similarity(responses, weights))?;
    Ok(PyArray2::from_owned_array(py, matrix))
}

/// Signal-to-noise weight of every neuron.
#[pyfunction]
pub fn reliability<'py>(
    py: Python<'py>,
    trials: Input3<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let trials = trials.as_array();
    let weights = enter(py, || similarity::reliability(trials))?;
    Ok(weights.to_pyarray(py))
}

/// Correlation of every pair of columns.
#[pyfunction]
pub fn column_correlation<'py>(
    py: Python<'py>,
    first: Input2<'py, f64>,
    second: Input2<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (first, second) = (first.as_array(), second.as_array());
    let each = enter(py, || agreement::column_correlation(first, second))?;
    Ok(each.to_pyarray(py))
}

/// Correlation of two similarity matrices.
#[pyfunction]
pub fn similarity_correlation(
    py: Python<'_>,
    first: Input2<'_, f64>,
    second: Input2<'_, f64>,
    ranked: bool,
) -> PyResult<f64> {
    let (first, second) = (first.as_array(), second.as_array());
    enter(py, || {
        agreement::similarity_correlation(first, second, ranked)
    })
}

/// Split-half reliability of every neuron.
#[pyfunction]
pub fn split_half_neurons<'py>(
    py: Python<'py>,
    trials: Input3<'py, f64>,
    n_splits: u64,
    seed: u64,
    corrected: bool,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let trials = trials.as_array();
    let half = enter(py, || agreement::split_half_neurons(trials, n_splits, seed))?;
    Ok(if corrected {
        half.mapv(agreement::spearman_brown).to_pyarray(py)
    } else {
        half.to_pyarray(py)
    })
}

/// Split-half reliability of the similarity matrix.
#[pyfunction]
pub fn split_half_similarity(
    py: Python<'_>,
    trials: Input3<'_, f64>,
    weights: Input1<'_, f64>,
    n_splits: u64,
    seed: u64,
    corrected: bool,
) -> PyResult<f64> {
    let (trials, weights) = (trials.as_array(), weights.as_array());
    let half = enter(py, || {
        agreement::split_half_similarity(trials, weights, n_splits, seed)
    })?;
    Ok(if corrected {
        agreement::spearman_brown(half)
    } else {
        half
    })
}

/// Lower and upper noise ceiling of similarity matrices.
#[pyfunction]
pub fn noise_ceiling(
    py: Python<'_>,
    subjects: Input3<'_, f64>,
    ranked: bool,
) -> PyResult<(f64, f64)> {
    let subjects = subjects.as_array();
    enter(py, || agreement::noise_ceiling(subjects, ranked))
}

/// The similarity loss of one or more layers, its gradient in the logits, and a matrix for
/// each layer, from which [`similarity_pulled`] computes the gradient in the features.
#[pyfunction]
pub fn similarity_loss(
    py: Python<'_>,
    features: Vec<PyTensor>,
    means: Vec<PyTensor>,
    logits: PyTensor,
    target: PyTensor,
    pairs: Option<PyTensor>,
    half: bool,
) -> PyResult<(PyTensor, PyTensor, PyTensor)> {
    let (features, means) = (unwrap(features), unwrap(means));
    let (logits, target, pairs) = (logits.0, target.0, pairs.map(|pairs| pairs.0));
    let found = enter(py, move || {
        SimilarityLoss {
            means: &means,
            logits: &logits,
            pairs: pairs.as_ref(),
            half,
        }
        .evaluate(&features, &target)
    })?;
    let (loss, logits) = (PyTensor(found.loss), PyTensor(found.logits));
    Ok((loss, logits, PyTensor(found.pulls)))
}

/// The gradient of the similarity loss in one layer's features.
#[pyfunction]
pub fn similarity_pulled(
    py: Python<'_>,
    pull: PyTensor,
    features: PyTensor,
    mean: PyTensor,
) -> PyResult<PyTensor> {
    let (pull, features, mean) = (pull.0, features.0, mean.0);
    enter(py, move || pulled(&pull, &features, &mean)).map(PyTensor)
}

/// The running mean per channel after one batch.
#[pyfunction]
pub fn running_mean(
    py: Python<'_>,
    mean: PyTensor,
    features: PyTensor,
    beta: f64,
) -> PyResult<PyTensor> {
    let (mean, features) = (mean.0, features.0);
    enter(py, move || updated_mean(&mean, &features, beta)).map(PyTensor)
}

fn unwrap(tensors: Vec<PyTensor>) -> Vec<Tensor> {
    tensors.into_iter().map(|tensor| tensor.0).collect()
}
