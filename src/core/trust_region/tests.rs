//! The oracle bisects the size, and for each size the multiplier: slow, naive,
//! and written from the statement of the problem alone.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    origin: Vec<f64>,
    point: Vec<f64>,
    normal: Vec<f64>,
    change: f64,
    radius: f64,
}

impl Case {
    fn problem(&self) -> Problem<'_, f64> {
        Problem {
            origin: &self.origin,
            point: &self.point,
            normal: &self.normal,
            change: self.change,
            radius: self.radius,
        }
    }

    fn solve(&self) -> (Outcome, Vec<f64>) {
        let mut out = vec![f64::NAN; self.origin.len()];
        let outcome = linf_step(&self.problem(), &mut Scratch::default(), &mut out);
        (outcome, out)
    }

    /// The shortest step onto the plane in the box of `size`.
    fn shortest(&self, size: f64) -> Option<Vec<f64>> {
        let step = |lambda: f64| -> Vec<f64> {
            (0..self.origin.len())
                .map(|i| {
                    let low = (self.origin[i] - size).max(0.0) - self.point[i];
                    let high = (self.origin[i] + size).min(1.0) - self.point[i];
                    (lambda * self.normal[i]).clamp(low.min(high), high)
                })
                .collect()
        };
        let (mut low, mut high) = (-1e9, 1e9);
        if self.along(&step(low)) > self.change || self.along(&step(high)) < self.change {
            return None;
        }
        for _ in 0..200 {
            let mid = f64::midpoint(low, high);
            if self.along(&step(mid)) < self.change {
                low = mid;
            } else {
                high = mid;
            }
        }
        Some(step(high))
    }

    fn along(&self, step: &[f64]) -> f64 {
        step.iter().zip(&self.normal).map(|(s, b)| s * b).sum()
    }

    /// The smallest feasible size, by bisection.
    fn smallest_size(&self) -> Option<f64> {
        let fits = |size: f64| {
            let step = self.shortest(size);
            step.is_some_and(|step| norm(&step) <= self.radius)
        };
        if !fits(1.0) {
            return None;
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let mid = f64::midpoint(low, high);
            if fits(mid) {
                high = mid;
            } else {
                low = mid;
            }
        }
        Some(high)
    }

    /// The most `sign(c) b . delta` in box and ball, by bisection.
    fn most_progress(&self) -> f64 {
        let sign = self.change.signum();
        let step = |lambda: f64| -> Vec<f64> {
            let moves = self.point.iter().zip(&self.normal);
            moves
                .map(|(x, b)| (sign * lambda * b).clamp(-x, 1.0 - x))
                .collect()
        };
        let (mut low, mut high) = (0.0, 1e9);
        for _ in 0..200 {
            let mid = f64::midpoint(low, high);
            if norm(&step(mid)) <= self.radius {
                low = mid;
            } else {
                high = mid;
            }
        }
        sign * self.along(&step(low))
    }
}

fn norm(step: &[f64]) -> f64 {
    step.iter().map(|s| s * s).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Pixels crowd the bounds, normals hold zeros, changes and radii span the
/// range from slack to hopeless.
fn cases() -> impl Strategy<Value = Case> {
    let pixel = || prop_oneof![3 => 0.0..1.0, 1 => Just(0.0), 1 => Just(1.0), 1 => 0.0..0.02];
    let slope = prop_oneof![4 => -1.0..1.0, 1 => Just(0.0), 1 => -0.01..0.01];
    let coordinate = (pixel(), pixel(), 0.0..1.0, slope);
    let scale = prop_oneof![Just(1.0), Just(0.05), Just(0.0)];
    (
        prop::collection::vec(coordinate, 1..40),
        scale,
        -3.0..1.0,
        prop::bool::ANY,
        -3.0..0.7,
    )
        .prop_map(|(rows, closeness, change, up, radius)| {
            let near = |&(x0, x, _, _): &(f64, f64, f64, f64)| x0 + closeness * (x - x0);
            Case {
                origin: rows.iter().map(|row| row.0).collect(),
                point: rows.iter().map(near).collect(),
                normal: rows.iter().map(|row| row.3).collect(),
                change: 10_f64.powf(change) * if up { 1.0 } else { -1.0 },
                radius: 10_f64.powf(radius),
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_step_is_the_oracles(case in cases()) {
        let (outcome, out) = case.solve();
        let step: Vec<f64> = out.iter().zip(&case.point).map(|(a, b)| a - b).collect();
        prop_assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
        prop_assert!(norm(&step) <= case.radius * (1.0 + 1e-9));
        let along = case.along(&step);
        if norm(&case.normal) == 0.0 {
            prop_assert_eq!(outcome, Outcome::NoDirection);
            prop_assert_eq!(out, case.point);
            return Ok(());
        }
        match (outcome, case.smallest_size()) {
            (Outcome::OnPlane, Some(size)) => {
                prop_assert!((along - case.change).abs() <= 1e-7 * case.change.abs());
                let got = distance(&out, &case.origin);
                prop_assert!(got >= size * (1.0 - 1e-6) - 1e-9, "{got} for {size}");
                // Where the ball binds the step is a little shorter than it may be.
                let strained = Case { radius: case.radius * (1.0 - 2e-6), ..case.clone() };
                if let Some(size) = strained.smallest_size() {
                    prop_assert!(got <= size * (1.0 + 1e-6) + 1e-9, "{got} for {size}");
                }
            }
            (Outcome::Towards, None) => {
                let most = case.most_progress();
                let got = along * case.change.signum();
                prop_assert!(got >= most * (1.0 - 1e-5) - 1e-12, "{got} of {most}");
            }
            (outcome, size) => {
                // Only on the edge of feasibility may the two differ.
                let eased = Case { change: case.change * (1.0 - 1e-6), radius: case.radius * (1.0 + 1e-6), ..case };
                let strained = Case { change: eased.change * (1.0 + 2e-6), radius: eased.radius * (1.0 - 2e-6), ..eased.clone() };
                prop_assert!(
                    eased.smallest_size().is_some() != strained.smallest_size().is_some(),
                    "{outcome:?} against {size:?}"
                );
            }
        }
    }

    #[test]
    fn any_numbers_end(
        rows in prop::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64, prop::num::f64::ANY), 0..30),
        change in prop::num::f64::ANY,
        radius in prop::num::f64::ANY,
    ) {
        let case = Case {
            origin: rows.iter().map(|row| row.0).collect(),
            point: rows.iter().map(|row| row.1).collect(),
            normal: rows.iter().map(|row| row.2).collect(),
            change,
            radius,
        };
        let (outcome, out) = case.solve();
        prop_assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
        if matches!(outcome, Outcome::NoDirection | Outcome::NotFinite) {
            prop_assert_eq!(out, case.point);
        }
    }
}

#[test]
fn without_walls_and_ball_the_size_is_the_dual_norm() {
    let case = Case {
        origin: vec![0.5; 100],
        point: vec![0.5; 100],
        normal: (0..100).map(|i| f64::from(i) / 100.0 - 0.3).collect(),
        change: -0.8,
        radius: 10.0,
    };
    let sum: f64 = case.normal.iter().map(|b| b.abs()).sum();
    let (outcome, out) = case.solve();
    assert_eq!(outcome, Outcome::OnPlane);
    assert!((distance(&out, &case.origin) - 0.8 / sum).abs() < 1e-12);
}

#[test]
fn single_precision_pixels_stay_in_bounds() {
    let origin = [0.1_f32, 0.9, 0.0, 1.0, 0.3];
    let point = [0.2_f32, 0.8, 0.1, 0.95, 0.3];
    let normal = [0.3_f32, -0.2, 1.0, 0.7, 0.0];
    let problem = Problem {
        origin: &origin,
        point: &point,
        normal: &normal,
        change: 0.05,
        radius: 0.06,
    };
    let mut out = [0.0_f32; 5];
    assert_eq!(
        linf_step(&problem, &mut Scratch::default(), &mut out),
        Outcome::OnPlane
    );
    let along: f32 = (0..5).map(|i| normal[i] * (out[i] - point[i])).sum();
    assert!((along - 0.05).abs() < 1e-6, "{along}");
}
