//! The oracles use bisection. They are slow and simple, and follow only the statement of
//! the problem. This file has the tests for all norms; each norm's optimum has its own file.

use super::*;
use crate::core::norm::Norm;
use proptest::prelude::*;

mod convex;
mod l0;
mod linf;

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

    fn solve(&self, norm: Norm) -> (Outcome, Vec<f64>) {
        let mut out = vec![f64::NAN; self.origin.len()];
        let outcome = step(norm, &self.problem(), &mut Scratch::default(), &mut out);
        (outcome, out)
    }

    fn with(&self, change: f64, radius: f64) -> Self {
        Self {
            change: self.change * change,
            radius: self.radius * radius,
            ..self.clone()
        }
    }

    /// The shortest step onto the plane in a box of sizes around the origin.
    fn shortest(&self, size: impl Fn(usize) -> f64) -> Option<Vec<f64>> {
        let step = |lambda: f64| -> Vec<f64> {
            (0..self.origin.len())
                .map(|i| {
                    let low = (self.origin[i] - size(i)).max(0.0) - self.point[i];
                    let high = (self.origin[i] + size(i)).min(1.0) - self.point[i];
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

    fn is_feasible(&self) -> bool {
        let step = self.shortest(|_| 1.0);
        step.is_some_and(|step| length(&step) <= self.radius)
    }

    /// The largest `sign(c) b . delta` inside box and ball, by bisection.
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
            if length(&step(mid)) <= self.radius {
                low = mid;
            } else {
                high = mid;
            }
        }
        sign * self.along(&step(low))
    }
}

fn length(step: &[f64]) -> f64 {
    step.iter().map(|s| s * s).sum::<f64>().sqrt()
}

/// Random cases. Many pixels are at the bounds, normals contain zeros, and changes and
/// radii range from easy to impossible.
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

/// Checks everything that does not depend on the norm. Returns the new point if it is on
/// the plane.
fn check_constraints(case: &Case, norm: Norm) -> Result<Option<Vec<f64>>, TestCaseError> {
    let (outcome, out) = case.solve(norm);
    let step: Vec<f64> = out.iter().zip(&case.point).map(|(a, b)| a - b).collect();
    prop_assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
    prop_assert!(length(&step) <= case.radius * (1.0 + 1e-9));
    let along = case.along(&step);
    if length(&case.normal) == 0.0 {
        prop_assert_eq!(outcome, Outcome::NoDirection);
        prop_assert_eq!(out, case.point.clone());
        return Ok(None);
    }
    match (outcome, case.is_feasible()) {
        (Outcome::OnPlane, true) => {
            prop_assert!((along - case.change).abs() <= 1e-9 * case.change.abs() + 1e-12);
            return Ok(Some(out));
        }
        (Outcome::Towards, false) => {
            let most = case.most_progress();
            let got = along * case.change.signum();
            prop_assert!(got >= most * (1.0 - 1e-5) - 1e-12, "{got} of {most}");
        }
        // Outcome and feasibility may differ only at the edge of feasibility.
        (outcome, feasible) => prop_assert!(
            case.with(1.0 - 1e-6, 1.0 + 1e-6).is_feasible()
                != case.with(1.0 + 1e-6, 1.0 - 1e-6).is_feasible(),
            "{outcome:?} against {feasible}"
        ),
    }
    Ok(None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

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
        for norm in Norm::ALL {
            let (outcome, out) = case.solve(norm);
            prop_assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
            if matches!(outcome, Outcome::NoDirection | Outcome::NotFinite) {
                prop_assert_eq!(out, case.point.clone());
            }
        }
    }

    #[test]
    fn a_used_scratch_changes_nothing(first in cases(), second in cases()) {
        for norm in Norm::ALL {
            let mut scratch = Scratch::default();
            let mut out = vec![0.0; first.origin.len()];
            for other in Norm::ALL {
                step(other, &first.problem(), &mut scratch, &mut out);
            }
            let mut out = vec![0.0; second.origin.len()];
            let outcome = step(norm, &second.problem(), &mut scratch, &mut out);
            prop_assert_eq!((outcome, out), second.solve(norm));
        }
    }
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
    for norm in Norm::ALL {
        let mut out = [0.0_f32; 5];
        assert_eq!(
            step(norm, &problem, &mut Scratch::default(), &mut out),
            Outcome::OnPlane
        );
        let along: f32 = (0..5).map(|i| normal[i] * (out[i] - point[i])).sum();
        assert!((along - 0.05).abs() < 1e-6, "{norm:?}: {along}");
    }
}
