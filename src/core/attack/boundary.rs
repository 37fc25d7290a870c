/*!
Decision-based: small perturbations from labels alone, within a query budget.

[`Boundary`] keeps the budget; a [`Proposal`] chooses the points. [`Estimate`] follows
an estimate of the boundary's normal, [`RandomWalk`] is the published attack.
*/

pub mod estimate;
pub mod random_walk;

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;

use super::{Answer, Ask, Method, Settings, Stage, Walk};
use crate::Result;
use crate::core::real::Real;
use crate::core::trust_region::Scratch;
pub use estimate::Estimate;
pub use random_walk::RandomWalk;

/// The choice of the next point, from whether the present one is adversarial.
pub trait Proposal<T: Real>: Debug + Send {
    /// Takes over a walk that stands at its best point, and sets its next point.
    fn begin(&mut self, walk: &mut Walk<T>) -> Stage;

    /// Takes the answer about the walk's point, and sets its next point.
    fn next(&mut self, walk: &mut Walk<T>, is_adversarial: bool) -> Stage;
}

/// The attack on one image.
#[derive(Debug)]
pub struct Boundary<T> {
    /// The most queries of an image, starts and confirmation included.
    max_queries: usize,
    n_left: usize,
    proposal: Box<dyn Proposal<T>>,
}

impl<T: Real> Boundary<T> {
    /// An attack that has not begun.
    #[must_use]
    pub fn new(max_queries: usize, proposal: Box<dyn Proposal<T>>) -> Self {
        Self {
            max_queries,
            n_left: max_queries,
            proposal,
        }
    }

    /// The attack with the settings of `attacks.Boundary`; `rng` is the image's own
    /// stream.
    pub fn from_settings(settings: &Settings, rng: ChaCha8Rng) -> Result<Self> {
        let proposals = [("estimate", false), ("published", true)];
        let proposal: Box<dyn Proposal<T>> = if settings.choice("proposal", &proposals)? {
            let rules = random_walk::Rules::from_settings(settings)?;
            Box::new(RandomWalk::new(rules, rng))
        } else {
            let rules = estimate::Rules::from_settings(settings)?;
            Box::new(Estimate::new(rules, rng))
        };
        Ok(Self::new(settings.count("max_queries")?, proposal))
    }
}

impl<T: Real> Method<T> for Boundary<T> {
    fn begin(&mut self, walk: &mut Walk<T>, _boundary: Vec<Vec<T>>) -> Stage {
        walk.settle();
        self.n_left = self.left(walk);
        if self.n_left == 0 {
            return Stage::Over;
        }
        self.proposal.begin(walk)
    }

    fn ask(&self) -> Ask {
        Ask::Value
    }

    fn answer(
        &mut self,
        walk: &mut Walk<T>,
        answer: Answer<'_, T>,
        _scratch: &mut Scratch,
    ) -> Stage {
        walk.consider(answer.difference);
        self.n_left = self.left(walk);
        if self.n_left == 0 {
            return Stage::Over;
        }
        self.proposal.next(walk, answer.difference < 0.0)
    }

    fn planned(&self) -> usize {
        self.n_left
    }

    /// One query is kept for the confirmation.
    fn left(&self, walk: &Walk<T>) -> usize {
        self.max_queries.saturating_sub(1 + walk.n_queries as usize)
    }
}
