/*!
One image under attack: where it stands and the best it has seen.
*/

use super::ball;
use crate::core::norm::Norm;
use crate::core::real::Real;

/// Pushing a point off the boundary at confirmation: first relative push, and
/// how often it is doubled.
const FIRST_PUSH: f64 = 1e-4;
/// See [`FIRST_PUSH`]; the last push lengthens the perturbation by 1.3 %.
const N_PUSHES: usize = 7;

/// How a search ended, or that it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Still under way.
    Active,
    /// The attack ran to its end.
    Completed,
    /// The clean image is adversarial.
    AlreadyAdversarial,
    /// No adversarial start was found.
    NoStart,
    /// The given start is not adversarial.
    BadStart,
    /// The model returned NaN or infinity.
    NotFinite,
    /// The gradient vanished.
    ZeroGradient,
    /// The final query did not confirm any point.
    Unconfirmed,
}

impl Status {
    /// The word Python sees.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::AlreadyAdversarial => "already_adversarial",
            Self::NoStart => "no_start",
            Self::BadStart => "bad_start",
            Self::NotFinite => "not_finite",
            Self::ZeroGradient => "zero_gradient",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// One image on its way.
#[derive(Debug, Clone)]
pub struct Walk<T> {
    /// The clean image.
    pub origin: Vec<T>,
    /// The point to query next.
    pub point: Vec<T>,
    /// What is made small.
    pub norm: Norm,
    /// The largest size of a confirmed point; infinite for attacks without a
    /// budget.
    pub limit: f64,
    /// How the search stands.
    pub status: Status,
    /// How often the model was asked about a point of this walk.
    pub n_queries: i64,
    /// How many of those asked for the gradient too.
    pub n_gradients: i64,
    /// Each improvement, as the queries so far and the new size.
    pub trajectory: Vec<(i64, f64)>,
    /// The nearest adversarial point, and the size of its perturbation.
    best: Option<Vec<T>>,
    size: f64,
    /// The first adversarial point, to return to if no nearer one is
    /// confirmed.
    refuge: Vec<T>,
    /// At confirmation: the adversarial point with the largest margin, and this
    /// margin, while none exceeds the model's rounding.
    doubtful: Vec<T>,
    margin: f64,
}

impl<T: Real> Walk<T> {
    /// A walk that stands at its origin.
    #[must_use]
    pub fn new(origin: Vec<T>, norm: Norm) -> Self {
        Self {
            point: origin.clone(),
            norm,
            limit: f64::INFINITY,
            status: Status::Active,
            n_queries: 0,
            n_gradients: 0,
            trajectory: Vec::new(),
            best: None,
            size: f64::INFINITY,
            refuge: Vec::new(),
            doubtful: Vec::new(),
            margin: 0.0,
            origin,
        }
    }

    /// Whether the search goes on.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Ends the search, unless it has ended for another reason.
    pub fn finish(&mut self, status: Status) {
        if self.is_active() {
            self.status = status;
        }
    }

    /// The nearest adversarial point, if one is known.
    #[must_use]
    pub fn best(&self) -> Option<&[T]> {
        self.best.as_deref()
    }

    /// The size of its perturbation; infinite without one.
    #[must_use]
    pub fn size(&self) -> f64 {
        self.size
    }

    /// Reports the difference at the clean image.
    pub fn inspect(&mut self, difference: f64) {
        if !difference.is_finite() {
            self.status = Status::NotFinite;
        } else if difference < 0.0 {
            self.status = Status::AlreadyAdversarial;
            self.keep();
        }
    }

    /// Reports the difference at the present point, which is remembered if it
    /// is adversarial and the nearest yet; returns its size if adversarial.
    pub fn consider(&mut self, difference: f64) -> Option<f64> {
        if difference >= 0.0 || difference.is_nan() {
            return None;
        }
        let size = self.norm.size(&self.point, &self.origin);
        if size < self.size {
            self.keep();
        }
        Some(size)
    }

    /// Returns to the best point, if there is one.
    pub fn settle(&mut self) -> bool {
        let Some(best) = &self.best else {
            return false;
        };
        self.point.clone_from(best);
        true
    }

    /// Moves half of the way to the best point.
    pub fn halve(&mut self) {
        for (point, &best) in self.point.iter_mut().zip(self.best.iter().flatten()) {
            *point = T::from_f64(0.5 * ((*point).into() + best.into()));
        }
    }

    /// Moves a little outwards of the best point, to be asked about once more.
    /// Attacks within a budget do not stop at the boundary, so their best point itself
    /// is asked about.
    /// Returns whether there is a best point.
    pub fn begin_confirmation(&mut self) -> bool {
        self.doubtful.clear();
        self.margin = 0.0;
        if self.limit.is_finite() {
            return self.settle();
        }
        self.push(FIRST_PUSH);
        self.best.is_some()
    }

    /// Reports the difference at the point of an `attempt` to confirm: a little
    /// outwards of the best point, that point itself, further and further
    /// outwards, the first adversarial point. The first whose margin exceeds the
    /// model's `rounding` is taken, or else the one with the largest margin.
    ///
    /// Returns the next attempt, if the question is not settled.
    pub fn confirm(&mut self, difference: f64, rounding: f64, attempt: usize) -> Option<usize> {
        if difference < -rounding {
            self.accept();
            return None;
        }
        if -difference > self.margin {
            self.margin = -difference;
            self.doubtful.clone_from(&self.point);
        }
        match attempt {
            // The best itself is nearer to the boundary than what was adversarial.
            0 if self.doubtful.is_empty() => _ = self.settle(),
            0 => return self.confirm(f64::INFINITY, rounding, 1),
            1..=N_PUSHES => self.push(FIRST_PUSH * f64::from(1_u32 << attempt)),
            _ if attempt == N_PUSHES + 1 => self.point.clone_from(&self.refuge),
            _ if self.doubtful.is_empty() => {
                self.best = None;
                self.status = Status::Unconfirmed;
                return None;
            }
            _ => {
                self.point.clone_from(&self.doubtful);
                self.accept();
                return None;
            }
        }
        Some(attempt + 1)
    }

    /// Takes the present point as the best, an improvement.
    fn keep(&mut self) {
        self.accept();
        self.trajectory.push((self.n_queries, self.size));
    }

    /// Takes the present point as the best.
    fn accept(&mut self) {
        self.size = self.norm.size(&self.point, &self.origin);
        if let Some(best) = &mut self.best {
            best.clone_from(&self.point);
        } else {
            self.refuge.clone_from(&self.point);
            self.best = Some(self.point.clone());
        }
    }

    /// Lengthens the best perturbation by a relative `amount`, up to the limit.
    fn push(&mut self, amount: f64) {
        let best = self.best.as_ref().unwrap_or(&self.origin);
        let pixels = best.iter().zip(&self.origin);
        let mut delta: Vec<f64> = pixels
            .map(|(&best, &origin)| (1.0 + amount) * (best.into() - origin.into()))
            .collect();
        let point = &mut self.point;
        ball::place(self.norm, self.limit, &self.origin, &mut delta, point);
    }
}
