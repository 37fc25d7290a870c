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
*/

use tch::{Device, Kind, Tensor};

use crate::Result;
use crate::core::parallel;

/// Added to the arguments of both logarithms in [`arctanh`], as in the authors' code, so
/// that values and slopes are finite at similarities of exactly 1 and -1.
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
    /// First and second index of every pair, (2, P) int64; all pairs of the
    /// batch, in the order of the upper triangle, if `None`.
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
    /// The matrix `k` of every layer, (N, N) each: see [`pulled`].
    pub pulls: Vec<Tensor>,
}

impl SimilarityLoss<'_> {
    /// Computes the mean loss over pairs; `target` is (P,), or (N, N) for all pairs.
    pub fn evaluate(&self, features: &[Tensor], target: &Tensor) -> Result<Evaluated> {
        let gamma = self.logits.f_softmax(-1, None)?;
        let layers = features.iter().zip(self.means);
        let layers = layers.map(|(features, mean)| Similarity::of(features, mean));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let mut mixture = Tensor::f_zeros([1, 1], (target.kind(), target.device()))?;
        for (layer, one) in layers.iter().enumerate() {
            let weight = gamma.f_get(layer as i64)?;
            mixture = mixture.f_add(&one.cosines.f_mul(&weight)?)?;
        }
        let (index, target) = if let Some(pairs) = self.pairs {
            (flat(&mixture, pairs)?, target.shallow_clone())
        } else {
            let index = flat(&mixture, &upper_triangle(&mixture)?)?;
            let target = at(target, &index)?;
            (index, target)
        };
        let mixed = at(&mixture, &index)?;
        let gap = arctanh(&mixed, self.half)?.f_sub(&arctanh(&target, self.half)?)?;
        let count = scalar(index.numel() as f64 / 2.0, &gap)?;
        let slope = gap
            .f_div(&count)?
            .f_mul(&arctanh_slope(&mixed, self.half)?)?;
        let slopes = mixture.f_zeros_like()?.f_reshape([-1])?;
        let slopes = slopes.f_index_add(0, &index, &slope)?.f_view_as(&mixture)?;
        let both = slopes.f_add(&slopes.f_transpose(0, 1)?)?;
        let (mut weights, mut pulls) = (Vec::new(), Vec::new());
        for (layer, one) in layers.iter().enumerate() {
            weights.push(slopes.f_mul(&one.cosines)?.f_sum(None)?);
            pulls.push(one.pull(&both)?.f_mul(&gamma.f_get(layer as i64)?)?);
        }
        let weights = Tensor::f_stack(&weights, 0)?;
        let mean = weights.f_dot(&gamma)?;
        Ok(Evaluated {
            loss: gap.f_square()?.f_mean(None)?,
            logits: weights.f_sub(&mean)?.f_mul(&gamma)?,
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
    let kept = mean.f_detach()?.f_mul(&scalar(beta, mean)?)?;
    Ok(kept.f_add(&batch.f_mul(&scalar(1.0 - beta, mean)?)?)?)
}

/// Cosines between the features of all images in one layer, and the inverse lengths.
///
/// Lengths come from the diagonal of the Gram product, so that the centered features are
/// the only copy. Features equal to the mean have no direction: their cosines and
/// gradients are zero.
struct Similarity {
    /// (N, N).
    cosines: Tensor,
    /// One over the lengths, (N,); 0 if there is no direction.
    inverse: Tensor,
}

impl Similarity {
    fn of(features: &Tensor, mean: &Tensor) -> Result<Self> {
        let centred = centred(features, mean)?;
        let gram = product(&centred, &centred.f_transpose(0, 1)?)?;
        let square = gram.f_diagonal(0, 0, 1)?;
        let floor = scalar(NO_LENGTH, &square)?;
        let inverse = square.f_maximum(&floor)?.f_rsqrt()?;
        let inverse =
            inverse.f_where_self(&square.f_gt_tensor(&floor)?, &square.f_zeros_like()?)?;
        let cosines = gram.f_mul(&inverse.f_unsqueeze(1)?)?.f_mul(&inverse)?;
        Ok(Self { cosines, inverse })
    }

    /// Computes the matrix `k` from the slopes `a`, both (N, N).
    fn pull(&self, slopes: &Tensor) -> Result<Tensor> {
        let along = slopes
            .f_mul(&self.cosines)?
            .f_sum_dim_intlist(1, false, None)?;
        let along = along.f_mul(&self.inverse.f_square()?)?;
        let across = slopes
            .f_mul(&self.inverse.f_unsqueeze(1)?)?
            .f_mul(&self.inverse)?;
        Ok(across.f_sub(&along.f_diag_embed(0, -2, -1)?)?)
    }
}

/// Features (N, C, ...) minus a mean per channel, flattened to (N, D).
fn centred(features: &Tensor, mean: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; features.dim()];
    shape[1] = -1;
    Ok(features.f_sub(&mean.f_reshape(&shape)?)?.f_flatten(1, -1)?)
}

/// Entries at flat indices (P,).
fn at(matrix: &Tensor, index: &Tensor) -> Result<Tensor> {
    Ok(matrix.f_reshape([-1])?.f_index_select(0, index)?)
}

/// Flat indices (P,) of pairs (2, P) into a square matrix.
fn flat(matrix: &Tensor, pairs: &Tensor) -> Result<Tensor> {
    Ok(pairs
        .f_get(0)?
        .f_mul(&Tensor::from(matrix.size()[0]))?
        .f_add(&pairs.f_get(1)?)?)
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

/// The slope of [`arctanh`].
fn arctanh_slope(x: &Tensor, half: bool) -> Result<Tensor> {
    let one = scalar(1.0 + EPSILON, x)?;
    let slope = one
        .f_add(x)?
        .f_reciprocal()?
        .f_add(&one.f_sub(x)?.f_reciprocal()?)?;
    Ok(if half {
        slope.f_mul(&scalar(0.5, x)?)?
    } else {
        slope
    })
}

/// A 0-dimensional tensor on the host, with the type of `like`. A device kernel takes it
/// as an argument, whereas a copy to the device would make the host wait. A `Scalar` is
/// not used, because a failing call with a `Scalar` panics instead of returning an error.
fn scalar(value: f64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from(value).f_to_kind(like.kind())?)
}
