/*!
The signal-to-noise weight of each neuron, `w = sigma / eta` (Li et al. 2019, arXiv
1911.05072).
*/

use ndarray::{Array1, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::{Real, double};
use crate::core::parallel::{self, Stop};
use crate::{Error, Result};

/// Signal-to-noise weight `sigma / eta` of every neuron.
///
/// `trials` is (trials, images, neurons); NaN means that there was no such
/// trial. `sigma^2` is the variance over images of the mean over repeats, and
/// `eta^2` is the mean over images of the variance over repeats. Both variances
/// divide by the count minus one. Images without any trial of a neuron are left out
/// for that neuron. A neuron whose responses never differ has weight 0.
///
/// # Errors
/// [`Error::Value`] if a neuron has fewer than two images, an image with a
/// single repeat, infinite values, or repeats that never differ although the
/// images do.
pub fn reliability<T: Real>(trials: ArrayView3<T>) -> Result<Array1<f64>> {
    let weights = parallel::run(|stop| {
        (0..trials.dim().2)
            .into_par_iter()
            .map(|neuron| neuron_weight(trials.index_axis(Axis(2), neuron), neuron, stop))
            .collect::<Result<Vec<f64>>>()
    })?;
    Ok(Array1::from(weights))
}

/// `sigma / eta` of one neuron from its (trials, images) responses.
fn neuron_weight<T: Real>(trials: ArrayView2<T>, neuron: usize, stop: &Stop) -> Result<f64> {
    let mut means = Vec::with_capacity(trials.ncols());
    let mut noise = 0.0;
    for column in stop.watch(trials.columns().into_iter().enumerate()) {
        let (image, repeats) = column?;
        let values: Vec<f64> = repeats
            .iter()
            .map(|&v| double(v))
            .filter(|v| !v.is_nan())
            .collect();
        if values.len() == 1 {
            return Err(Error::value(format!(
                "trials: image {image} has a single trial of neuron {neuron}, \
                 expected at least two, or none (NaN)"
            )));
        }
        if let Some((mean, variance)) = mean_and_variance(&values) {
            means.push(mean);
            noise += variance;
        }
    }
    let Some((_, signal)) = mean_and_variance(&means) else {
        return Err(Error::value(format!(
            "trials: got {} images with trials of neuron {neuron}, expected at least two",
            means.len()
        )));
    };
    let noise = noise / means.len() as f64;
    if !(signal.is_finite() && noise.is_finite()) {
        return Err(Error::value(format!(
            "trials: got infinite responses of neuron {neuron}, expected finite ones or NaN"
        )));
    }
    if noise == 0.0 && signal > 0.0 {
        return Err(Error::value(format!(
            "trials: the repeats of neuron {neuron} never differ, expected trial-to-trial noise"
        )));
    }
    Ok(if signal > 0.0 {
        (signal / noise).sqrt()
    } else {
        0.0
    })
}

/// Mean and variance (divisor n - 1); `None` for fewer than two values.
fn mean_and_variance(values: &[f64]) -> Option<(f64, f64)> {
    let (&first, rest) = values.split_first()?;
    if rest.is_empty() {
        return None;
    }
    // Subtract the first value, so that equal values have variance exactly 0.
    let n = values.len() as f64;
    let shift = rest.iter().map(|value| value - first).sum::<f64>() / n;
    let spread: f64 = values
        .iter()
        .map(|value| (value - first - shift).powi(2))
        .sum();
    Some((first + shift, spread / (n - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn reliability_is_signal_over_noise() {
        let nan = f64::NAN;
        // Neuron 0: means 1, 3, 5, variances 2, 2, 2. Neuron 1 is silent.
        // Neuron 2 lacks one trial of image 0 and all trials of image 1.
        let trials: Array3<f64> = array![
            [[0.0, 0.0, 1.0], [2.0, 0.0, nan], [4.0, 0.0, 6.0]],
            [[2.0, 0.0, nan], [4.0, 0.0, nan], [6.0, 0.0, 2.0]],
            [[1.0, 0.0, 3.0], [3.0, 0.0, nan], [5.0, 0.0, 4.0]],
        ];
        let weights = reliability(trials.view()).unwrap();
        assert!((weights[0] - 2.0).abs() < 1e-12, "{weights}");
        assert!(weights[1].abs() < f64::MIN_POSITIVE);
        // Means 2 and 4 (variance 2), variances 2 and 4 (mean 3).
        assert!(
            (weights[2] - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12,
            "{weights}"
        );
    }

    #[test]
    fn unusable_trials_are_named() {
        let message = |trials: Array3<f64>| reliability(trials.view()).unwrap_err().to_string();
        let single = message(array![[[1.0], [2.0]], [[1.5], [f64::NAN]]]);
        assert!(
            single.contains("image 1 has a single trial of neuron 0"),
            "{single}"
        );
        let exact = message(array![[[1.0], [2.0]], [[1.0], [2.0]]]);
        assert!(exact.contains("neuron 0 never differ"), "{exact}");
        let few = message(array![[[1.0]], [[2.0]]]);
        assert!(few.contains("got 1 images"), "{few}");
        let infinite = message(array![[[1.0], [f64::INFINITY]], [[2.0], [2.0]]]);
        assert!(infinite.contains("infinite"), "{infinite}");
    }
}
