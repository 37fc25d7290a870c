/*!
The nearest of several planes, found one by one in the memory of those that are kept.
*/

use tch::Tensor;

use crate::Result;
use crate::core::norm::Norm;

/// A plane for each image: its distance, the logit difference, and its gradient.
struct Plane {
    distance: Tensor,
    difference: Tensor,
    gradient: Tensor,
}

/// The nearest planes so far, the nearest first.
pub struct Nearest {
    norm: Norm,
    wanted: usize,
    planes: Vec<Plane>,
}

impl Nearest {
    /// No plane yet; as many as `wanted` will be kept.
    pub fn new(norm: Norm, wanted: usize) -> Self {
        Self {
            norm,
            wanted,
            planes: Vec::new(),
        }
    }

    /// Takes the differences (n,) to one more class and their gradients (n, D).
    pub fn consider(&mut self, difference: Tensor, gradient: Tensor) -> Result<()> {
        // The distance of a plane is the height over the dual norm of the slope.
        let slope = match self.norm {
            Norm::Linf => gradient
                .f_abs()?
                .f_sum_dim_intlist([1].as_slice(), false, None)?,
            Norm::L2 => gradient.f_norm_scalaropt_dim(2.0, [1], false)?,
            Norm::L1 | Norm::L0 => gradient.f_abs()?.f_amax([1], false)?,
        };
        let distance = difference.f_div(&slope)?;
        let infinite = distance.f_full_like(f64::INFINITY)?;
        let distance = infinite.f_where_self(&distance.f_isnan()?, &distance)?;
        let mut next = Plane {
            distance,
            difference,
            gradient,
        };
        for plane in &mut self.planes {
            let is_nearer = next.distance.f_lt_tensor(&plane.distance)?;
            let swapped = swap(&is_nearer, &next.distance, &plane.distance)?;
            (plane.distance, next.distance) = swapped;
            let swapped = swap(&is_nearer, &next.difference, &plane.difference)?;
            (plane.difference, next.difference) = swapped;
            let is_nearer = is_nearer.f_unsqueeze(1)?;
            let swapped = swap(&is_nearer, &next.gradient, &plane.gradient)?;
            (plane.gradient, next.gradient) = swapped;
        }
        if self.planes.len() < self.wanted {
            self.planes.push(next);
        }
        Ok(())
    }

    /// The differences (n, kept) and gradients (n, kept D).
    pub fn planes(&self) -> Result<(Tensor, Tensor)> {
        let differences: Vec<&Tensor> = self.planes.iter().map(|one| &one.difference).collect();
        let gradients: Vec<&Tensor> = self.planes.iter().map(|one| &one.gradient).collect();
        Ok((
            Tensor::f_stack(&differences, 1)?,
            Tensor::f_cat(&gradients, 1)?,
        ))
    }
}

/// `first` where `is_first`, else `second`; and the other way round.
fn swap(is_first: &Tensor, first: &Tensor, second: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((
        first.f_where_self(is_first, second)?,
        second.f_where_self(is_first, first)?,
    ))
}
