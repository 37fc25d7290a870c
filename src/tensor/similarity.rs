/*!
The differentiable similarity loss (paper.md A2).

Features of one layer, (N, C, ...), lose a mean per channel and are flattened;
cosines between them are the layer's similarities. Layers mix with weights `softmax(logits)`, and the loss is the
mean square of `arctanh(mixture) - arctanh(target)` over pairs of images.

Pairs are explicit, as in the paper, or all pairs of the batch: the forward
pass through the network costs the same, and N images give N (N - 1) / 2 pairs
instead of N / 2.

Everything is built of torch operations, so it runs on any device and autograd
derives the gradient. Shapes and dtypes are checked by the caller.
*/

use tch::{Kind, Tensor};

use crate::Result;

/// Added to both sides of the logarithms of [`arctanh`], as in the authors'
/// code: finite values and slopes at similarities of exactly 1 and -1.
const EPSILON: f64 = 1e-5;

/// Squared length below which a vector has no direction.
const NO_LENGTH: f64 = 1e-24;

/// The loss over pairs of images.
pub struct SimilarityLoss<'a> {
    /// Per-channel mean of every layer, (C,) each; no gradient reaches them.
    pub means: &'a [Tensor],
    /// One logit per layer, (L,).
    pub logits: &'a Tensor,
    /// First and second index of every pair, (2, P) int64; all pairs of the
    /// batch, in the order of the upper triangle, if `None`.
    pub pairs: Option<&'a Tensor>,
    /// Whether arctanh carries its factor 1/2.
    pub half: bool,
}

impl SimilarityLoss<'_> {
    /// Mean over pairs; `target` is (P,), or (N, N) for all pairs.
    pub fn evaluate(&self, features: &[Tensor], target: &Tensor) -> Result<Tensor> {
        let gamma = self.logits.f_softmax(-1, None)?;
        let mut mixture = Tensor::f_zeros([1, 1], (target.kind(), target.device()))?;
        for (layer, (features, mean)) in features.iter().zip(self.means).enumerate() {
            let similarity = similarity(features, mean)?;
            mixture = mixture.f_add(&similarity.f_mul(&gamma.f_get(layer as i64)?)?)?;
        }
        let (mixture, target) = if let Some(pairs) = self.pairs {
            (at(&mixture, pairs)?, target.shallow_clone())
        } else {
            let pairs = upper_triangle(&mixture)?;
            (at(&mixture, &pairs)?, at(target, &pairs)?)
        };
        let gap = arctanh(&mixture, self.half)?.f_sub(&arctanh(&target, self.half)?)?;
        Ok(gap.f_square()?.f_mean(None)?)
    }
}

/// The running mean after a batch: `beta m + (1 - beta) mean(features)`, the
/// mean being over images and positions. Carries no gradient.
pub fn running_mean(mean: &Tensor, features: &Tensor, beta: f64) -> Result<Tensor> {
    let features = features.f_detach()?;
    let axes: Vec<i64> = (0..features.dim() as i64)
        .filter(|&axis| axis != 1)
        .collect();
    let batch = features.f_mean_dim(axes, false, None)?;
    let kept = mean.f_detach()?.f_mul(&scalar(beta, mean)?)?;
    Ok(kept.f_add(&batch.f_mul(&scalar(1.0 - beta, mean)?)?)?)
}

/// Cosines between all images of (N, C, ...) features minus a mean per channel.
///
/// Lengths come from the diagonal of the Gram product, so that the only copy of
/// the features is the centred one. Features equal to the mean have no
/// direction: zeros, with zero gradient.
fn similarity(features: &Tensor, mean: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; features.dim()];
    shape[1] = -1;
    let centred = features
        .f_sub(&mean.f_detach()?.f_reshape(&shape)?)?
        .f_flatten(1, -1)?;
    let gram = centred.f_matmul(&centred.f_transpose(0, 1)?)?;
    let square = gram.f_diagonal(0, 0, 1)?;
    let floor = scalar(NO_LENGTH, &square)?;
    let inverse = square.f_maximum(&floor)?.f_rsqrt()?;
    let inverse = inverse.f_where_self(&square.f_gt_tensor(&floor)?, &square.f_zeros_like()?)?;
    Ok(gram.f_mul(&inverse.f_unsqueeze(1)?)?.f_mul(&inverse)?)
}

/// Entries at pairs of indices (2, P), (P,).
fn at(matrix: &Tensor, pairs: &Tensor) -> Result<Tensor> {
    let flat = pairs
        .f_get(0)?
        .f_mul(&Tensor::from(matrix.size()[0]))?
        .f_add(&pairs.f_get(1)?)?;
    Ok(matrix.f_reshape([-1])?.f_index_select(0, &flat)?)
}

/// Indices (2, P) of the entries above the diagonal of a square matrix, row by row.
fn upper_triangle(matrix: &Tensor) -> Result<Tensor> {
    let n = matrix.size()[0];
    Ok(Tensor::f_triu_indices(
        n,
        n,
        1,
        (Kind::Int64, matrix.device()),
    )?)
}

/// `(ln(1 + x + e) - ln(1 - x + e)) / 2`, or without the half.
fn arctanh(x: &Tensor, half: bool) -> Result<Tensor> {
    let one = scalar(1.0 + EPSILON, x)?;
    let difference = one.f_add(x)?.f_log()?.f_sub(&one.f_sub(x)?.f_log()?)?;
    Ok(if half {
        difference.f_mul(&scalar(0.5, x)?)?
    } else {
        difference
    })
}

/// A 0-dimensional tensor of the type of `like`, on the host: a device's kernel
/// takes it as an argument, where a copy to the device would hold up the host.
/// (A failing call that takes a `Scalar` would panic; one that takes a tensor
/// returns its error.)
fn scalar(value: f64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from(value).f_to_kind(like.kind())?)
}
