//! `l2` and `l1`: compares the size of the perturbation with the Lagrangian dual. The
//! dual is a lower bound for all multipliers of plane and ball. It is computed
//! coordinate by coordinate, and bisection over the multipliers makes it tight.

use super::*;

/// The objective of one coordinate. For each pair (slope, curvature) in `bends`, the sum
/// of objective and parabola may be minimal at `(o mu + slope) / (mu + curvature)`.
struct Objective {
    value: fn(f64) -> f64,
    bends: &'static [(f64, f64)],
}

const HALF_SQUARE: Objective = Objective {
    value: |u| u * u / 2.0,
    bends: &[(0.0, 1.0)],
};
const ABSOLUTE: Objective = Objective {
    value: f64::abs,
    bends: &[(1.0, 0.0), (-1.0, 0.0)],
};

impl Case {
    /// The perturbation that minimizes
    /// `objective - lambda b . u + mu || u - o ||^2 / 2` in the box.
    fn minimiser(&self, objective: &Objective, lambda: f64, mu: f64) -> Vec<f64> {
        (0..self.origin.len())
            .map(|i| {
                let (low, high) = (-self.origin[i], 1.0 - self.origin[i]);
                let (b, o) = (self.normal[i], self.point[i] - self.origin[i]);
                let cost =
                    |u: f64| (objective.value)(u) - lambda * b * u + mu / 2.0 * (u - o).powi(2);
                let bends = objective.bends.iter().filter(|bend| mu + bend.1 > 0.0);
                bends
                    .map(|bend| ((o * mu + lambda * b + bend.0) / (mu + bend.1)).clamp(low, high))
                    .chain([0.0, low, high])
                    .min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
                    .unwrap()
            })
            .collect()
    }

    /// For the best `lambda`: half of squared step length minus squared radius; the dual.
    fn best_lambda(&self, objective: &Objective, mu: f64) -> (f64, f64) {
        let offsets: Vec<f64> = self
            .point
            .iter()
            .zip(&self.origin)
            .map(|(x, o)| x - o)
            .collect();
        let height = self.change + self.along(&offsets);
        let most = self.normal.iter().filter(|b| **b != 0.0);
        let most = most.fold(0.0_f64, |most, b| most.max((3.0 + 3.0 * mu) / b.abs()));
        let (mut low, mut high) = (-most, most);
        for _ in 0..90 {
            let mid = f64::midpoint(low, high);
            if self.along(&self.minimiser(objective, mid, mu)) < height {
                low = mid;
            } else {
                high = mid;
            }
        }
        let u = self.minimiser(objective, high, mu);
        let square: f64 = u.iter().zip(&offsets).map(|(u, o)| (u - o).powi(2)).sum();
        let surplus = (square - self.radius.powi(2)) / 2.0;
        let size: f64 = u.iter().map(|&u| (objective.value)(u)).sum();
        (
            surplus,
            size + high * (height - self.along(&u)) + mu * surplus,
        )
    }

    /// The largest lower bound that was found.
    fn dual(&self, objective: &Objective) -> f64 {
        let mut most = self.best_lambda(objective, 0.0).1;
        let (mut low, mut high) = (-20.0, 12.0);
        for _ in 0..50 {
            let mid = f64::midpoint(low, high);
            let (surplus, bound) = self.best_lambda(objective, f64::exp(mid));
            most = most.max(bound);
            if surplus > 0.0 {
                low = mid;
            } else {
                high = mid;
            }
        }
        most
    }

    fn check(&self, norm: Norm, objective: &Objective) -> Result<(), TestCaseError> {
        let Some(out) = check_constraints(self, norm)? else {
            return Ok(());
        };
        let pixels = out.iter().zip(&self.origin);
        let got: f64 = pixels
            .map(|(x, origin)| (objective.value)(x - origin))
            .sum();
        let least = self.dual(objective);
        prop_assert!(got >= least * (1.0 - 1e-7) - 1e-9, "{got} for {least}");
        prop_assert!(got <= least * (1.0 + 1e-6) + 1e-8, "{got} for {least}");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_point_is_nearer(case in cases()) {
        case.check(Norm::L2, &HALF_SQUARE)?;
    }

    #[test]
    fn no_sum_is_smaller(case in cases()) {
        case.check(Norm::L1, &ABSOLUTE)?;
    }
}

#[test]
fn without_walls_and_ball_the_foot_of_the_perpendicular() {
    let case = Case {
        origin: vec![0.5; 100],
        point: (0..100).map(|i| 0.45 + f64::from(i) / 1000.0).collect(),
        normal: (0..100).map(|i| f64::from(i) / 100.0 - 0.3).collect(),
        change: -0.8,
        radius: 10.0,
    };
    let square: f64 = case.normal.iter().map(|b| b * b).sum();
    let height: f64 = case.change
        + (0..100)
            .map(|i| case.normal[i] * (case.point[i] - 0.5))
            .sum::<f64>();
    let (outcome, out) = case.solve(Norm::L2);
    assert_eq!(outcome, Outcome::OnPlane);
    for (x, b) in out.iter().zip(&case.normal) {
        assert!((x - 0.5 - height * b / square).abs() < 1e-12);
    }
}

#[test]
fn the_steepest_coordinates_fill_first() {
    let case = Case {
        origin: vec![0.5; 4],
        point: vec![0.6; 4],
        normal: vec![0.1, -0.4, 0.2, 0.3],
        change: 0.28 - 0.02,
        radius: 10.0,
    };
    let (outcome, out) = case.solve(Norm::L1);
    assert_eq!(outcome, Outcome::OnPlane);
    let expected = [0.5, 0.0, 0.5, 0.5 + 0.08 / 0.3];
    for (x, expected) in out.iter().zip(expected) {
        assert!((x - expected).abs() < 1e-12, "{out:?}");
    }
}

#[test]
fn equal_slopes_share_the_rest_by_the_shortest_step() {
    let case = Case {
        origin: vec![0.5; 3],
        point: vec![0.6, 0.5, 0.5],
        normal: vec![0.1; 3],
        change: 0.02,
        radius: 10.0,
    };
    let (_, out) = case.solve(Norm::L1);
    for (x, point) in out.iter().zip(&case.point) {
        assert!((x - point - 0.2 / 3.0).abs() < 1e-9, "{out:?}");
    }
}
