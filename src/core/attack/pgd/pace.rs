/*!
The length of PGD's steps: halved where a run makes no progress.
*/

/// The share of steps that must bring a gain (APGD's rho).
const GAINING: f64 = 0.75;
/// The first period between two tests, how much shorter each next one is, and
/// the shortest; in hundredths of all steps.
const PERIODS: [usize; 3] = [22, 3, 6];

/// The length of steps, and the progress it is judged by.
#[derive(Debug)]
pub struct Pace {
    steps: usize,
    /// The present step over the budget.
    pub step: f64,
    /// When progress was judged last, in hundredths of all steps.
    judged: usize,
    /// When it will be judged next.
    next: usize,
    last: f64,
    n_gains: usize,
    least: f64,
    /// The least difference at the last judgment.
    least_then: f64,
    /// Whether that judgment halved the step.
    was_halved: bool,
}

impl Pace {
    /// A run of so many steps, and its first step over the budget.
    pub fn new(steps: usize, step: f64) -> Self {
        Self {
            steps,
            step,
            judged: 0,
            next: PERIODS[0],
            last: f64::INFINITY,
            n_gains: 0,
            least: f64::INFINITY,
            least_then: f64::INFINITY,
            was_halved: false,
        }
    }

    /// Notes a difference; returns whether it is the least of the run.
    pub fn is_least(&mut self, difference: f64) -> bool {
        self.n_gains += usize::from(difference < self.last && self.last.is_finite());
        self.last = difference;
        let is_least = difference < self.least;
        if is_least {
            self.least = difference;
        }
        is_least
    }

    /// Judges progress where that is due, and halves the step if it stalls.
    pub fn stalls(&mut self, step: usize) -> bool {
        let due = |hundredths: usize| (hundredths * self.steps).div_ceil(100);
        if step < due(self.next) {
            return false;
        }
        let n_steps = due(self.next) - due(self.judged);
        let gained = self.n_gains as f64 >= GAINING * n_steps as f64;
        let stalls = !gained || (!self.was_halved && self.least_then <= self.least);
        if stalls {
            self.step /= 2.0;
            self.last = self.least;
        }
        self.least_then = self.least;
        self.was_halved = stalls;
        self.n_gains = 0;
        let [_, shorter, shortest] = PERIODS;
        let period = self.next - self.judged;
        self.judged = self.next;
        self.next += period.saturating_sub(shorter).max(shortest);
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_judged_at_the_published_steps() {
        let mut pace = Pace::new(100, 2.0);
        // Never a gain: every judgment halves, and nothing else does.
        let mut halved = Vec::new();
        for step in 0..100 {
            pace.is_least(1.0);
            if pace.stalls(step) {
                halved.push(step);
            }
        }
        assert_eq!(halved, [22, 41, 57, 70, 80, 87, 93, 99]);
        assert!((pace.step - 2.0 / 256.0).abs() < 1e-15);
    }

    #[test]
    fn steady_gains_are_left_alone() {
        for rare in [3, 6] {
            let mut pace = Pace::new(100, 2.0);
            let mut n_halved = 0;
            for step in 0..100 {
                // One step in `rare` brings no gain.
                let lost = if step % rare == 0 { 1.5 } else { 0.0 };
                pace.is_least(lost - f64::from(u32::try_from(step).unwrap()));
                n_halved += usize::from(pace.stalls(step));
            }
            assert_eq!(n_halved > 0, rare == 3, "{rare}");
        }
    }

    #[test]
    fn a_step_just_halved_has_one_more_period_to_beat_the_least() {
        let mut pace = Pace::new(100, 2.0);
        let mut halved = Vec::new();
        for step in 0..100 {
            // The first is never beaten; after step 22 each beats the last.
            let slow = 1.0 - 1e-3 * step.max(22) as f64;
            pace.is_least(if step == 0 { 0.0 } else { slow });
            if pace.stalls(step) {
                halved.push(step);
            }
        }
        assert_eq!(halved, [22, 57, 80, 93]);
    }
}
