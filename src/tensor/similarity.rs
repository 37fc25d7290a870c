/*!
The differentiable similarity loss (Li et al. 2019, arXiv 1911.05072).

From the features of one layer, (N, C, ...), a mean per channel is subtracted, and they
are flattened. The cosines between the images are the layer's similarities. The mixture
is the mean of these similarities over layers, with weights `softmax(logits)`. The loss
is the mean square of `arctanh(mixture) - arctanh(target)` over pairs of images.

Pairs are explicit, as in the paper, or all pairs of the batch. With all pairs, the
forward pass through the network costs the same, and N images give N (N - 1) / 2 pairs
instead of N / 2.

All computations are torch operations and run on any device. The caller checks shapes
and dtypes.

The gradient is in closed form. For centered features `c_i` with lengths `l_i`, a
similarity is `s_ij = c_i c_j / (l_i l_j)`. Let `a_ij = a_ji` be the derivative of the
loss in `s_ij`. Then the gradient in `c_i` is `sum_j k_ij c_j` with

    k_ij = a_ij / (l_i l_j)  -  [i = j] sum_m a_im s_im / l_i^2,

so the backward pass needs one N by N matrix per layer, and the features that the
network keeps in any case. Autograd would keep a centered copy of the features.

A layer has its own operations only where its features enter: the mean, the centered
features and their Gram product. The N by N matrices of all layers are one tensor
(L, N, N), so that a device starts few kernels.
*/

use tch::{Device, Tensor};

use crate::Result;
use crate::core::parallel;

/// Added to the arguments of both logarithms of arctanh, as in the authors' code, so that
/// values and slopes are finite at similarities of exactly 1 and -1:
/// `(ln(1 + x + e) - ln(1 - x + e)) / 2 = arctanh(x / (1 + e))`.
const EPSILON: f64 = 1e-5;

/// Largest number of products in one matrix product on the host, which cannot be
/// interrupted. It takes a tenth of a second on one core.
const PRODUCTS: i64 = 1 << 31;

/// Shortest side of one block; for shorter sides, the product is slow.
const SHORTEST_SIDE: i64 = 64;

/// Squared length below which a vector has no direction.
const NO_LENGTH: f64 = 1e-24;

/// The loss over pairs of images.
pub struct SimilarityLoss<'a> {
    /// Per-channel mean of every layer, (C,) each; no gradient reaches them.
    pub means: &'a [Tensor],
    /// One logit per layer, (L,).
    pub logits: &'a Tensor,
    /// Flat indices of every pair in the N by N matrix, (P,) int64; if `None`, all pairs
    /// of different images.
    pub pairs: Option<&'a Tensor>,
    /// Whether arctanh carries its factor 1/2.
    pub half: bool,
}

/// The loss, and the parts of its gradient.
pub struct Evaluated {
    /// 0-dimensional.
    pub loss: Tensor,
    /// Gradient in the logits, (L,).
    pub logits: Tensor,
    /// The matrices `k` of all layers, (L, N, N): see [`pulled`].
    pub pulls: Tensor,
}

impl SimilarityLoss<'_> {
    /// Computes the mean loss over pairs; `target` is (P,), or symmetric, (N, N), for all
    /// pairs.
    pub fn evaluate(&self, features: &[Tensor], target: &Tensor) -> Result<Evaluated> {
        let gamma = self.logits.f_softmax(-1, None)?;
        let layers = Similarities::of(features, self.means)?;
        let mixture = layers.mixture(&gamma)?;
        let n = layers.cosines.size()[1];
        let mixed = match self.pairs {
            Some(index) => mixture.f_index_select(0, index)?,
            None => mixture.shallow_clone(),
        };
        let near = shrunk(&mixed)?;
        let gap = near.f_atanh()?;
        let gap = gap.f_sub(&shrunk(target)?.f_atanh()?.f_reshape([-1])?)?;
        let count = if self.pairs.is_some() {
            gap.numel()
        } else {
            let _ = gap.f_view([n, n])?.f_fill_diagonal_(0.0, false)?;
            n as usize * (n as usize - 1)
        };
        let scale = if self.half { 1.0 } else { 4.0 } / count as f64;
        let loss = gap.f_dot(&gap)?.f_mul_scalar(scale)?;
        // The slope of arctanh(y) is 1 / (1 - y^2).
        let slope = gap.f_div(&constant(1.0, &near)?.f_sub(&near.f_square()?)?)?;
        // The sum of the slopes of (i, j) and (j, i) is twice the slope of each.
        let twice = if self.pairs.is_some() { 2.0 } else { 4.0 };
        let slope = slope.f_mul_scalar(twice * scale / (1.0 + EPSILON))?;
        let both = if let Some(index) = self.pairs {
            let slopes = mixture.f_zeros_like()?.f_index_add(0, index, &slope)?;
            let slopes = slopes.f_view([n, n])?;
            slopes.f_add(&slopes.f_transpose(0, 1)?)?
        } else {
            slope.f_view([n, n])?
        };
        let (weights, pulls) = layers.pulls(&both, &gamma)?;
        let logits = Tensor::f_internal_softmax_backward_data(&weights, &gamma, -1, gamma.kind())?;
        Ok(Evaluated {
            loss,
            logits,
            pulls,
        })
    }
}

/// The gradient in one layer's features: `pull`, (N, N), times the centered features.
pub fn pulled(pull: &Tensor, features: &Tensor, mean: &Tensor) -> Result<Tensor> {
    let moved = product(pull, &centred(features, mean)?)?;
    Ok(moved.f_reshape(features.size())?)
}

/// A matrix product. On the host, large products are computed in square blocks, with a
/// check for signals before each block. Blocks depend only on the shapes.
fn product(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    parallel::poll()?;
    let ((n, k), (_, m)) = (left.size2()?, right.size2()?);
    let products = n.saturating_mul(m).saturating_mul(k);
    if products <= PRODUCTS || left.device() != Device::Cpu {
        return Ok(left.f_matmul(right)?);
    }
    let side = ((PRODUCTS / k.max(1)).isqrt()).max(SHORTEST_SIDE);
    let product = Tensor::f_empty([n, m], (left.kind(), left.device()))?;
    for (rows, strip) in product.f_split(side, 0)?.iter().zip(left.f_split(side, 0)?) {
        let columns = right.f_split(side, 1)?;
        for (mut block, columns) in rows.f_split(side, 1)?.into_iter().zip(columns) {
            parallel::poll()?;
            block.f_copy_(&strip.f_matmul(&columns)?)?;
        }
    }
    Ok(product)
}

/// The running mean after a batch, `beta m + (1 - beta) mean(features)`, where the mean is
/// over images and positions. It has no gradient.
pub fn running_mean(mean: &Tensor, features: &Tensor, beta: f64) -> Result<Tensor> {
    let features = features.f_detach()?;
    let axes: Vec<i64> = (0..features.dim() as i64)
        .filter(|&axis| axis != 1)
        .collect();
    let batch = features.f_mean_dim(axes, false, None)?;
    Ok(mean.f_detach()?.f_lerp(&batch, 1.0 - beta)?)
}

/// Cosines between the features of all images in all layers.
///
/// Lengths come from the diagonal of the Gram product, so that the centered features are
/// the only copy. Features equal to the mean have no direction: their cosines and
/// gradients are zero.
struct Similarities {
    /// (L, N, N).
    cosines: Tensor,
    /// One over the product of the two lengths, (L, N, N); 0 if there is no direction.
    scales: Tensor,
}

impl Similarities {
    fn of(features: &[Tensor], means: &[Tensor]) -> Result<Self> {
        let grams = features.iter().zip(means).map(|(features, mean)| {
            let centred = centred(features, mean)?;
            product(&centred, &centred.f_transpose(0, 1)?)
        });
        let grams = Tensor::f_stack(&grams.collect::<Result<Vec<_>>>()?, 0)?;
        // An infinite length, so an inverse of 0, where there is no direction.
        let square = grams.f_diagonal(0, 1, 2)?;
        let inverse = square.f_threshold(NO_LENGTH, f64::INFINITY)?.f_rsqrt()?;
        let scales = inverse.f_unsqueeze(2)?.f_mul(&inverse.f_unsqueeze(1)?)?;
        let cosines = grams.f_mul(&scales)?;
        Ok(Self { cosines, scales })
    }

    /// The mean over layers with the weights `gamma`, (N * N,).
    fn mixture(&self, gamma: &Tensor) -> Result<Tensor> {
        let flat = self.cosines.f_flatten(1, 2)?;
        Ok(flat.f_transpose(0, 1)?.f_mv(gamma)?)
    }

    /// Computes the derivative in each layer's weight, (L,), and the matrices `k`,
    /// (L, N, N), from the derivatives `a` in the mixture, (N, N).
    fn pulls(&self, slopes: &Tensor, gamma: &Tensor) -> Result<(Tensor, Tensor)> {
        let along = self.cosines.f_mul(slopes)?;
        let along = along.f_sum_dim_intlist(2, false, None)?;
        // Each pair is in the sum twice.
        let weights = along.f_sum_dim_intlist(1, false, None)?.f_mul_scalar(0.5)?;
        let pulls = self.scales.f_mul(slopes)?;
        let along = along.f_mul(&self.scales.f_diagonal(0, 1, 2)?)?;
        let _ = pulls.f_diagonal(0, 1, 2)?.f_sub_(&along)?;
        let pulls = pulls.f_mul(&gamma.f_reshape([-1, 1, 1])?)?;
        Ok((weights, pulls))
    }
}

/// Features (N, C, ...) minus a mean per channel, flattened to (N, D).
fn centred(features: &Tensor, mean: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; features.dim()];
    shape[1] = -1;
    Ok(features.f_sub(&mean.f_reshape(&shape)?)?.f_flatten(1, -1)?)
}

/// `x / (1 + e)`, see [`EPSILON`].
fn shrunk(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_mul_scalar(1.0 / (1.0 + EPSILON))?)
}

/// A 0-dimensional tensor on the host, with the type of `like`. A device kernel takes it
/// as an argument, whereas a copy to the device would make the host wait.
fn constant(value: f64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_scalar_tensor(value, (like.kind(), Device::Cpu))?)
}
