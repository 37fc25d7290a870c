/*!
Adversarial starting points, pulled to the decision boundary.

Four sources. *Points*: given, or drawn from a pool of images; they are tried
in order until there are as many starts as wanted. *Survey*, the default without a
target: the boundaries to the other classes are taken for planes, as seen from the
clean image. A start steps beyond the nearest plane, and goes on to the boundary as
it looks from there (as `DeepFool` does, Moosavi-Dezfooli et al. 2016); the next start
takes the next plane. *Climb*, the default towards a target, and where a survey
finds nothing: from the clean image along the signed gradient of the logit difference, within a
maximum norm that grows from 0.003 to 0.5; further climbs set out from noise
around the image, and an image that resists three of them tries the next
source. *Noise*: images of uniform noise, whole and blended with the clean
image; it needs no gradient. Networks take all fine noise for the same class,
so its grain doubles from image to image: runs of one pixel, two, four.

Each start is then bisected towards the clean image along the map of the norm.
*/

use std::collections::VecDeque;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Answer, Ask, Stage, Status, Walk};
use crate::core::real::Real;
use crate::core::trust_region::{Outcome, Problem, Scratch, step};

/// How far beyond a surveyed plane a start steps, as a multiple of the way to it.
const BEYOND_PLANE: f64 = 1.1;
/// The same for the steps that follow, where the point is not adversarial yet.
const BEYOND_BOUNDARY: f64 = 1.3;
/// Steps that may follow.
const N_FOLLOWING: usize = 8;
/// Signed-gradient steps whose budget grows by the square root of 2.
const N_GROWING: usize = 16;
/// Further steps at the full budget.
const N_FULL: usize = 8;
/// The full budget: half the range of pixels.
const BUDGET: f64 = 0.5;
/// Climbs that are tried for a start; each takes steps half as long.
const N_CLIMBS: usize = 3;
/// Half width of the noise from which all climbs but the first set out.
const SPREAD: f64 = 0.03;
/// Noise images that are tried.
const N_NOISE: usize = 10;
/// Their shares in blends with the clean image.
const BLENDS: [f64; 4] = [1.0, 0.75, 0.5, 0.25];

/// Points to try in order.
#[derive(Debug)]
pub struct Points<T> {
    /// Images one after the other, each as long as the clean image.
    pub pixels: Arc<Vec<T>>,
    /// The images to try.
    pub rows: VecDeque<usize>,
    /// How many starts are wanted.
    pub wanted: usize,
    /// The status if none of them is adversarial.
    pub failure: Status,
}

/// Where starts come from.
#[derive(Debug)]
pub enum Source<T> {
    /// Points, given or drawn.
    Points(Points<T>),
    /// The nearest planes, then as `Climb`; this many starts.
    Survey(usize),
    /// Signed gradients, then noise; this many starts.
    Climb(usize),
    /// The same, the first climb too from noise around the image, so that
    /// another random stream gives another start.
    Scatter(usize),
    /// Noise; this many starts.
    Noise(usize),
    /// The attack needs no start.
    Unneeded,
}

/// What the present question is about.
#[derive(Debug, Clone, Copy)]
enum State {
    /// A point of the list.
    Point,
    /// The planes around the clean image.
    Survey,
    /// Step `round` towards a boundary.
    Approach { round: usize },
    /// Step `round` of a climb.
    Climb { attempt: usize, round: usize },
    /// Blend `round % 4` of noise image `round / 4`.
    Noise { round: usize },
    /// The middle of the bracket around the boundary.
    Bisect { round: usize, low: f64, high: f64 },
}

/// The search for starts.
#[derive(Debug)]
pub struct Start<T> {
    source: Source<T>,
    /// Bisections between origin and start.
    n_bisections: usize,
    rng: ChaCha8Rng,
    state: State,
    /// The start that is being bisected, or the noise image that is blended.
    far_end: Vec<T>,
    /// Planes that no start has tried yet, the nearest first: the logit difference
    /// and its gradient at the clean image.
    planes: VecDeque<(f64, Vec<T>)>,
    /// Where a step is written.
    next_point: Vec<T>,
    boundary: Vec<(f64, Vec<T>)>,
}

impl<T: Real> Start<T> {
    /// A search that has not begun; `rng` is the image's own stream.
    #[must_use]
    pub fn new(source: Source<T>, n_bisections: usize, rng: ChaCha8Rng) -> Self {
        Self {
            source,
            n_bisections,
            rng,
            state: State::Point,
            far_end: Vec::new(),
            planes: VecDeque::new(),
            next_point: Vec::new(),
            boundary: Vec::new(),
        }
    }

    /// Sets the first point to ask about.
    pub fn begin(&mut self, walk: &mut Walk<T>) -> Stage {
        match &self.source {
            Source::Points(_) => self.point(walk),
            Source::Survey(_) => {
                walk.point.clone_from(&walk.origin);
                self.state = State::Survey;
                Stage::GoesOn
            }
            Source::Climb(_) | Source::Scatter(_) => self.climb_from(walk, 0),
            Source::Noise(_) => self.noise(walk, 0),
            Source::Unneeded => Stage::Over,
        }
    }

    /// What is asked about the walk's point.
    #[must_use]
    pub fn ask(&self) -> Ask {
        match self.state {
            State::Survey => Ask::Survey,
            State::Approach { .. } | State::Climb { .. } => Ask::Gradient,
            _ => Ask::Value,
        }
    }

    /// Takes an answer; at the end the walk is active and has boundary points,
    /// or has ended without a start.
    pub fn answer(
        &mut self,
        walk: &mut Walk<T>,
        answer: Answer<'_, T>,
        scratch: &mut Scratch,
    ) -> Stage {
        let is_adversarial = answer.difference < 0.0;
        walk.consider(answer.difference);
        match self.state {
            State::Bisect { round, low, high } => {
                let middle = f64::midpoint(low, high);
                let (low, high) = if is_adversarial {
                    (low, middle)
                } else {
                    (middle, high)
                };
                self.bisect(walk, round + 1, (low, high), scratch)
            }
            _ if is_adversarial => {
                self.far_end.clone_from(&walk.point);
                self.bisect(walk, 0, (0.0, 1.0), scratch)
            }
            State::Point => self.point(walk),
            State::Survey => {
                let normals = answer.gradient.chunks_exact(walk.origin.len());
                let planes = answer.differences.iter().zip(normals);
                self.planes = planes.map(|(&d, normal)| (d, normal.to_vec())).collect();
                self.plane(walk, scratch)
            }
            State::Approach { round } => self.approach(walk, answer, round, scratch),
            State::Climb { attempt, round } => self.climb(walk, answer.gradient, attempt, round),
            State::Noise { round } => self.noise(walk, round + 1),
        }
    }

    /// The boundary points, nearest first.
    pub fn take_boundary(&mut self) -> Vec<Vec<T>> {
        let mut boundary = std::mem::take(&mut self.boundary);
        boundary.sort_by(|a, b| a.0.total_cmp(&b.0));
        boundary.into_iter().map(|(_, point)| point).collect()
    }

    /// Halves the bracket, or notes the boundary point and seeks the next.
    fn bisect(
        &mut self,
        walk: &mut Walk<T>,
        round: usize,
        (low, high): (f64, f64),
        scratch: &mut Scratch,
    ) -> Stage {
        if round < self.n_bisections {
            let middle = f64::midpoint(low, high);
            walk.norm
                .midpoint(&walk.origin, &self.far_end, middle, &mut walk.point);
            self.state = State::Bisect { round, low, high };
            return Stage::GoesOn;
        }
        walk.norm
            .midpoint(&walk.origin, &self.far_end, high, &mut walk.point);
        let size = walk.norm.size(&walk.point, &walk.origin);
        self.boundary.push((size, walk.point.clone()));
        self.next(walk, scratch)
    }

    /// Seeks one more start, if one more is wanted.
    fn next(&mut self, walk: &mut Walk<T>, scratch: &mut Scratch) -> Stage {
        let n_found = self.boundary.len();
        match &self.source {
            Source::Points(points) if n_found < points.wanted => self.point(walk),
            Source::Survey(wanted) if n_found < *wanted => self.plane(walk, scratch),
            Source::Climb(wanted) | Source::Scatter(wanted) if n_found < *wanted => {
                self.climb_from(walk, 0)
            }
            Source::Noise(wanted) if n_found < *wanted => self.noise(walk, 0),
            _ => Stage::Over,
        }
    }

    /// Moves to the next point of the list, or ends.
    fn point(&mut self, walk: &mut Walk<T>) -> Stage {
        let Source::Points(points) = &mut self.source else {
            return Stage::Over;
        };
        let Some(row) = points.rows.pop_front() else {
            let failure = points.failure;
            return self.end(walk, failure);
        };
        let length = walk.point.len();
        let pixels = &points.pixels[row * length..(row + 1) * length];
        walk.point.copy_from_slice(pixels);
        self.state = State::Point;
        Stage::GoesOn
    }

    /// Steps beyond the nearest plane that is left, or else sets out on a climb.
    fn plane(&mut self, walk: &mut Walk<T>, scratch: &mut Scratch) -> Stage {
        while let Some((difference, normal)) = self.planes.pop_front() {
            walk.point.clone_from(&walk.origin);
            let stage = self.beyond(walk, -BEYOND_PLANE * difference, &normal, scratch);
            if stage == Stage::GoesOn {
                self.state = State::Approach { round: 0 };
                return stage;
            }
        }
        self.climb_from(walk, 0)
    }

    /// Steps beyond the boundary as it looks from the point, or tries the next plane.
    fn approach(
        &mut self,
        walk: &mut Walk<T>,
        answer: Answer<'_, T>,
        round: usize,
        scratch: &mut Scratch,
    ) -> Stage {
        let change = -BEYOND_BOUNDARY * answer.difference;
        if round < N_FOLLOWING
            && self.beyond(walk, change, answer.gradient, scratch) == Stage::GoesOn
        {
            self.state = State::Approach { round: round + 1 };
            return Stage::GoesOn;
        }
        self.plane(walk, scratch)
    }

    /// Moves to where the logit difference changes by `change`, were it linear: of
    /// those points, to the one nearest to the clean image.
    fn beyond(
        &mut self,
        walk: &mut Walk<T>,
        change: f64,
        normal: &[T],
        scratch: &mut Scratch,
    ) -> Stage {
        let problem = Problem {
            origin: &walk.origin,
            point: &walk.point,
            normal,
            change,
            radius: f64::MAX.sqrt(),
        };
        self.next_point.resize(walk.origin.len(), T::ZERO);
        match step(walk.norm, &problem, scratch, &mut self.next_point) {
            Outcome::OnPlane | Outcome::Towards => {
                std::mem::swap(&mut walk.point, &mut self.next_point);
                Stage::GoesOn
            }
            Outcome::NoDirection | Outcome::NotFinite => Stage::Over,
        }
    }

    /// Sets out on a climb: at the clean image, or from noise around it.
    fn climb_from(&mut self, walk: &mut Walk<T>, attempt: usize) -> Stage {
        walk.point.clone_from(&walk.origin);
        let is_scattered = matches!(self.source, Source::Scatter(_));
        if is_scattered || attempt > 0 || !self.boundary.is_empty() {
            for pixel in &mut walk.point {
                let moved = (*pixel).into() + self.rng.random_range(-SPREAD..SPREAD);
                *pixel = T::from_f64(moved.clamp(0.0, 1.0));
            }
        }
        self.state = State::Climb { attempt, round: 0 };
        Stage::GoesOn
    }

    /// One signed-gradient step of a part of the budget, within budget and
    /// [0, 1].
    fn climb(&mut self, walk: &mut Walk<T>, gradient: &[T], attempt: usize, round: usize) -> Stage {
        if round == N_GROWING + N_FULL {
            return if attempt + 1 < N_CLIMBS {
                self.climb_from(walk, attempt + 1)
            } else {
                self.noise(walk, 0)
            };
        }
        let halvings = (N_GROWING - 1).saturating_sub(round) as f64 / 2.0;
        let budget = BUDGET * 0.5_f64.powf(halvings);
        let step = budget * 0.5_f64.powi(1 + attempt as i32);
        for ((point, &origin), &slope) in walk.point.iter_mut().zip(&walk.origin).zip(gradient) {
            let (slope, origin): (f64, f64) = (slope.into(), origin.into());
            let sign = if slope == 0.0 || slope.is_nan() {
                0.0
            } else {
                slope.signum()
            };
            let moved = (*point).into() - step * sign - origin;
            let kept = origin + moved.clamp(-budget, budget);
            *point = T::from_f64(kept.clamp(0.0, 1.0));
        }
        let round = round + 1;
        self.state = State::Climb { attempt, round };
        Stage::GoesOn
    }

    /// Moves to a blend of a noise image and the clean image, or ends.
    fn noise(&mut self, walk: &mut Walk<T>, round: usize) -> Stage {
        if round == N_NOISE * BLENDS.len() {
            return self.end(walk, Status::NoStart);
        }
        if round.is_multiple_of(BLENDS.len()) {
            self.far_end.resize(walk.origin.len(), T::ZERO);
            let grain = 1 << (round / BLENDS.len());
            for run in self.far_end.chunks_mut(grain) {
                run.fill(T::from_f64(self.rng.random()));
            }
        }
        let share = BLENDS[round % BLENDS.len()];
        let pixels = walk.origin.iter().zip(&self.far_end);
        for (point, (&origin, &noise)) in walk.point.iter_mut().zip(pixels) {
            let (origin, noise): (f64, f64) = (origin.into(), noise.into());
            *point = T::from_f64(origin + share * (noise - origin));
        }
        self.state = State::Noise { round };
        Stage::GoesOn
    }

    /// No more starts: fine if there is one.
    fn end(&mut self, walk: &mut Walk<T>, failure: Status) -> Stage {
        if self.boundary.is_empty() {
            walk.finish(failure);
        }
        Stage::Over
    }
}
