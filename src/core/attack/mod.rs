/*!
An attack on one image, as a conversation with a classifier.

Pure state, no tensors. A [`Search`] names the point it wants to know about
and whether it needs the gradient there ([`Search::ask`]); whoever can ask a
model answers with the logit difference `d`, negative exactly for adversarial
points ([`Search::answer`]). The life of a search is the same for every
attack:

1. *Inspect*: the clean image; it may be adversarial already.
2. *Seek*: adversarial starts, pulled to the decision boundary ([`Start`]).
3. *Follow*: the attack itself, a [`Method`].
4. *Confirm*: the best point is asked about once more ([`Walk`]).

A search knows nothing of other images, so a result depends neither on how
images are batched nor on the order in which they are answered.
*/

pub mod ball;
pub mod boundary;
pub mod brendel_bethge;
pub mod pgd;
mod settings;
mod start;
mod walk;

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;

use super::real::Real;
use super::trust_region::Scratch;
use crate::{Error, Result};
use boundary::Boundary;
use brendel_bethge::BrendelBethge;
use pgd::Pgd;
pub use settings::{Settings, Value};
pub use start::{Points, Source, Start};
pub use walk::{Status, Walk};

/// What a search wants to know about its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The logit difference.
    Value,
    /// The logit difference and its gradient.
    Gradient,
    /// The boundaries to the other classes, as planes.
    Survey,
    /// Nothing: the search has ended.
    Nothing,
}

/// Whether a stage of a search goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The walk's point is the next question.
    GoesOn,
    /// The stage is over.
    Over,
}

/// An answer about the walk's point.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a, T> {
    /// The logit difference.
    pub difference: f64,
    /// What the model's rounding may change in it.
    pub rounding: f64,
    /// Its gradient; empty where only the value was asked for.
    pub gradient: &'a [T],
    /// Of a survey: the logit differences to the nearest classes, the nearest first;
    /// `gradient` holds their gradients one after the other.
    pub differences: &'a [f64],
    /// The backward passes of this answer.
    pub n_gradients: i64,
}

impl<'a, T> Answer<'a, T> {
    /// The answer to [`Ask::Value`], without rounding.
    #[must_use]
    pub fn value(difference: f64) -> Self {
        Self {
            difference,
            rounding: 0.0,
            gradient: &[],
            differences: &[],
            n_gradients: 0,
        }
    }

    /// The answer to [`Ask::Gradient`], without rounding.
    #[must_use]
    pub fn gradient(difference: f64, gradient: &'a [T]) -> Self {
        Self {
            gradient,
            n_gradients: 1,
            ..Self::value(difference)
        }
    }
}

/// The part of a search in which attacks differ.
pub trait Method<T: Real>: Debug + Send {
    /// Takes over a walk and sets its first point.
    ///
    /// `boundary` holds the boundary points of the starts, nearest first.
    fn begin(&mut self, walk: &mut Walk<T>, boundary: Vec<Vec<T>>) -> Stage;

    /// What is asked about the walk's point.
    fn ask(&self) -> Ask;

    /// Takes the answer and sets the walk's next point.
    fn answer(&mut self, walk: &mut Walk<T>, answer: Answer<'_, T>, scratch: &mut Scratch)
    -> Stage;

    /// How many answers the method may take at most, for progress bars.
    fn planned(&self) -> usize;

    /// The queries that are left for starts and steps, where there is a budget.
    fn left(&self, _walk: &Walk<T>) -> usize {
        usize::MAX
    }

    /// The share of the probes' power in each frequency band, where it is learned.
    fn probe_spectrum(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// Every attack: its method for the image at `position` of a call, from the name and
/// the settings of its class in Python; `shape` is that of the image (channels, height,
/// width), and `rng` its own stream.
///
/// # Errors
/// [`Error::Internal`] for a name that is not here, or settings that do not fit.
pub fn method<T: Real>(
    settings: &Settings,
    position: usize,
    shape: [usize; 3],
    rng: ChaCha8Rng,
) -> Result<Box<dyn Method<T>>> {
    Ok(match settings.attack() {
        "boundary" => Box::new(Boundary::from_settings(settings, shape, rng)?),
        "brendel_bethge" => Box::new(BrendelBethge::from_settings(settings)?),
        "pgd" => Box::new(Pgd::from_settings(settings, position, rng)?),
        other => {
            let text = format!("attack '{other}': not known in core/attack/mod.rs");
            return Err(Error::Internal(text));
        }
    })
}

/// Where in its life a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Inspect,
    Seek,
    Follow,
    Confirm { attempt: usize },
    Ended,
}

/// One image, its start and its method.
#[derive(Debug)]
pub struct Search<T> {
    /// The image and what is known about it.
    pub walk: Walk<T>,
    start: Start<T>,
    method: Box<dyn Method<T>>,
    phase: Phase,
}

impl<T: Real> Search<T> {
    /// A search that stands at its clean image.
    #[must_use]
    pub fn new(walk: Walk<T>, start: Start<T>, method: Box<dyn Method<T>>) -> Self {
        Self {
            walk,
            start,
            method,
            phase: Phase::Inspect,
        }
    }

    /// What the search wants to know about `walk.point`.
    #[must_use]
    pub fn ask(&self) -> Ask {
        match self.phase {
            Phase::Inspect | Phase::Confirm { .. } => Ask::Value,
            Phase::Seek => self.start.ask(),
            Phase::Follow => self.method.ask(),
            Phase::Ended => Ask::Nothing,
        }
    }

    /// The share of the probes' power in each frequency band, where it is learned.
    #[must_use]
    pub fn probe_spectrum(&self) -> Vec<f64> {
        self.method.probe_spectrum()
    }

    /// Takes the answer about `walk.point` and moves on; returns how many of
    /// the method's planned answers that used up.
    pub fn answer(&mut self, answer: Answer<'_, T>, scratch: &mut Scratch) -> usize {
        let planned = self.planned();
        self.walk.n_queries += 1;
        self.walk.n_gradients += answer.n_gradients;
        match self.phase {
            Phase::Inspect => self.inspect(answer.difference),
            Phase::Seek => {
                let stage = self.start.answer(&mut self.walk, answer, scratch);
                self.after_start(stage);
            }
            Phase::Follow => {
                let stage = self.method.answer(&mut self.walk, answer, scratch);
                self.after_method(stage);
            }
            Phase::Confirm { attempt } => {
                let Answer {
                    difference,
                    rounding,
                    ..
                } = answer;
                self.phase = match self.walk.confirm(difference, rounding, attempt) {
                    Some(attempt) => Phase::Confirm { attempt },
                    None => Phase::Ended,
                };
            }
            Phase::Ended => {}
        }
        planned - self.planned()
    }

    /// How many of the method's planned answers may still come.
    fn planned(&self) -> usize {
        match self.phase {
            Phase::Inspect | Phase::Seek | Phase::Follow => self.method.planned(),
            Phase::Confirm { .. } | Phase::Ended => 0,
        }
    }

    /// Reports the difference at the clean image.
    fn inspect(&mut self, difference: f64) {
        self.walk.inspect(difference);
        if self.walk.is_active() {
            self.phase = Phase::Seek;
            let stage = self.start.begin(&mut self.walk);
            self.after_start(stage);
        } else {
            self.phase = Phase::Ended;
        }
    }

    fn after_start(&mut self, stage: Stage) {
        if stage == Stage::GoesOn {
            if self.method.left(&self.walk) > 0 {
                return;
            }
            if self.walk.best().is_none() {
                self.walk.finish(Status::NoStart);
            }
        }
        if !self.walk.is_active() {
            self.begin_confirmation();
            return;
        }
        self.phase = Phase::Follow;
        let boundary = self.start.take_boundary();
        let stage = self.method.begin(&mut self.walk, boundary);
        self.after_method(stage);
    }

    fn after_method(&mut self, stage: Stage) {
        if stage == Stage::Over {
            self.walk.finish(Status::Completed);
            self.begin_confirmation();
        }
    }

    fn begin_confirmation(&mut self) {
        self.phase = if self.walk.begin_confirmation() {
            Phase::Confirm { attempt: 0 }
        } else {
            Phase::Ended
        };
    }
}

#[cfg(test)]
mod tests;
