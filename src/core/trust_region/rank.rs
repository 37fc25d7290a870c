/*!
Selection of the largest of many numbers, without sorting.
*/

use super::REACH_SLACK;

/// A coordinate's value, by which coordinates are chosen in descending order, and its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank {
    pub(super) value: f64,
    pub(super) weight: f64,
}

/// Chooses elements in descending order of value until their weights sum to `wanted`, and
/// returns the last value; `None` if the sum of all weights is less.
///
/// Each round halves the number of candidates, so the cost is O(D).
pub(super) fn value_at_weight(mut ranks: &mut [Rank], wanted: f64) -> Option<f64> {
    if wanted <= 0.0 {
        return Some(f64::INFINITY);
    }
    let (mut missing, mut last) = (wanted, f64::INFINITY);
    while !ranks.is_empty() {
        let middle = ranks.len() / 2;
        let (front, pivot, back) =
            ranks.select_nth_unstable_by(middle, |a, b| b.value.total_cmp(&a.value));
        let ahead: f64 = front.iter().map(|rank| rank.weight).sum();
        if missing <= ahead {
            last = pivot.value;
            ranks = front;
        } else if missing <= ahead + pivot.weight {
            return Some(pivot.value);
        } else {
            missing -= ahead + pivot.weight;
            last = pivot.value;
            ranks = back;
        }
    }
    // The order of summation changes rounding, so allow a small deficit.
    (missing <= REACH_SLACK * wanted).then_some(last)
}

/// The value with rank `count`, counted from 0 in descending order; 0 after the last.
pub(super) fn value_at_rank(values: &mut [f64], count: usize) -> f64 {
    if count >= values.len() {
        return 0.0;
    }
    *values
        .select_nth_unstable_by(count, |a, b| b.total_cmp(a))
        .1
}
