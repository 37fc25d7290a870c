/*!
Label shuffles without coincidence: attack targets and hybrid pairs.

The paper gives every test image a second label by one fixed shuffle of all labels (Li et
al. 2023, Fig 2b). A coincidence is a position that gets its own label. Such positions are
permuted again among themselves until none is left. If their number stops decreasing, the
whole shuffle restarts. The histogram of labels does not change. The paper also names, but
does not use, an alternative that moves whole classes. Hybrid pairs (Fig 3) use the first
shuffle. The images of each class then fill the positions with their label in random order,
so every image is the low image once and the high image once.
*/

use std::collections::HashMap;
use std::convert::Infallible;

use rand::rand_core::TryRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::parallel::{self, PIECE, Stop};
use crate::{Error, Result};

/// How often the number of coincidences may fail to decrease, or the shuffle may restart.
const PATIENCE: usize = 100;

/// Shuffles `labels` so that no position keeps its own label.
///
/// # Errors
/// [`Error::Value`] if `labels` is empty or one class holds more than half of
/// it, in which case no such shuffle exists.
pub fn shuffled_targets(labels: &[i64], seed: u64) -> Result<Vec<i64>> {
    parallel::run(|stop| targets_of(&Classes::of(labels, stop)?, seed, stop))
}

/// Gives all images of a class the same other class, by a derangement of the classes
/// that is drawn uniformly.
///
/// # Errors
/// [`Error::Value`] with fewer than two classes.
pub fn shuffled_classes(labels: &[i64], seed: u64) -> Result<Vec<i64>> {
    parallel::run(|stop| {
        let classes = Classes::of(labels, stop)?;
        let count = classes.counts.len();
        if count < 2 {
            return Err(Error::value(format!(
                "labels: got {count} classes, expected at least 2"
            )));
        }
        let mut draws = Draws::new(seed, 0, stop);
        let mut images: Vec<usize> = (0..count).collect();
        // On average, one of e shuffles moves every class.
        while images.iter().enumerate().any(|(own, &image)| own == image) {
            draws.shuffle(&mut images)?;
        }
        let targets = classes.numbers.iter().map(|&own| images[own]);
        classes.labels_of(&targets.collect::<Vec<_>>(), stop)
    })
}

/// Pairs every image with one of another class.
///
/// Returns `(low, high)`: position `i` mixes image `low[i] = i` with image
/// `high[i]`, and `high` is a permutation.
///
/// # Errors
/// As [`shuffled_targets`].
pub fn hybrid_pairs(labels: &[i64], seed: u64) -> Result<(Vec<i64>, Vec<i64>)> {
    parallel::run(|stop| {
        let classes = Classes::of(labels, stop)?;
        let targets = targets_of(&classes, seed, stop)?;
        let mut images: Vec<usize> = (0..labels.len()).collect();
        Draws::new(seed, 1, stop).shuffle(&mut images)?;
        // Sort images and positions by class; images stay shuffled within their class.
        let images = classes.gathered(&images, &classes.numbers, stop)?;
        let positions: Vec<usize> = (0..labels.len()).collect();
        let targets = classes.numbered(&targets, stop)?;
        let positions = classes.gathered(&positions, &targets, stop)?;
        let mut high = vec![0; labels.len()];
        let pairs = positions.chunks(PIECE).zip(images.chunks(PIECE));
        for piece in stop.watch(pairs) {
            let (positions, images) = piece?;
            for (&position, &image) in positions.iter().zip(images) {
                high[position] = image as i64;
            }
        }
        Ok(((0..labels.len() as i64).collect(), high))
    })
}

/// Random numbers for shuffles. A library shuffle cannot be interrupted, so after an
/// interruption all random numbers are 0, with which the shuffle ends quickly.
struct Draws<'a> {
    rng: ChaCha8Rng,
    stop: &'a Stop,
}

impl<'a> Draws<'a> {
    fn new(seed: u64, stream: u64, stop: &'a Stop) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng, stop }
    }

    fn shuffle<T>(&mut self, values: &mut [T]) -> Result<()> {
        values.shuffle(self);
        self.stop.check()
    }
}

impl TryRng for Draws<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        Ok(self.stop.check().map_or(0, |()| self.rng.next_u32()))
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        Ok(self.stop.check().map_or(0, |()| self.rng.next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Infallible> {
        self.rng.fill_bytes(bytes);
        Ok(())
    }
}

/// The labels by class; classes are numbered in ascending order of their labels.
struct Classes {
    /// The label of every class.
    labels: Vec<i64>,
    /// The number of positions of every class.
    counts: Vec<usize>,
    /// The class of every position.
    numbers: Vec<usize>,
}

impl Classes {
    fn of(labels: &[i64], stop: &Stop) -> Result<Self> {
        let mut counted = HashMap::new();
        for piece in stop.watch(labels.chunks(PIECE)) {
            for label in piece? {
                *counted.entry(*label).or_insert(0) += 1;
            }
        }
        let mut counted: Vec<(i64, usize)> = counted.into_iter().collect();
        stop.check()?;
        counted.sort_unstable();
        let (sorted, counts) = counted.into_iter().unzip();
        let mut classes = Self {
            labels: sorted,
            counts,
            numbers: Vec::new(),
        };
        classes.numbers = classes.numbered(labels, stop)?;
        Ok(classes)
    }

    /// The class of each of these labels.
    fn numbered(&self, labels: &[i64], stop: &Stop) -> Result<Vec<usize>> {
        let of: HashMap<i64, usize> = self.labels.iter().copied().zip(0..).collect();
        let mut numbers = Vec::with_capacity(labels.len());
        for piece in stop.watch(labels.chunks(PIECE)) {
            numbers.extend(piece?.iter().map(|label| of[label]));
        }
        Ok(numbers)
    }

    /// The label of each of these classes.
    fn labels_of(&self, numbers: &[usize], stop: &Stop) -> Result<Vec<i64>> {
        let mut labels = Vec::with_capacity(numbers.len());
        for piece in stop.watch(numbers.chunks(PIECE)) {
            labels.extend(piece?.iter().map(|&number| self.labels[number]));
        }
        Ok(labels)
    }

    /// Sorts `order` by the class in `numbers`; the order within a class does not change.
    fn gathered(&self, order: &[usize], numbers: &[usize], stop: &Stop) -> Result<Vec<usize>> {
        let mut next = Vec::with_capacity(self.counts.len());
        let mut start = 0;
        for count in &self.counts {
            next.push(start);
            start += count;
        }
        let mut gathered = vec![0; order.len()];
        for piece in stop.watch(order.chunks(PIECE)) {
            for &at in piece? {
                let slot = &mut next[numbers[at]];
                gathered[*slot] = at;
                *slot += 1;
            }
        }
        Ok(gathered)
    }

    /// Fails if no shuffle without coincidence exists.
    fn check(&self) -> Result<()> {
        let n = self.numbers.len();
        if n == 0 {
            return Err(Error::value("labels: got none, expected at least two"));
        }
        let counts = self.labels.iter().zip(&self.counts);
        match counts.max_by_key(|(_, count)| **count) {
            Some((label, count)) if 2 * count > n => Err(Error::value(format!(
                "labels: {count} of {n} are class {label}, expected at most half \
                 (otherwise every shuffle gives some image its own label)"
            ))),
            _ => Ok(()),
        }
    }
}

/// [`shuffled_targets`] inside the pool.
fn targets_of(classes: &Classes, seed: u64, stop: &Stop) -> Result<Vec<i64>> {
    classes.check()?;
    let mut draws = Draws::new(seed, 0, stop);
    for _ in 0..PATIENCE {
        if let Some(targets) = try_shuffle(&classes.numbers, &mut draws)? {
            return classes.labels_of(&targets, stop);
        }
    }
    classes.labels_of(&rotated(classes, &mut draws)?, stop)
}

/// The paper's shuffle; `None` if the number of coincidences stops decreasing.
fn try_shuffle(numbers: &[usize], draws: &mut Draws) -> Result<Option<Vec<usize>>> {
    let mut targets = numbers.to_vec();
    draws.shuffle(&mut targets)?;
    let mut open = Vec::new();
    for first in draws.stop.watch((0..numbers.len()).step_by(PIECE)) {
        let first = first?;
        let piece = first..numbers.len().min(first + PIECE);
        open.extend(piece.filter(|&at| numbers[at] == targets[at]));
    }
    let mut stalled = 0;
    while !open.is_empty() {
        let mut held: Vec<usize> = open.iter().map(|&at| targets[at]).collect();
        draws.shuffle(&mut held)?;
        for (&at, target) in open.iter().zip(held) {
            targets[at] = target;
        }
        // Only these positions have changed.
        let before = open.len();
        open.retain(|&at| numbers[at] == targets[at]);
        stalled = if open.len() < before { 0 } else { stalled + 1 };
        if stalled > PATIENCE {
            return Ok(None);
        }
    }
    Ok(Some(targets))
}

/// A shuffle that always succeeds, for label sets for which random shuffles fail: sorts
/// the labels and rotates them by the size of the largest class.
fn rotated(classes: &Classes, draws: &mut Draws) -> Result<Vec<usize>> {
    let numbers = &classes.numbers;
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    draws.shuffle(&mut order)?;
    let order = classes.gathered(&order, numbers, draws.stop)?;
    let largest = classes.counts.iter().copied().max().unwrap_or(0);
    let mut targets = vec![0; numbers.len()];
    for piece in draws.stop.watch(order.chunks(PIECE).enumerate()) {
        let (piece, positions) = piece?;
        for (rank, &at) in (piece * PIECE..).zip(positions) {
            targets[at] = numbers[order[(rank + largest) % order.len()]];
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coincidences(labels: &[i64], targets: &[i64]) -> usize {
        let pairs = labels.iter().zip(targets);
        pairs.filter(|(label, target)| label == target).count()
    }

    fn histogram(labels: &[i64]) -> Vec<i64> {
        let mut sorted = labels.to_vec();
        sorted.sort_unstable();
        sorted
    }

    proptest! {
        #[test]
        fn no_position_keeps_its_label(
            labels in prop::collection::vec(0_i64..5, 1..80), seed: u64,
        ) {
            let Ok(targets) = shuffled_targets(&labels, seed) else {
                let sorted = histogram(&labels);
                let most = sorted.chunk_by(|a, b| a == b).map(<[i64]>::len).max();
                prop_assert!(2 * most.unwrap() > labels.len());
                return Ok(());
            };
            prop_assert_eq!(coincidences(&labels, &targets), 0);
            prop_assert_eq!(histogram(&labels), histogram(&targets));
        }

        #[test]
        fn classes_are_moved_as_a_whole(
            labels in prop::collection::vec(-2_i64..12, 1..60), seed: u64,
        ) {
            let mut classes = histogram(&labels);
            classes.dedup();
            let Ok(targets) = shuffled_classes(&labels, seed) else {
                prop_assert_eq!(classes.len(), 1);
                return Ok(());
            };
            prop_assert_eq!(coincidences(&labels, &targets), 0);
            let mut pairs: Vec<_> = labels.iter().zip(&targets).collect();
            pairs.sort();
            pairs.dedup();
            prop_assert_eq!(pairs.len(), classes.len(), "one target per class");
            let mut reached = histogram(&targets);
            reached.dedup();
            prop_assert_eq!(reached, classes);
        }

        #[test]
        fn every_image_is_high_once_and_of_another_class(
            half in prop::collection::vec(0_i64..4, 1..40), seed: u64,
        ) {
            let labels: Vec<i64> =
                half.iter().copied().chain(half.iter().map(|l| l + 4)).collect();
            let (low, high) = hybrid_pairs(&labels, seed).unwrap();
            let all: Vec<i64> = (0..labels.len() as i64).collect();
            prop_assert_eq!(&low, &all);
            prop_assert_eq!(histogram(&high), all);
            for (low, high) in low.iter().zip(&high) {
                prop_assert_ne!(labels[*low as usize], labels[*high as usize]);
            }
            prop_assert_eq!(hybrid_pairs(&labels, seed).unwrap().1, high);
        }
    }

    #[test]
    fn the_fallback_is_a_valid_shuffle() {
        let labels = [3, 3, 3, 1, 0, 2];
        let stop = &Stop::default();
        let classes = Classes::of(&labels, stop).unwrap();
        let targets = rotated(&classes, &mut Draws::new(0, 0, stop)).unwrap();
        let targets = classes.labels_of(&targets, stop).unwrap();
        assert_eq!(coincidences(&labels, &targets), 0);
        assert_eq!(histogram(&labels), histogram(&targets));
    }

    #[test]
    fn shuffles_end_when_the_call_is_to_end() {
        let stop = &Stop::raised();
        let mut values: Vec<usize> = (0..1_000_000).collect();
        let ended = Draws::new(0, 0, stop).shuffle(&mut values);
        assert!(matches!(ended, Err(Error::Interrupted)));
        assert!(Classes::of(&[1, 2], stop).is_err());
    }

    #[test]
    fn a_watched_shuffle_is_the_standard_one() {
        let (mut ours, mut theirs) = ([0; 1000], [0; 1000]);
        for at in 0..1000 {
            (ours[at], theirs[at]) = (at, at);
        }
        Draws::new(5, 1, &Stop::default())
            .shuffle(&mut ours)
            .unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        rng.set_stream(1);
        theirs.shuffle(&mut rng);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn every_derangement_is_as_likely() {
        let mut counts = HashMap::new();
        for seed in 0..9000 {
            *counts
                .entry(shuffled_classes(&[0, 1, 2, 3], seed).unwrap())
                .or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 9);
        // 1000 each; the standard deviation is 30.
        assert!(
            counts.values().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_majority_class_is_named() {
        let message = shuffled_targets(&[7, 7, 1], 0).unwrap_err().to_string();
        assert!(message.contains("2 of 3 are class 7"), "{message}");
    }
}
