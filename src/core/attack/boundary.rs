/*!
Decision-based: small perturbations from labels alone, within a query budget.

[`Boundary`] keeps the budget; a [`Proposal`] chooses the points. [`Shaped`] (L2) follows
an estimate of the boundary's normal by probes of learned frequencies, [`Signs`] (the
maximum norm) reverses the signs of blocks, [`Estimate`] follows an estimate by white
probes, and [`RandomWalk`] is the published attack.
*/

pub mod bands;
pub mod estimate;
pub mod random_walk;
pub mod shaped;
pub mod signs;
pub mod spectrum;

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;

use super::{Answer, Ask, Method, Settings, Stage, Walk};
use crate::Result;
use crate::core::real::Real;
use crate::core::trust_region::Scratch;
pub use estimate::Estimate;
pub use random_walk::RandomWalk;
pub use shaped::Shaped;
pub use signs::Signs;

/// The choice of the next point, from whether the present one is adversarial.
pub trait Proposal<T: Real>: Debug + Send {
    /// Takes over a walk that stands at its best point, and sets its next point.
    fn begin(&mut self, walk: &mut Walk<T>) -> Stage;

    /// Takes the answer about the walk's point, and sets its next point.
    fn next(&mut self, walk: &mut Walk<T>, is_adversarial: bool) -> Stage;

    /// The share of the probes' power in each band, where it is learned.
    fn probe_spectrum(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// The choices of `proposal`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Bands,
    Signs,
    Estimate,
    Published,
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

    /// The attack with the settings of `attacks.Boundary` on an image of this shape;
    /// `rng` is the image's own stream.
    pub fn from_settings(settings: &Settings, shape: [usize; 3], rng: ChaCha8Rng) -> Result<Self> {
        let proposals = [
            ("bands", Kind::Bands),
            ("signs", Kind::Signs),
            ("estimate", Kind::Estimate),
            ("published", Kind::Published),
        ];
        let proposal: Box<dyn Proposal<T>> = match settings.choice("proposal", &proposals)? {
            Kind::Bands => {
                let rules = shaped::Rules::from_settings(settings)?;
                Box::new(Shaped::new(rules, shape, rng))
            }
            Kind::Signs => Box::new(Signs::new(shape, rng)),
            Kind::Estimate => {
                let rules = estimate::Rules::from_settings(settings)?;
                Box::new(Estimate::new(rules, rng))
            }
            Kind::Published => {
                let rules = random_walk::Rules::from_settings(settings)?;
                Box::new(RandomWalk::new(rules, rng))
            }
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

    fn probe_spectrum(&self) -> Vec<f64> {
        self.proposal.probe_spectrum()
    }
}

#[cfg(test)]
mod tests;
