/*!
Label shuffles without coincidence: attack targets and hybrid pairs.

The paper assigns every test image a second label by one fixed element-wise
shuffle of all labels: a random permutation, of which the positions that got
their own label back are permuted again among themselves until none is left;
when their number stops shrinking the whole shuffle restarts (paper.md C2).
The histogram of labels is unchanged. The alternative that the paper names but
does not use moves whole classes instead. Hybrid pairs then draw, class by class,
which image of the wanted class fills each position (paper.md D), so every
image is the low image once and the high image once.
*/

use std::collections::HashMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Error, Result};

/// How often the coincidences may fail to shrink, or the shuffle restart.
const PATIENCE: usize = 100;

/// Shuffles `labels` so that no position keeps its own label.
///
/// # Errors
/// [`Error::Value`] if `labels` is empty or one class holds more than half of
/// it, in which case no such shuffle exists.
pub fn shuffled_targets(labels: &[i64], seed: u64) -> Result<Vec<i64>> {
    check_feasible(labels)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..PATIENCE {
        if let Some(targets) = try_shuffle(labels, &mut rng) {
            return Ok(targets);
        }
    }
    Ok(rotated(labels, &mut rng))
}

/// Gives all images of a class the same other class: a derangement of the
/// classes present, each equally likely.
///
/// # Errors
/// [`Error::Value`] with fewer than two classes.
pub fn shuffled_classes(labels: &[i64], seed: u64) -> Result<Vec<i64>> {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() < 2 {
        return Err(Error::value(format!(
            "labels: got {} classes, expected at least 2",
            classes.len()
        )));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut images = classes.clone();
    // One shuffle in e moves every class.
    while !coincidences(&classes, &images).is_empty() {
        images.shuffle(&mut rng);
    }
    let target_of: HashMap<i64, i64> = classes.into_iter().zip(images).collect();
    Ok(labels.iter().map(|label| target_of[label]).collect())
}

/// Pairs every image with one of another class.
///
/// Returns `(low, high)`: position `i` mixes image `low[i] = i` with image
/// `high[i]`, and `high` is a permutation.
///
/// # Errors
/// As [`shuffled_targets`].
pub fn hybrid_pairs(labels: &[i64], seed: u64) -> Result<(Vec<i64>, Vec<i64>)> {
    let targets = shuffled_targets(labels, seed)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    let mut images: Vec<usize> = (0..labels.len()).collect();
    images.shuffle(&mut rng);
    // Equal labels become neighbours; the stable sort keeps them shuffled.
    images.sort_by_key(|&image| labels[image]);
    let mut positions: Vec<usize> = (0..labels.len()).collect();
    positions.sort_by_key(|&position| targets[position]);
    let mut high = vec![0; labels.len()];
    for (position, image) in positions.into_iter().zip(images) {
        high[position] = image as i64;
    }
    Ok(((0..labels.len() as i64).collect(), high))
}

fn check_feasible(labels: &[i64]) -> Result<()> {
    if labels.is_empty() {
        return Err(Error::value("labels: got none, expected at least two"));
    }
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    let (label, count) = sorted
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .max_by_key(|&(_, count)| count)
        .unwrap_or_default();
    if 2 * count > labels.len() {
        return Err(Error::value(format!(
            "labels: {count} of {} are class {label}, expected at most half \
             (otherwise every shuffle gives some image its own label)",
            labels.len()
        )));
    }
    Ok(())
}

/// The paper's scheme, `None` once the coincidences have stopped shrinking.
fn try_shuffle(labels: &[i64], rng: &mut ChaCha8Rng) -> Option<Vec<i64>> {
    let mut targets = labels.to_vec();
    targets.shuffle(rng);
    let mut open = coincidences(labels, &targets);
    let mut stalled = 0;
    while !open.is_empty() {
        let mut held: Vec<i64> = open.iter().map(|&at| targets[at]).collect();
        held.shuffle(rng);
        for (&at, target) in open.iter().zip(held) {
            targets[at] = target;
        }
        let remaining = coincidences(labels, &targets);
        stalled = if remaining.len() < open.len() {
            0
        } else {
            stalled + 1
        };
        if stalled > PATIENCE {
            return None;
        }
        open = remaining;
    }
    Some(targets)
}

/// A certain answer for label sets on which chance keeps failing: sort the
/// labels and rotate them by the size of the largest class.
fn rotated(labels: &[i64], rng: &mut ChaCha8Rng) -> Vec<i64> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|&at| labels[at]);
    let largest = order
        .chunk_by(|&a, &b| labels[a] == labels[b])
        .map(<[usize]>::len)
        .max()
        .unwrap_or(0);
    let mut targets = vec![0; labels.len()];
    for (rank, &at) in order.iter().enumerate() {
        targets[at] = labels[order[(rank + largest) % labels.len()]];
    }
    targets
}

fn coincidences(labels: &[i64], targets: &[i64]) -> Vec<usize> {
    (0..labels.len())
        .filter(|&at| labels[at] == targets[at])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            prop_assert!(coincidences(&labels, &targets).is_empty());
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
            prop_assert!(coincidences(&labels, &targets).is_empty());
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
        let targets = rotated(&labels, &mut ChaCha8Rng::seed_from_u64(0));
        assert!(coincidences(&labels, &targets).is_empty());
        assert_eq!(histogram(&labels), histogram(&targets));
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
