/*!
Split halves, correlations and the noise ceiling against their definitions.
*/

use super::*;
use ndarray::{Array2, array, stack};
use proptest::prelude::*;
use rand::RngExt;

fn random(shape: (usize, usize, usize), seed: u64) -> Array3<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array3::from_shape_simple_fn(shape, || rng.random_range(0.0..1.0))
}

/// The textbook formula, from sums of products.
fn textbook(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let moment = |x: &[f64], mx: f64, y: &[f64], my: f64| {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - mx) * (y - my))
            .sum::<f64>()
    };
    moment(a, ma, b, mb) / (moment(a, ma, a, ma) * moment(b, mb, b, mb)).sqrt()
}

#[test]
fn halves_are_disjoint_pairs_of_the_trials_there_are() {
    // Trial t of every image has value 2^t, so the sum of a half shows its trials.
    let mut trials = Array3::from_shape_fn((7, 5, 3), |(t, _, _)| f64::from(1 << t));
    trials.slice_mut(s![2.., 1, 1]).fill(f64::NAN);
    trials.slice_mut(s![1.., 2, 2]).fill(f64::NAN);
    let halves = halves(trials.view(), &mut stream(3, 1), &Stop::default()).unwrap();
    for image in 0..5 {
        let sums = [0, 1].map(|half| (halves[(half, image, 0)] * 3.0).round() as u32);
        assert_eq!(sums[0] & sums[1], 0);
        assert_eq!([sums[0].count_ones(), sums[1].count_ones()], [3, 3]);
    }
    // Neurons with the same trials share their halves.
    assert!((halves[(0, 0, 0)] - halves[(0, 0, 2)]).abs() < 1e-12);
    let mut two = [halves[(0, 1, 1)], halves[(1, 1, 1)]];
    two.sort_by(f64::total_cmp);
    assert!((two[0] - 1.0).abs() + (two[1] - 2.0).abs() < 1e-12);
    assert!(halves[(0, 2, 2)].is_nan());
}

#[test]
fn a_neuron_is_the_correlation_of_its_halves() {
    let trials = random((2, 12, 4), 1);
    let each = split_half_neurons(trials.view(), 1, 0).unwrap();
    let halves = halves(trials.view(), &mut stream(0, 0), &Stop::default()).unwrap();
    for neuron in 0..4 {
        let column = |half: usize| halves.slice(s![half, .., neuron]).to_vec();
        let expected = textbook(&column(0), &column(1));
        assert!((each[neuron] - expected).abs() < 1e-12);
    }
}

#[test]
fn trials_without_noise_agree_and_signal_sets_the_level() {
    let image = random((1, 30, 3), 2);
    let same = image.broadcast((6, 30, 3)).unwrap();
    let neurons = split_half_neurons(same, 5, 0).unwrap();
    assert!(neurons.iter().all(|r| (r - 1.0).abs() < 1e-12));
    let ones = Array1::ones(3);
    let matrix = split_half_similarity(same, ones.view(), 5, 0).unwrap();
    assert!((matrix - 1.0).abs() < 1e-12);
    // Signal and noise of equal variance, 5 trials per half: r = 1 / (1 + 1 / 5).
    let noisy = &random((10, 4000, 1), 3) + &random((1, 4000, 1), 4);
    let half = split_half_neurons(noisy.view(), 20, 0).unwrap()[0];
    assert!((half - 5.0 / 6.0).abs() < 0.01, "{half}");
    assert!((spearman_brown(half) - 10.0 / 11.0).abs() < 0.006);
}

proptest! {
    #[test]
    fn correlations_are_those_of_the_textbook(n in 3_usize..20, seed: u64) {
        let values = random((2, n, n), seed);
        let (a, b) = (values.index_axis(Axis(0), 0), values.index_axis(Axis(0), 1));
        let above = |m: ArrayView2<f64>| -> Vec<f64> {
            m.indexed_iter().filter(|((i, j), _)| i < j).map(|(_, &v)| v).collect()
        };
        let expected = textbook(&above(a), &above(b));
        let ours = similarity_correlation(a, b, false).unwrap();
        prop_assert!((ours - expected).abs() < 1e-12);
        // A monotone map does not change ranks.
        let bent = b.mapv(|v| v.powi(3).exp());
        let ranked = similarity_correlation(a, b, true).unwrap();
        let same = similarity_correlation(a, bent.view(), true).unwrap();
        prop_assert!((ranked - same).abs() < 1e-12);
    }

    #[test]
    fn the_ceiling_bounds_every_model(seed: u64) {
        let subjects = random((4, 9, 9), seed);
        let (lower, upper) = noise_ceiling(subjects.view(), false).unwrap();
        prop_assert!(lower <= upper);
        let model = random((1, 9, 9), !seed);
        let scores = |model: ArrayView2<f64>| -> f64 {
            subjects.outer_iter().map(|subject| {
                similarity_correlation(subject, model, false).unwrap()
            }).sum::<f64>() / 4.0
        };
        prop_assert!(scores(model.index_axis(Axis(0), 0)) <= upper + 1e-12);
    }
}

#[test]
fn two_subjects_have_their_correlation_as_lower_ceiling() {
    let subjects = random((2, 8, 8), 5);
    let (a, b) = (
        subjects.index_axis(Axis(0), 0),
        subjects.index_axis(Axis(0), 1),
    );
    let (lower, upper) = noise_ceiling(subjects.view(), false).unwrap();
    let r = similarity_correlation(a, b, false).unwrap();
    assert!((lower - r).abs() < 1e-12);
    // Two unit vectors and their sum: cos^2(half angle) = (1 + r) / 2.
    assert!((upper - f64::midpoint(1.0, r).sqrt()).abs() < 1e-12);
}

#[test]
fn spearman_bounds_are_correlations_of_the_ranked_mean_ranks() {
    // Values with two digits, so that ranks and their sums have ties.
    let subjects = random((5, 8, 8), 7).mapv(|value| (value * 100.0).round());
    let (lower, upper) = noise_ceiling(subjects.view(), true).unwrap();
    let model = |left_out: Option<usize>| {
        let mut matrix = Array2::zeros((8, 8));
        for (subject, values) in subjects.outer_iter().enumerate() {
            if Some(subject) != left_out {
                let entries = upper_triangle(values, &Stop::default()).unwrap();
                let mut ranks = ranks(&entries, &Stop::default()).unwrap().into_iter();
                for row in 0..8 {
                    for column in row + 1..8 {
                        matrix[(row, column)] += ranks.next().unwrap();
                    }
                }
            }
        }
        matrix
    };
    let (mut low, mut high) = (0.0, 0.0);
    for (subject, values) in subjects.outer_iter().enumerate() {
        let with = |model: Array2<f64>| similarity_correlation(values, model.view(), true).unwrap();
        low += with(model(Some(subject))) / 5.0;
        high += with(model(None)) / 5.0;
    }
    assert!((lower - low).abs() < 1e-12, "{lower} {low}");
    assert!((upper - high).abs() < 1e-12, "{upper} {high}");
}

#[test]
fn ties_share_a_rank() {
    let ranked = ranks(&[3.0, 1.0, 3.0, 2.0], &Stop::default()).unwrap();
    assert_eq!(ranked, [2.5, 0.0, 2.5, 1.0]);
}

#[test]
fn many_values_are_sorted_in_pieces() {
    let n = 5 * SORTED + 3;
    let values: Vec<f64> = (0..n).map(|at| ((at * 7919) % n) as f64).collect();
    let ranked = parallel::run(|stop| ranks(&values, stop)).unwrap();
    assert_eq!(ranked, values);
}

#[test]
fn unusable_input_is_named() {
    let one = random((1, 4, 2), 6);
    let error = split_half_neurons(one.view(), 3, 0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("two trials of neuron 0"), "{error}");
    let ones = Array1::ones(2);
    let error = split_half_similarity(one.view(), ones.view(), 3, 0).unwrap_err();
    assert!(
        error.to_string().contains("image 0 and neuron 0"),
        "{error}"
    );
    let error = noise_ceiling(one.view(), false).unwrap_err().to_string();
    assert!(error.contains("got 1 subjects"), "{error}");
    let flat = array![[1.0, 0.5], [0.5, 1.0]];
    let flat = stack(Axis(0), &[flat.view(), flat.view()]).unwrap();
    let error = noise_ceiling(flat.view(), false).unwrap_err().to_string();
    assert!(error.contains("in matrix 0"), "{error}");
    let silent = Array2::zeros((4, 1));
    assert!(column_correlation(silent.view(), silent.view()).unwrap()[0].abs() < 1e-300);
}
