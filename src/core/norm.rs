/*!
Norms of perturbations.
*/
use super::real::Real;

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The largest change of a pixel.
    Linf,
    /// The Euclidean length.
    L2,
}

impl Norm {
    /// The size of a perturbation.
    #[must_use]
    pub fn size<T: Real>(self, point: &[T], origin: &[T]) -> f64 {
        let pixels = point.iter().zip(origin);
        match self {
            Self::Linf => pixels.fold(0.0, |most: f64, (&x, &o)| {
                most.max((x.into() - o.into()).abs())
            }),
            Self::L2 => pixels
                .map(|(&x, &o)| (x.into() - o.into()).powi(2))
                .sum::<f64>()
                .sqrt(),
        }
    }
    /// Between origin (0) and start (1).
    pub fn midpoint<T: Real>(self, origin: &[T], start: &[T], fraction: f64, out: &mut [T]) {
        let whole = self.size(start, origin);
        for ((p, &o), &s) in out.iter_mut().zip(origin).zip(start) {
            let (o, s): (f64, f64) = (o.into(), s.into());
            let d = match self {
                Self::Linf => (s - o).clamp(-whole * fraction, whole * fraction),
                Self::L2 => fraction * (s - o),
            };
            *p = T::from_f64(o + d);
        }
    }
}
