use proptest::prelude::*;
use rand::SeedableRng;

use super::super::{Search, Source, Start};
use super::*;

const ORIGIN: [f64; 4] = [0.6, 0.3, 0.5, 0.5];
const WEIGHTS: [f64; 4] = [1.0, -0.5, 0.25, 0.0];
const NORMS: [Norm; 2] = [Norm::Linf, Norm::L2];
const STEP_RULES: [StepRule; 2] = [StepRule::Constant, StepRule::Adaptive];

/// The classifier `w . x < 0.2`.
fn plane(x: &[f64]) -> (f64, Vec<f64>) {
    let height: f64 = x.iter().zip(WEIGHTS).map(|(x, w)| x * w).sum();
    (height - 0.2, WEIGHTS.to_vec())
}

fn rules(step_rule: StepRule, epsilon: f64) -> Rules {
    Rules {
        budgets: [epsilon].into(),
        steps: 20,
        step_size: None,
        step_rule,
        restarts: 0,
        early_stop: true,
    }
}

fn search<T: Real>(origin: Vec<T>, norm: Norm, rules: Rules, seed: u64) -> Search<T> {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let start = Start::new(Source::Unneeded, 0, rng.clone());
    let method = Pgd::new(rules, f64::INFINITY, rng);
    Search::new(Walk::new(origin, norm), start, Box::new(method))
}

/// Answers by `model`; returns the planned answers used and all points asked
/// about.
fn converse<T: Real>(
    search: &mut Search<T>,
    mut model: impl FnMut(&[T]) -> (f64, Vec<T>),
) -> (usize, Vec<Vec<T>>) {
    let (mut used, mut points) = (0, Vec::new());
    while search.ask() != Ask::Nothing {
        points.push(search.walk.point.clone());
        let (difference, gradient) = model(&search.walk.point);
        let answer = match search.ask() {
            Ask::Gradient => Answer::gradient(difference, &gradient),
            _ => Answer::value(difference),
        };
        used += search.answer(answer, &mut Scratch::default());
    }
    (used, points)
}

#[test]
fn a_plane_is_crossed_exactly_where_the_budget_reaches_it() {
    let height = plane(&ORIGIN).0;
    let duals = [1.75, (1.0_f64 + 0.25 + 0.0625).sqrt()];
    for (norm, dual) in NORMS.into_iter().zip(duals) {
        for step_rule in STEP_RULES {
            for (factor, expected) in [(1.001, true), (0.999, false)] {
                let epsilon = factor * height / dual;
                let mut search = search(ORIGIN.to_vec(), norm, rules(step_rule, epsilon), 0);
                let (used, _) = converse(&mut search, plane);
                let walk = &search.walk;
                assert_eq!((used, walk.status), (21, Status::Completed));
                assert_eq!(walk.best().is_some(), expected, "{norm:?} {step_rule:?}");
                assert!(!expected || walk.size() <= epsilon);
            }
        }
    }
}

#[test]
fn two_steps_by_hand() {
    let constant = Rules {
        step_size: Some(0.5),
        early_stop: false,
        ..rules(StepRule::Constant, 0.1)
    };
    for (norm, expected) in [
        (Norm::Linf, [[0.55, 0.65], [0.5, 0.7]]),
        (Norm::L2, [[0.56, 0.63], [0.52, 0.66]]),
    ] {
        let mut search = search(vec![0.6, 0.6], norm, constant.clone(), 0);
        let (_, points) = converse(&mut search, |x| (x[0], vec![0.8, -0.6]));
        for (point, expected) in points[2..].iter().zip(expected) {
            for (got, expected) in point.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-9, "{norm:?} {points:?}");
            }
        }
    }
}

#[test]
fn adaptive_steps_settle_where_constant_ones_swing() {
    let centre = [0.63, 0.27, 0.52, 0.5];
    for norm in NORMS {
        let closest = STEP_RULES.map(|step_rule| {
            let rules = Rules {
                steps: 60,
                step_size: Some(2.0),
                ..rules(step_rule, 0.1)
            };
            let mut least = f64::INFINITY;
            converse(&mut search(ORIGIN.to_vec(), norm, rules, 0), |x| {
                let slopes: Vec<f64> = x.iter().zip(centre).map(|(x, c)| 2.0 * (x - c)).collect();
                let square = slopes.iter().map(|slope| slope * slope).sum::<f64>();
                least = least.min(square);
                (square, slopes)
            });
            least
        });
        assert!(closest[1] < 0.1 * closest[0], "{norm:?} {closest:?}");
    }
}

#[test]
fn restarts_set_out_from_random_points_of_the_ball() {
    let several = |seed| {
        let rules = Rules {
            restarts: 2,
            steps: 3,
            ..rules(StepRule::Adaptive, 0.1)
        };
        let mut search = search(ORIGIN.to_vec(), Norm::L2, rules, seed);
        let (used, points) = converse(&mut search, |_| (1.0, vec![1.0, 0.0, 0.0, 0.0]));
        assert_eq!((used, points.len()), (12, 13));
        assert_eq!(search.walk.n_gradients, 9);
        points
    };
    let (points, again, other) = (several(1), several(1), several(2));
    assert_eq!(points[1], ORIGIN);
    assert!(points[5] != ORIGIN && points[9] != points[5]);
    assert_eq!(points, again);
    assert_ne!(points[5], other[5]);
}

#[test]
fn a_flat_run_ends_and_the_next_may_find_a_slope() {
    // Flat at the clean image, a slope elsewhere.
    let model = |x: &[f64]| {
        let (height, slope) = plane(x);
        if x == ORIGIN {
            (height, vec![0.0; 4])
        } else {
            (height, slope)
        }
    };
    for (restarts, status, is_found) in [
        (0, Status::ZeroGradient, false),
        (1, Status::Completed, true),
    ] {
        let rules = Rules {
            restarts,
            ..rules(StepRule::Adaptive, 0.3)
        };
        let mut search = search(ORIGIN.to_vec(), Norm::Linf, rules, 0);
        let (used, _) = converse(&mut search, model);
        assert_eq!(used, 21 * (1 + restarts));
        assert_eq!(search.walk.status, status);
        assert_eq!(search.walk.best().is_some(), is_found);
    }
}

#[test]
fn bad_numbers_end_a_search() {
    for bad in [f64::NAN, f64::INFINITY] {
        let rules = rules(StepRule::Adaptive, 0.1);
        let mut of_value = search(ORIGIN.to_vec(), Norm::L2, rules.clone(), 0);
        let mut n = 0;
        converse(&mut of_value, |x| {
            n += 1;
            (if n == 5 { bad } else { 1.0 }, plane(x).1)
        });
        assert_eq!((of_value.walk.status, n), (Status::NotFinite, 5));
        let mut of_slope = search(ORIGIN.to_vec(), Norm::L2, rules, 0);
        converse(&mut of_slope, |_| (1.0, vec![1.0, bad, 0.0, 0.0]));
        assert_eq!(of_slope.walk.status, Status::NotFinite);
    }
}

#[test]
fn without_early_stop_all_steps_are_taken_and_the_nearest_is_kept() {
    let all = Rules {
        early_stop: false,
        restarts: 1,
        ..rules(StepRule::Constant, 0.4)
    };
    let mut search = search(ORIGIN.to_vec(), Norm::Linf, all, 0);
    let (_, points) = converse(&mut search, plane);
    let adversarial = points.iter().filter(|x| plane(x).0 < 0.0);
    let nearest = adversarial.map(|x| Norm::Linf.size(x, &ORIGIN));
    let nearest = nearest.fold(f64::INFINITY, f64::min);
    // The clean image, two runs of 21, and the confirmation.
    assert_eq!(points.len(), 44);
    assert!(search.walk.size() <= nearest && nearest < 0.3);
}

/// The least of `n` budgets, evenly spaced from 0 to 0.4, that reaches `plane`.
fn sweep(
    n: usize,
    below: f64,
    model: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> (usize, f64, usize) {
    let budgets = (1..=n).map(|k| 0.4 * k as f64 / n as f64);
    let rules = Rules {
        budgets: budgets.collect(),
        ..rules(StepRule::Adaptive, 0.0)
    };
    let rng = ChaCha8Rng::seed_from_u64(0);
    let start = Start::new(Source::Unneeded, 0, rng.clone());
    let walk = Walk::new(ORIGIN.to_vec(), Norm::Linf);
    let mut search = Search::new(walk, start, Box::new(Pgd::new(rules.clone(), below, rng)));
    let (used, points) = converse(&mut search, model);
    let n_open = rules
        .budgets
        .iter()
        .filter(|&&budget| budget < below)
        .count();
    let planned = match n_open {
        0 => 0,
        n => rules.planned(1) + rules.planned(n - 1),
    };
    assert_eq!(used, planned);
    assert_eq!(search.walk.status, Status::Completed);
    (points.len(), search.walk.size(), used)
}

#[test]
fn of_several_budgets_the_smallest_that_suffices_is_found() {
    let exact = plane(&ORIGIN).0 / 1.75;
    for n in [1, 2, 7, 100] {
        let (n_queries, size, _) = sweep(n, f64::INFINITY, plane);
        let least = (exact * n as f64 / 0.4).ceil() * 0.4 / n as f64;
        assert!(exact < size && size <= least + 1e-12, "{n} {size} {least}");
        assert!(n_queries <= 2 + 8 * 21, "{n_queries}");
    }
}

#[test]
fn only_budgets_below_what_is_known_are_tried() {
    let exact = plane(&ORIGIN).0 / 1.75;
    let mut farthest = 0.0_f64;
    let (_, size, _) = sweep(10, 0.3, |x| {
        farthest = farthest.max(Norm::Linf.size(x, &ORIGIN));
        plane(x)
    });
    assert!(farthest < 0.3 && (exact..0.24 + 1e-12).contains(&size));
    // The largest is out of reach: one run tells.
    let (n_queries, size, _) = sweep(10, exact, plane);
    assert_eq!(n_queries, 1 + 21);
    assert!(size.is_infinite());
    let (n_queries, size, used) = sweep(10, 0.04, plane);
    assert_eq!((n_queries, used), (1, 0));
    assert!(size.is_infinite());
}

#[test]
fn confirmation_does_not_leave_the_budget() {
    for norm in NORMS {
        let mut search = search(ORIGIN.to_vec(), norm, rules(StepRule::Constant, 0.35), 0);
        let mut n = 0;
        // Adversarial once, never again.
        let (_, points) = converse(&mut search, |x| {
            let is_first = plane(x).0 < 0.0 && n == 0;
            n += usize::from(is_first);
            (if is_first { -1.0 } else { 1.0 }, WEIGHTS.to_vec())
        });
        assert_eq!(search.walk.status, Status::Unconfirmed);
        assert!(points.len() > 10, "pushes were tried");
        assert!(points.iter().all(|point| norm.size(point, &ORIGIN) <= 0.35));
    }
}

/// All points asked about by an `f32` or `f64` search on a rugged landscape.
fn wander<T: Real + std::fmt::Debug>(origin: &[f64], norm: Norm, rules: Rules, seed: u64) {
    let origin: Vec<T> = origin.iter().map(|&x| T::from_f64(x)).collect();
    let budget = rules.budgets[0];
    let mut search = search(origin.clone(), norm, rules, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (_, points) = converse(&mut search, |x| {
        let slopes = x.iter().map(|_| T::from_f64(rng.random_range(-1.0..1.0)));
        (1.0, slopes.collect())
    });
    for point in points {
        assert!(norm.size(&point, &origin) <= budget, "{point:?}");
        assert!(point.iter().all(|&x| (0.0..=1.0).contains(&x.into())));
    }
}

proptest! {
    #[test]
    fn every_point_is_in_the_ball_and_in_bounds(
        origin in prop::collection::vec(0.0..=1.0, 1..20),
        epsilon in prop_oneof![1e-6..1e-2, 1e-2..2.0],
        seed: u64,
    ) {
        for norm in NORMS {
            for step_rule in STEP_RULES {
                let rules = Rules { restarts: 2, steps: 8, ..rules(step_rule, epsilon) };
                wander::<f32>(&origin, norm, rules.clone(), seed);
                wander::<f64>(&origin, norm, rules, seed);
            }
        }
    }
}

/// The points of one adaptive run in the maximum norm, written from the paper:
/// Croce and Hein 2020, algorithm 1.
fn published(
    steps: usize,
    epsilon: f64,
    model: impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Vec<Vec<f64>> {
    let project = |x: f64, i: usize| x.max(ORIGIN[i] - epsilon).min(ORIGIN[i] + epsilon);
    let mut tests = vec![0.0, 0.22];
    while tests[tests.len() - 1] < 1.0 {
        let (p, q) = (tests[tests.len() - 2], tests[tests.len() - 1]);
        tests.push(q + (q - p - 0.03_f64).max(0.06));
    }
    // Without the rounding of sums of hundredths.
    let tests = tests.iter().map(|p| (p * steps as f64 - 1e-9).ceil());
    let tests: Vec<usize> = tests.map(|at| at as usize).collect();
    let (mut x, mut before, mut eta) = (ORIGIN.to_vec(), None::<Vec<f64>>, 2.0 * epsilon);
    let (mut asked, mut values, mut departures) = (Vec::new(), Vec::new(), Vec::new());
    let mut then = (eta, model(&x).0);
    for k in 0..steps {
        asked.push(x.clone());
        values.push(model(&x).0);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        if let Some(j) = tests[1..].iter().position(|&test| test == k) {
            let n_gains = (tests[j]..k)
                .filter(|&i| values[i + 1] < departures[i])
                .count();
            let now = (eta, least);
            if (n_gains as f64) < 0.75 * (k - tests[j]) as f64 || then == now {
                eta /= 2.0;
                let best = values.iter().position(|&value| value <= least).unwrap();
                (x, before) = (asked[best].clone(), None);
            }
            then = now;
        }
        departures.push(model(&x).0);
        let slope = model(&x).1;
        let z = |i: usize| project(x[i] - eta * slope[i].signum(), i);
        let next = (0..x.len()).map(|i| match &before {
            None => z(i),
            Some(before) => project(x[i] + 0.75 * (z(i) - x[i]) + 0.25 * (x[i] - before[i]), i),
        });
        let next = next.collect();
        before = Some(std::mem::replace(&mut x, next));
    }
    asked.push(x);
    asked
}

#[test]
fn adaptive_runs_are_the_published_ones() {
    let scales = [1.0, 30.0, 4.0, 0.2];
    let model = |x: &[f64]| {
        let away = x.iter().zip([0.63, 0.25, 0.56, 0.46]).map(|(x, c)| x - c);
        let away: Vec<f64> = away.collect();
        let value = away.iter().zip(scales).map(|(a, s)| s * a * a).sum::<f64>();
        let slopes = away.iter().zip(scales).map(|(a, s)| 2.0 * s * a);
        (value, slopes.collect())
    };
    for steps in [10, 37, 100] {
        let rules = Rules {
            steps,
            ..rules(StepRule::Adaptive, 0.1)
        };
        let mut search = search(ORIGIN.to_vec(), Norm::Linf, rules, 0);
        let (_, points) = converse(&mut search, model);
        for (point, expected) in points[1..].iter().zip(published(steps, 0.1, model)) {
            assert!(Norm::Linf.size(point, &expected) < 1e-12, "{steps}");
        }
    }
}
