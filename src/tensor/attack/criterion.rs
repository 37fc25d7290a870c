/*!
What counts as adversarial, as a difference that is negative exactly there.
*/

use tch::{Kind, Tensor};

use crate::{Error, Result};

/// What counts as adversarial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Criterion {
    /// The logits: `max_{k != t} z_k - z_t` towards a target `t`, or
    /// `z_y - max_{k != y} z_k` away from a label `y`, is below `-margin`; and
    /// the softmax probability of the adversarial class is at least
    /// `probability`.
    Logits {
        /// By how much the logit of the adversarial class must exceed.
        margin: f64,
        /// What its probability must be; 0 asks for nothing.
        probability: f64,
    },
    /// The user's own ([`super::Classify::judge`]).
    Custom,
}

/// The `count` classes (n, count) with the largest logits, without each row's label.
pub fn likeliest_others(logits: &Tensor, labels: &Tensor, count: i64) -> Result<Tensor> {
    let plain = logits.f_detach()?;
    let others = lowered(&plain, &labels.f_unsqueeze(1)?)?;
    Ok(others.f_topk(count, 1, true, true)?.1)
}

/// By how much the label of every row leads over its `class` (n, 1).
pub fn lead(logits: &Tensor, labels: &Tensor, class: &Tensor) -> Result<Tensor> {
    let own = logits.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
    let other = logits.f_gather(1, class, false)?;
    Ok(own.f_sub(&other)?.f_squeeze_dim(1)?)
}

/// Logits whose `own` class is at minus infinity.
fn lowered(plain: &Tensor, own: &Tensor) -> Result<Tensor> {
    let is_own = plain
        .f_zeros_like()?
        .f_scatter(1, own, &plain.f_ones_like()?)?
        .f_to_kind(Kind::Bool)?;
    let lowest = plain.f_full_like(f64::NEG_INFINITY)?;
    Ok(lowest.f_where_self(&is_own, plain)?)
}

/// The difference of every row of `logits` for its class in `classes`.
pub fn difference(
    logits: &Tensor,
    classes: &Tensor,
    is_targeted: bool,
    (margin, probability): (f64, f64),
) -> Result<Tensor> {
    let own_index = classes.f_unsqueeze(1)?;
    let rival_index = lowered(&logits.f_detach()?, &own_index)?.f_argmax(1, true)?;
    let own = logits.f_gather(1, &own_index, false)?;
    let rival = logits.f_gather(1, &rival_index, false)?;
    let (wanted, other) = if is_targeted {
        (own, rival)
    } else {
        (rival, own)
    };
    let mut difference = other.f_sub(&wanted)?;
    if margin > 0.0 {
        difference = difference.f_add(&difference.f_full_like(margin)?.f_detach()?)?;
    }
    if probability > 0.0 {
        let log = wanted.f_sub(&logits.f_logsumexp([1], true)?)?;
        let missing = log.f_full_like(probability.ln())?.f_detach()?.f_sub(&log)?;
        difference = difference.f_maximum(&missing)?;
    }
    Ok(difference.f_squeeze_dim(1)?)
}

/// What a user's criterion returned for `n` images, as a difference: booleans
/// become -1 where true and 1 where false, and have no gradient.
pub fn custom(judged: Tensor, n: i64, needs_gradient: bool) -> Result<Tensor> {
    if judged.size() != [n] {
        return Err(Error::Value(format!(
            "criterion: got a tensor of shape {:?} for {n} images, expected [{n}]",
            judged.size()
        )));
    }
    match judged.kind() {
        Kind::Bool if !needs_gradient => {
            let sign = judged.f_to_kind(Kind::Double)?;
            Ok(sign.f_ones_like()?.f_sub(&sign)?.f_sub(&sign)?)
        }
        Kind::Float | Kind::Double => Ok(judged),
        kind => Err(Error::Type(format!(
            "criterion: got {kind:?}, expected float32 or float64, negative where adversarial \
             and differentiable (booleans serve only attacks without gradients)"
        ))),
    }
}
