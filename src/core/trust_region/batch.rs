/*!
Steps for a batch of images, in parallel over images.
*/

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::{Norm, Outcome, Problem, Scratch, step};
use crate::core::real::Real;
use crate::core::{memory, parallel};
use crate::{Error, Result};

/// One problem per row; see [`Problem`].
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a, T> {
    /// Clean images (N, D).
    pub origins: ArrayView2<'a, T>,
    /// Current images (N, D).
    pub points: ArrayView2<'a, T>,
    /// Normals of the boundary (N, D).
    pub normals: ArrayView2<'a, T>,
    /// Required changes (N,).
    pub changes: ArrayView1<'a, f64>,
    /// Longest steps (N,).
    pub radii: ArrayView1<'a, f64>,
}

impl<T: Real> Batch<'_, T> {
    /// Returns the next points (N, D), and whether each is on its plane.
    pub fn steps(&self, norm: Norm) -> Result<(Array2<T>, Vec<bool>)> {
        self.check()?;
        let [origins, points, normals] =
            [&self.origins, &self.points, &self.normals].map(|rows| rows.as_standard_layout());
        let next = memory::filled("points", self.origins.shape(), T::ZERO)?;
        let mut next = Array2::from_shape_vec(self.origins.raw_dim(), next)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let mut reached = vec![false; next.nrows()];
        let make = || Ok(Scratch::default());
        parallel::run(|stop| {
            let rows = next.axis_iter_mut(Axis(0)).into_par_iter();
            let rows = rows.zip(&mut reached).enumerate();
            parallel::each(stop, rows, make, |scratch, (i, (mut row, reached))| {
                let problem = Problem {
                    origin: origins.row(i).to_slice().unwrap_or_default(),
                    point: points.row(i).to_slice().unwrap_or_default(),
                    normal: normals.row(i).to_slice().unwrap_or_default(),
                    change: self.changes[i],
                    radius: self.radii[i],
                };
                let out = row.as_slice_mut().unwrap_or_default();
                *reached = step(norm, &problem, scratch, out) == Outcome::OnPlane;
                Ok(())
            })
        })?;
        Ok((next, reached))
    }

    fn check(&self) -> Result<()> {
        let (n, d) = self.origins.dim();
        for (name, rows) in [("points", self.points), ("normals", self.normals)] {
            if rows.dim() != (n, d) {
                return Err(shape(
                    name,
                    &format!("{:?}", rows.dim()),
                    &format!("({n}, {d})"),
                ));
            }
        }
        for (name, row) in [("changes", self.changes), ("radii", self.radii)] {
            if row.len() != n {
                return Err(shape(name, &row.len().to_string(), &n.to_string()));
            }
        }
        Ok(())
    }
}

fn shape(name: &str, got: &str, expected: &str) -> Error {
    Error::value(format!("{name}: got shape {got}, expected {expected}"))
}
