//! `l0`: the smallest number of changed pixels, found by trying all subsets.

use proptest::test_runner::RngSeed;

use super::*;

impl Case {
    /// The smallest number of pixels off the origin that allows a step onto the plane
    /// inside box and ball.
    fn fewest(&self) -> Option<usize> {
        let n = self.origin.len();
        let is_free = |subset: usize, i: usize| subset >> i & 1 == 1;
        let fits = |subset: usize| {
            let step = self.shortest(|i| if is_free(subset, i) { 1.0 } else { 0.0 });
            step.is_some_and(|step| length(&step) <= self.radius)
        };
        (0..1_usize << n)
            .filter(|&subset| fits(subset))
            .map(|subset| subset.count_ones() as usize)
            .min()
    }

    fn first(mut self, n: usize) -> Self {
        self.origin.truncate(n);
        self.point.truncate(n);
        self.normal.truncate(n);
        self
    }

    /// Checks the count, and returns its difference from the optimum.
    fn excess(&self) -> Result<usize, TestCaseError> {
        let Some(out) = check_constraints(self, Norm::L0)? else {
            return Ok(0);
        };
        let got = Norm::L0.size(&out, &self.origin) as usize;
        if let Some(least) = self.with(1.0, 1.0 + 1e-6).fewest() {
            prop_assert!(got >= least, "{got} for {least}");
        }
        let least = self.with(1.0, 1.0 - 1e-6).fewest();
        Ok(least.map_or(0, |least| got.saturating_sub(least)))
    }
}

proptest! {
    // The bound of the excess holds only for coordinates in general position, so the
    // seed is fixed.
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(3000)
    })]

    #[test]
    fn at_most_one_more_than_the_fewest(case in cases()) {
        let excess = case.first(8).excess()?;
        prop_assert!(excess <= 1, "{excess}");
    }

    #[test]
    fn without_a_ball_the_fewest(case in cases()) {
        let case = Case { radius: 1e3, ..case.first(8) };
        prop_assert_eq!(case.excess()?, 0);
    }

    #[test]
    fn equal_pixels_cost_little(
        case in cases(),
        copies in prop::collection::vec(0_usize..3, 8),
    ) {
        let pick = |row: &[f64]| copies.iter().map(|&i| row[i % row.len()]).collect();
        let case = Case {
            origin: pick(&case.origin),
            point: pick(&case.point),
            normal: pick(&case.normal),
            ..case
        };
        let excess = case.excess()?;
        prop_assert!(excess <= 3, "{excess}");
    }
}
