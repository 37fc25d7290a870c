use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::boundary::{Boundary, Estimate, RandomWalk, estimate, random_walk};
use super::brendel_bethge::{BrendelBethge, Overshoot, Radius, Rules};
use super::*;
use crate::core::norm::Norm;

const WEIGHTS: [f64; 4] = [1.0, -0.5, 0.25, 0.0];
/// The dual norm of `WEIGHTS`, for the maximum norm.
const DUAL: f64 = 1.75;

/// The classifier `w . x < 0.2`: difference and gradient are known everywhere.
fn plane(x: &[f64]) -> f64 {
    x.iter().zip(WEIGHTS).map(|(x, w)| x * w).sum::<f64>() - 0.2
}

fn adaptive() -> Rules {
    Rules {
        steps: 200,
        restarts: 0,
        descent: 0,
        radius: Radius::Adaptive {
            first: 4.0,
            last: 0.01,
            decay: 0.7,
            patience: 3,
            tolerance: 1e-3,
        },
        momentum: 0.7,
        is_normalised: true,
        overshoot: 1.1,
        overshoot_rule: Overshoot::Foolbox,
    }
}

fn published() -> Rules {
    Rules {
        steps: 1000,
        radius: Radius::Published {
            first: 1e-3,
            decay: 0.5,
            n_decays: 20,
        },
        momentum: 0.8,
        is_normalised: false,
        ..adaptive()
    }
}

fn start(source: Source<f64>) -> Start<f64> {
    Start::new(source, 10, ChaCha8Rng::seed_from_u64(0))
}

/// These points, all of which are wanted as starts.
fn points(points: &[[f64; 4]], failure: Status) -> Source<f64> {
    Source::Points(Points {
        pixels: points.concat().into(),
        rows: (0..points.len()).collect(),
        wanted: points.len(),
        failure,
    })
}

fn search(source: Source<f64>, rules: Rules) -> Search<f64> {
    let walk = Walk::new(vec![0.6, 0.3, 0.5, 0.5], Norm::Linf);
    Search::new(walk, start(source), Box::new(BrendelBethge::new(rules)))
}

/// Answers every question by `difference`; returns the planned answers used.
fn converse(search: &mut Search<f64>, mut difference: impl FnMut(&[f64]) -> f64) -> usize {
    let mut scratch = Scratch::default();
    let mut used = 0;
    for _ in 0..2000 {
        let value = difference(&search.walk.point);
        let answer = match search.ask() {
            Ask::Value => Answer::value(value),
            Ask::Gradient => Answer::gradient(value, &WEIGHTS),
            Ask::Survey => Answer {
                differences: &[value, 2.0 * value],
                gradient: &[WEIGHTS, WEIGHTS].concat(),
                n_gradients: 2,
                ..Answer::value(value)
            },
            Ask::Nothing => return used,
        };
        used += search.answer(answer, &mut scratch);
    }
    panic!("the search does not end");
}

#[test]
fn a_walk_on_a_plane_ends_at_the_dual_norm() {
    let exact = plane(&[0.6, 0.3, 0.5, 0.5]) / DUAL;
    for rules in [adaptive(), published()] {
        let given = [0.0, 1.0, 0.0, 0.9];
        let sources = [
            points(&[given], Status::BadStart),
            Source::Climb(1),
            Source::Climb(3),
            Source::Survey(1),
            Source::Survey(3),
            Source::Scatter(2),
            Source::Noise(2),
        ];
        for source in sources {
            let mut search = search(source, rules);
            assert_eq!(converse(&mut search, plane), rules.steps + 1);
            let walk = &search.walk;
            assert_eq!(walk.status, Status::Completed);
            assert!((walk.size() / exact - 1.0).abs() < 1e-3, "{}", walk.size());
            assert!(plane(walk.best().unwrap()) < 0.0);
            assert!(walk.n_gradients <= walk.n_queries + 1);
            let sizes: Vec<f64> = walk.trajectory.iter().map(|&(_, size)| size).collect();
            assert!(sizes.windows(2).all(|pair| pair[1] < pair[0]));
        }
    }
}

#[test]
fn an_adaptive_walk_ends_when_it_has_converged() {
    let mut search = search(
        Source::Climb(1),
        Rules {
            steps: 1900,
            ..adaptive()
        },
    );
    assert_eq!(converse(&mut search, plane), 1901);
    assert!(search.walk.n_gradients < 100, "{}", search.walk.n_gradients);
}

#[test]
fn both_overshoots_aim_inside() {
    let foolbox = adaptive();
    assert!((foolbox.change(2.0) + 2.2).abs() < 1e-12);
    assert!((foolbox.change(-2.0) - 1.8).abs() < 1e-12);
    let authors = Rules {
        overshoot_rule: Overshoot::Authors,
        ..foolbox
    };
    assert!((authors.change(2.0) + 2.2).abs() < 1e-12);
    assert!((authors.change(-2.0) - 1.8).abs() < 1e-12);
    assert!((authors.change(0.0) + 0.001).abs() < 1e-12);
}

#[test]
fn bad_numbers_end_a_search() {
    let mut blind = search(Source::Climb(1), adaptive());
    converse(&mut blind, |_| f64::NAN);
    assert_eq!(blind.walk.status, Status::NotFinite);
    let mut later = search(Source::Climb(1), adaptive());
    let mut n = 0;
    converse(&mut later, |x| {
        n += 1;
        if (40..45).contains(&n) {
            f64::NAN
        } else {
            plane(x)
        }
    });
    assert_eq!(later.walk.status, Status::NotFinite);
    assert!(later.walk.best().is_some(), "what was found is kept");
    let mut scratch = Scratch::default();
    let mut flat = search(points(&[[0.0; 4]], Status::BadStart), adaptive());
    while flat.ask() != Ask::Nothing {
        let difference = plane(&flat.walk.point);
        let answer = match flat.ask() {
            Ask::Gradient => Answer::gradient(difference, &[0.0; 4]),
            _ => Answer::value(difference),
        };
        flat.answer(answer, &mut scratch);
    }
    assert_eq!(flat.walk.status, Status::ZeroGradient);
    assert!(flat.walk.best().is_some());
}

#[test]
fn starts_that_cannot_be_found_are_a_status() {
    let given = [0.9, 0.0, 0.9, 0.9];
    let sources = [
        (points(&[given], Status::BadStart), Status::BadStart),
        (points(&[], Status::NoStart), Status::NoStart),
        (Source::Climb(2), Status::NoStart),
        (Source::Survey(2), Status::NoStart),
        (Source::Scatter(1), Status::NoStart),
        (Source::Noise(1), Status::NoStart),
    ];
    for (source, expected) in sources {
        let mut search = search(source, adaptive());
        assert_eq!(converse(&mut search, |_| 1.0), 201);
        assert_eq!((search.walk.status, search.walk.best()), (expected, None));
    }
}

#[test]
fn scattered_starts_differ_between_streams() {
    let boundary = |source: Source<f64>, seed| {
        let mut start = Start::new(source, 10, ChaCha8Rng::seed_from_u64(seed));
        let mut walk = Walk::new(vec![0.6, 0.3, 0.5, 0.5], Norm::Linf);
        let mut stage = start.begin(&mut walk);
        while stage == Stage::GoesOn {
            let answer = Answer::gradient(plane(&walk.point), &WEIGHTS);
            stage = start.answer(&mut walk, answer, &mut Scratch::default());
        }
        start.take_boundary()
    };
    assert_eq!(boundary(Source::Climb(1), 1), boundary(Source::Climb(1), 2));
    let scattered = [1, 2].map(|seed| boundary(Source::Scatter(1), seed));
    assert_ne!(scattered[0], scattered[1]);
}

#[test]
fn of_several_points_the_nearest_boundary_counts() {
    let pool = [[0.0, 1.0, 0.0, 1.0], [0.9; 4], [0.2, 0.4, 0.3, 0.5]];
    let mut several = start(points(&pool, Status::NoStart));
    let mut walk = Walk::new(vec![0.6, 0.3, 0.5, 0.5], Norm::Linf);
    let mut stage = several.begin(&mut walk);
    while stage == Stage::GoesOn {
        let difference = plane(&walk.point);
        let answer = Answer::value(difference);
        stage = several.answer(&mut walk, answer, &mut Scratch::default());
    }
    let boundary = several.take_boundary();
    assert_eq!(boundary.len(), 2, "the second point is not adversarial");
    let size = |point: &[f64]| Norm::Linf.size(point, &walk.origin);
    assert!(size(&boundary[0]) <= size(&boundary[1]));
    assert!((size(&boundary[0]) - walk.size()).abs() < 1e-12);
    assert!(
        boundary
            .iter()
            .all(|point| (-1e-3..0.0).contains(&plane(point)))
    );
}

#[test]
fn points_are_tried_until_there_are_as_many_starts_as_wanted() {
    let mut asked = Vec::new();
    let pool = [[0.9; 4], [0.0, 1.0, 0.0, 1.0], [0.2, 0.4, 0.3, 0.5]];
    let source = Source::Points(Points {
        pixels: pool.concat().into(),
        rows: [0, 1, 2].into(),
        wanted: 1,
        failure: Status::NoStart,
    });
    let mut search = search(source, adaptive());
    converse(&mut search, |x| {
        asked.push(x.to_vec());
        plane(x)
    });
    assert_eq!(search.walk.status, Status::Completed);
    assert_eq!(asked[1..3], pool[..2], "the second is adversarial");
    assert!(!asked.contains(&pool[2].to_vec()));
}

/// The published attack, and the one by estimates, with this budget.
fn boundary_attacks(max_queries: usize) -> [Box<Boundary<f64>>; 2] {
    let rng = ChaCha8Rng::seed_from_u64(1);
    let walk = random_walk::Rules {
        spherical_step: 0.01,
        source_step: 0.01,
        adaptation: 1.5,
    };
    let estimate = estimate::Rules {
        probes: 20,
        reach: 0.2,
        tolerance: 1e-3,
    };
    let walk = Box::new(RandomWalk::new(walk, rng.clone()));
    let estimate = Box::new(Estimate::new(estimate, rng));
    [
        Box::new(Boundary::new(max_queries, walk)),
        Box::new(Boundary::new(max_queries, estimate)),
    ]
}

#[test]
fn a_query_budget_binds_while_starts_are_sought() {
    let n_asked = |max_queries, difference: fn(&[f64]) -> f64| {
        boundary_attacks(max_queries).map(|method| {
            let walk = Walk::new(vec![0.6, 0.3, 0.5, 0.5], Norm::L2);
            let begin = start(points(&[[0.0, 1.0, 0.0, 0.9]; 20], Status::NoStart));
            let mut search = Search::new(walk, begin, method);
            let used = converse(&mut search, difference);
            assert_eq!(used, max_queries, "for progress bars");
            (search.walk.n_queries, search.walk.status)
        })
    };
    for max_queries in [5, 12, 60] {
        assert_eq!(
            n_asked(max_queries, plane),
            [(max_queries as i64, Status::Completed); 2]
        );
    }
    // None is left to confirm what one more would find.
    assert_eq!(n_asked(2, plane), [(1, Status::NoStart); 2]);
    assert_eq!(n_asked(7, |_| 1.0), [(6, Status::NoStart); 2]);
}

#[test]
fn a_random_walk_to_the_tip_of_a_cone_ends() {
    let tip = |x: &[f64]| {
        if x.iter().any(|&x| x > 0.0) {
            -1.0
        } else {
            1.0
        }
    };
    for norm in [Norm::Linf, Norm::L2] {
        let [method, _] = boundary_attacks(1900);
        let given = points(&[[0.9, 0.1, 0.5, 0.5]], Status::BadStart);
        let mut search = Search::new(Walk::new(vec![0.0; 4], norm), start(given), method);
        converse(&mut search, tip);
        assert_eq!(search.walk.status, Status::Completed);
        assert!(search.walk.size() < 1e-6, "{}", search.walk.size());
    }
}

#[test]
fn an_unconfirmed_best_is_pushed_then_replaced_by_the_first_find() {
    let mut walk = Walk::new(vec![0.5, 0.5], Norm::Linf);
    walk.point = vec![1.0, 0.5];
    walk.consider(-1.0);
    walk.point = vec![0.75, 0.5];
    walk.consider(-1.0);
    assert!(walk.begin_confirmation());
    let mut attempt = 0;
    while let Some(next) = walk.confirm(
        if walk.point[0] < 0.7515 { 0.1 } else { -0.1 },
        0.0,
        attempt,
    ) {
        attempt = next;
    }
    assert!(
        attempt == 7 && (walk.size() - 0.2516).abs() < 1e-9,
        "{attempt} {}",
        walk.size()
    );
    walk.begin_confirmation();
    attempt = 0;
    while let Some(next) = walk.confirm(if walk.point[0] < 1.0 { 0.1 } else { -0.1 }, 0.0, attempt)
    {
        attempt = next;
    }
    assert_eq!(walk.best(), Some(&[1.0, 0.5][..]));
    walk.begin_confirmation();
    attempt = 0;
    while let Some(next) = walk.confirm(0.1, 0.0, attempt) {
        attempt = next;
    }
    assert_eq!((walk.status, walk.best()), (Status::Unconfirmed, None));
}

#[test]
fn what_is_returned_is_off_the_boundary_by_more_than_rounding() {
    let mut search = search(Source::Climb(1), adaptive());
    converse(&mut search, plane);
    let best = search.walk.best().unwrap();
    let exact = plane(&search.walk.origin) / DUAL;
    assert!(plane(best) < -0.5 * 1e-4 * DUAL * exact, "{}", plane(best));
}
