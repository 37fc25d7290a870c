//! `linf`: the smallest size, found by bisection; each box is tried with its shortest step.

use super::*;

impl Case {
    /// The smallest feasible size, by bisection.
    fn smallest_size(&self) -> Option<f64> {
        let fits = |size: f64| {
            let step = self.shortest(|_| size);
            step.is_some_and(|step| length(&step) <= self.radius)
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
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_step_is_the_oracles(case in cases()) {
        let Some(out) = check_constraints(&case, Norm::Linf)? else {
            return Ok(());
        };
        let got = Norm::Linf.size(&out, &case.origin);
        if let Some(size) = case.smallest_size() {
            prop_assert!(got >= size * (1.0 - 1e-6) - 1e-9, "{got} for {size}");
        }
        // If the ball binds, the step is slightly shorter than the radius.
        if let Some(size) = case.with(1.0, 1.0 - 2e-6).smallest_size() {
            prop_assert!(got <= size * (1.0 + 1e-6) + 1e-9, "{got} for {size}");
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
    let (outcome, out) = case.solve(Norm::Linf);
    assert_eq!(outcome, Outcome::OnPlane);
    assert!((Norm::Linf.size(&out, &case.origin) - 0.8 / sum).abs() < 1e-12);
}
