/*!
Decision-based, maximum norm: a search over the signs of the perturbation.

After `RayS` (Chen and Gu 2020, arXiv 2006.12792): the perturbation changes every pixel by
the radius, up or down. The signs of one block of pixels are reversed at a time; where
the point is still adversarial at a smaller radius, the reversal is kept and the least
radius is sought. Blocks halve from the whole image to single pixels, and then begin
again.

Three things differ. Blocks are squares of the image, first of all channels and then of
each, in random order, where theirs are runs of the flattened image. A reversal must
gain 0.5 % of the radius. The radius shrinks by growing steps before it is bisected, and
only to 2 %, because most reversals gain little. The first signs are all up, or all
down, or those of the start: the first of these that is adversarial.
*/

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Proposal, Stage, Walk};
use crate::core::norm::Norm;
use crate::core::real::Real;

/// What a reversal must gain, as a share of the radius.
const LEAST_GAIN: f64 = 0.005;
/// The first step of a shrinking radius, and the width at which a bisection ends, as
/// shares of the radius.
const FINE: f64 = 0.02;
/// The largest step of a shrinking radius.
const COARSE: f64 = 0.5;

/// What the present question is about.
#[derive(Debug, Clone, Copy)]
enum State {
    /// The image at the largest radius, all up or all down.
    Open { is_up: bool },
    /// The candidate at a radius that is worth it.
    Try,
    /// The candidate at a radius smaller by `step`.
    Shrink { step: f64 },
    /// The candidate in the middle of a bracket.
    Bisect { low: f64, middle: f64 },
}

/// The squares of one size.
#[derive(Debug, Clone, Copy)]
struct Grid {
    size: usize,
    is_by_channel: bool,
}

/// The search of one image.
#[derive(Debug)]
pub struct Signs {
    shape: [usize; 3],
    rng: ChaCha8Rng,
    state: State,
    /// The squares of a size, and those of them that are still to be tried.
    grids: Vec<Grid>,
    grid: usize,
    blocks: Vec<usize>,
    /// The perturbation at radius 1, and the least radius known to be adversarial.
    pattern: Vec<f64>,
    radius: f64,
    /// The perturbation that is tried, and its least radius so far.
    candidate: Vec<f64>,
    found: f64,
}

impl Signs {
    /// A search for an image of this shape that has not begun; `rng` is the image's own
    /// stream.
    #[must_use]
    pub fn new(shape: [usize; 3], rng: ChaCha8Rng) -> Self {
        let [channels, height, width] = shape;
        let whole = height.max(width).max(1).next_power_of_two();
        let sizes = (0..=whole.ilog2()).rev().map(|l| 1 << l);
        let kinds = if channels > 1 {
            &[false, true][..]
        } else {
            &[false]
        };
        let grids = sizes.flat_map(|size| {
            kinds.iter().map(move |&is_by_channel| Grid {
                size,
                is_by_channel,
            })
        });
        Self {
            shape,
            rng,
            state: State::Try,
            grids: grids.collect(),
            grid: 0,
            blocks: Vec::new(),
            pattern: Vec::new(),
            radius: 0.0,
            candidate: Vec::new(),
            found: 0.0,
        }
    }

    /// Asks about the next candidate.
    fn try_next<T: Real>(&mut self, walk: &mut Walk<T>) -> Stage {
        if self.radius <= 0.0 {
            return Stage::Over;
        }
        self.reverse_block();
        self.state = State::Try;
        self.ask(walk, (1.0 - LEAST_GAIN) * self.radius)
    }

    /// Asks about the image at the largest radius, all up or all down.
    fn open<T: Real>(&mut self, walk: &mut Walk<T>, is_up: bool) -> Stage {
        self.candidate = vec![if is_up { 1.0 } else { -1.0 }; self.pattern.len()];
        self.found = 1.0;
        self.state = State::Open { is_up };
        self.ask(walk, self.found)
    }

    /// Asks about the start with every pixel changed by the radius.
    fn round_start<T: Real>(&mut self, walk: &mut Walk<T>) -> Stage {
        self.candidate = self.pattern.iter().map(|&change| sign(change)).collect();
        self.state = State::Try;
        self.ask(walk, (1.0 - LEAST_GAIN) * self.radius)
    }

    /// Makes the candidate with the signs of the next block reversed.
    fn reverse_block(&mut self) {
        if self.blocks.is_empty() {
            let n = self.n_blocks(self.grids[self.grid]);
            self.blocks = (0..n).collect();
            self.blocks.shuffle(&mut self.rng);
        }
        let block = self.blocks.pop().unwrap_or(0);
        self.candidate.clone_from(&self.pattern);
        let [channels, height, width] = self.shape;
        let grid = self.grids[self.grid];
        let (rows, columns) = (height.div_ceil(grid.size), width.div_ceil(grid.size));
        let (channel, place) = (block / (rows * columns), block % (rows * columns));
        let of_channels = if grid.is_by_channel {
            channel..channel + 1
        } else {
            0..channels
        };
        let of = |at: usize, end: usize| at * grid.size..((at + 1) * grid.size).min(end);
        for channel in of_channels {
            for row in of(place / columns, height) {
                for column in of(place % columns, width) {
                    let at = (channel * height + row) * width + column;
                    self.candidate[at] = -sign(self.pattern[at]);
                }
            }
        }
        if self.blocks.is_empty() {
            self.grid = (self.grid + 1) % self.grids.len();
        }
    }

    fn n_blocks(&self, grid: Grid) -> usize {
        let [channels, height, width] = self.shape;
        let squares = height.div_ceil(grid.size) * width.div_ceil(grid.size);
        squares * if grid.is_by_channel { channels } else { 1 }
    }

    /// Asks about the candidate at this radius.
    fn ask<T: Real>(&self, walk: &mut Walk<T>, radius: f64) -> Stage {
        let pixels = walk.point.iter_mut().zip(&walk.origin);
        for ((point, &origin), direction) in pixels.zip(&self.candidate) {
            let moved = origin.into() + radius * direction;
            *point = T::from_f64(moved.clamp(0.0, 1.0));
        }
        Stage::GoesOn
    }

    /// Asks about a radius smaller by `step`.
    fn shrink<T: Real>(&mut self, walk: &mut Walk<T>, step: f64) -> Stage {
        self.state = State::Shrink { step };
        self.ask(walk, (1.0 - step) * self.found)
    }

    /// Halves the bracket from `low` to the least radius, or keeps the candidate.
    fn bisect<T: Real>(&mut self, walk: &mut Walk<T>, low: f64) -> Stage {
        if self.found - low <= FINE * self.found {
            std::mem::swap(&mut self.pattern, &mut self.candidate);
            self.radius = self.found;
            return self.try_next(walk);
        }
        let middle = f64::midpoint(low, self.found);
        self.state = State::Bisect { low, middle };
        self.ask(walk, middle)
    }
}

impl<T: Real> Proposal<T> for Signs {
    fn begin(&mut self, walk: &mut Walk<T>) -> Stage {
        self.radius = Norm::Linf.size(&walk.point, &walk.origin);
        let pixels = walk.point.iter().zip(&walk.origin);
        let change = pixels.map(|(&x, &origin)| (x.into() - origin.into()) / self.radius);
        self.pattern = change.collect();
        if self.radius <= 0.0 {
            return Stage::Over;
        }
        self.open(walk, true)
    }

    fn next(&mut self, walk: &mut Walk<T>, is_adversarial: bool) -> Stage {
        match self.state {
            // Taken even where the start is nearer: blocks improve it much faster.
            State::Open { .. } if is_adversarial => self.bisect(walk, 0.0),
            State::Open { is_up: true } => self.open(walk, false),
            State::Open { is_up: false } => self.round_start(walk),
            State::Try if is_adversarial => {
                self.found = (1.0 - LEAST_GAIN) * self.radius;
                self.shrink(walk, FINE)
            }
            State::Try => self.try_next(walk),
            State::Shrink { step } if is_adversarial => {
                self.found *= 1.0 - step;
                self.shrink(walk, (2.0 * step).min(COARSE))
            }
            State::Shrink { step } => self.bisect(walk, (1.0 - step) * self.found),
            State::Bisect { low, middle } => {
                let low = if is_adversarial {
                    self.found = middle;
                    low
                } else {
                    middle
                };
                self.bisect(walk, low)
            }
        }
    }
}

/// 1 for a change of 0, which has to go somewhere.
fn sign(change: f64) -> f64 {
    if change < 0.0 { -1.0 } else { 1.0 }
}
