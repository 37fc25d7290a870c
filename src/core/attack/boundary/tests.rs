use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use super::super::{Points, Search, Source, Start, Status, ball};
use super::*;
use crate::core::norm::Norm;

const SHAPE: [usize; 3] = [3, 16, 16];
const N: usize = 768;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn shaped(seed: u64) -> Box<dyn Proposal<f64>> {
    let rules = shaped::Rules {
        probes: 20,
        reach: 0.2,
    };
    Box::new(Shaped::new(rules, SHAPE, rng(seed)))
}

fn white(seed: u64) -> Box<dyn Proposal<f64>> {
    let rules = estimate::Rules {
        probes: 20,
        reach: 0.2,
        tolerance: 1e-3,
    };
    Box::new(Estimate::new(rules, rng(seed)))
}

/// The search of a proposal from noise around gray, whose size is sought where
/// `difference` is negative.
fn run(
    norm: Norm,
    proposal: Box<dyn Proposal<f64>>,
    seed: u64,
    max_queries: usize,
    difference: impl Fn(&[f64]) -> f64,
) -> Search<f64> {
    let mut draws = rng(seed + 100);
    let mut far: Vec<f64> = vec![0.5; N];
    while difference(&far) >= 0.0 {
        far = (0..N).map(|_| draws.random()).collect();
    }
    let source = Source::Points(Points {
        pixels: far.into(),
        rows: [0].into(),
        wanted: 1,
        failure: Status::BadStart,
    });
    let walk = Walk::new(vec![0.5; N], norm);
    let method = Box::new(Boundary::new(max_queries, proposal));
    let mut search = Search::new(walk, Start::new(source, 10, rng(0)), method);
    let mut scratch = Scratch::default();
    while search.ask() != Ask::Nothing {
        let answer = Answer::value(difference(&search.walk.point));
        search.answer(answer, &mut scratch);
    }
    assert_eq!(search.walk.status, Status::Completed);
    assert_eq!(search.walk.n_queries, max_queries as i64);
    search
}

/// The normal of a half-space: a coarse bar, or white noise; of unit length.
fn normal(is_coarse: bool) -> Vec<f64> {
    let mut draws = rng(7);
    let mut normal: Vec<f64> = if is_coarse {
        let bar = |i: usize| if i % 16 < 8 { 1.0 } else { -0.5 };
        (0..N).map(bar).collect()
    } else {
        (0..N).map(|_| draws.sample(StandardNormal)).collect()
    };
    let length = ball::length(&normal);
    for value in &mut normal {
        *value /= length;
    }
    normal
}

/// Negative beyond a plane at a distance of 0.1 from gray.
fn plane(normal: &[f64]) -> impl Fn(&[f64]) -> f64 {
    move |x| {
        let along: f64 = x.iter().zip(normal).map(|(x, n)| (x - 0.5) * n).sum();
        0.1 - along
    }
}

/// The median size over seeds, as a multiple of the least.
fn median(make: fn(u64) -> Box<dyn Proposal<f64>>, normal: &[f64], budget: usize) -> f64 {
    let one = |seed| run(Norm::L2, make(seed), seed, budget, plane(normal));
    let mut sizes: Vec<f64> = (0..9).map(|seed| one(seed).walk.size() / 0.1).collect();
    sizes.sort_by(f64::total_cmp);
    sizes[4]
}

#[test]
fn a_coarse_normal_is_found_in_few_queries() {
    let normal = normal(true);
    let (ours, theirs) = (median(shaped, &normal, 300), median(white, &normal, 300));
    assert!(ours < 1.1 && ours < 0.7 * theirs, "{ours} {theirs}");
}

#[test]
fn a_white_normal_costs_no_more_than_white_probes() {
    let normal = normal(false);
    for budget in [200, 500, 1500] {
        let (ours, theirs) = (
            median(shaped, &normal, budget),
            median(white, &normal, budget),
        );
        assert!(ours < 1.1 * theirs, "{budget}: {ours} {theirs}");
    }
}

#[test]
fn the_probes_follow_the_normal() {
    let share = |is_coarse| {
        let normal = normal(is_coarse);
        let search = run(Norm::L2, shaped(0), 0, 1500, plane(&normal));
        let shares = search.probe_spectrum();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(shares.len(), 8);
        shares[6] + shares[7]
    };
    let (coarse, white) = (share(true), share(false));
    assert!(white > 0.5 && white > coarse + 0.1, "{white} {coarse}");
}

#[test]
fn a_sphere_around_another_image_is_approached() {
    // Adversarial within 3 of an image at a distance of 5: the least size is 2.
    let toward = normal(true);
    let inside = |x: &[f64]| {
        let pixels = x.iter().zip(&toward);
        let square: f64 = pixels.map(|(x, n)| (x - 0.5 - 5.0 * n).powi(2)).sum();
        square.sqrt() - 3.0
    };
    let far: Vec<f64> = toward.iter().map(|n| 0.5 + 5.0 * n).collect();
    assert!(inside(&far) < 0.0);
    let source = Source::Points(Points {
        pixels: far.into(),
        rows: [0].into(),
        wanted: 1,
        failure: Status::BadStart,
    });
    let walk = Walk::new(vec![0.5; N], Norm::L2);
    let method = Box::new(Boundary::new(800, shaped(0)));
    let mut search = Search::new(walk, Start::new(source, 3, rng(0)), method);
    let mut scratch = Scratch::default();
    while search.ask() != Ask::Nothing {
        let answer = Answer::value(inside(&search.walk.point));
        search.answer(answer, &mut scratch);
    }
    let size = search.walk.size();
    assert!((2.0..2.2).contains(&size), "{size}");
}

#[test]
fn signs_reach_the_corner_of_a_cube() {
    // The least size is the distance over the sum of the normal's values.
    for is_coarse in [true, false] {
        let normal = normal(is_coarse);
        let least = 0.1 / normal.iter().map(|n| n.abs()).sum::<f64>();
        let signs = Box::new(Signs::new(SHAPE, rng(0)));
        let search = run(Norm::Linf, signs, 0, 4000, plane(&normal));
        let size = search.walk.size();
        let most = if is_coarse { 1.03 } else { 1.5 };
        assert!(size >= least && size < most * least, "{size} {least}");
        assert!(search.probe_spectrum().is_empty());
    }
}
