use super::*;

fn rules() -> Rules {
    Rules {
        steps: 100,
        restarts: 0,
        descent: 0,
        radius: Radius::Adaptive {
            first: 4.0,
            last: 0.01,
            decay: 0.5,
            patience: 1,
            tolerance: 1e-3,
        },
        momentum: 0.5,
        is_normalised: true,
        overshoot: 1.1,
        overshoot_rule: Overshoot::Foolbox,
    }
}

#[test]
fn a_lost_walk_halves_its_way_back() {
    let start = vec![0.8, 0.6];
    let mut walk = Walk::new(vec![0.0; 2], Norm::Linf);
    let mut attack = BrendelBethge::new(rules());
    attack.begin(&mut walk, vec![start.clone()]);
    let mut scratch = Scratch::default();
    let mut answer = |attack: &mut BrendelBethge<f64>, walk: &mut Walk<f64>, difference| {
        let gradient: &[f64] = if difference > 0.0 {
            &[0.6, -0.8]
        } else {
            &[0.0, -1.0]
        };
        let answer = Answer::gradient(difference, gradient);
        assert_eq!(attack.answer(walk, answer, &mut scratch), Stage::GoesOn);
    };
    answer(&mut attack, &mut walk, -1.0);
    // Lost from the next decay on, and lenient until the one after it.
    let lost = (0..20).take_while(|_| {
        answer(&mut attack, &mut walk, 1.0);
        !attack.is_returning
    });
    assert!((LENIENCE..2 * LENIENCE).contains(&lost.count()));
    for _ in 0..3 {
        let before = walk.point.clone();
        answer(&mut attack, &mut walk, 1.0);
        let half = |i: usize| 0.5 * (before[i] + start[i]);
        assert_eq!(walk.point, [half(0), half(1)]);
    }
    let share = attack.share;
    answer(&mut attack, &mut walk, -1.0);
    assert!(!attack.is_returning && attack.share > share, "nearer");
    assert_eq!(attack.normal, [0.0, -1.0], "nothing of where it was lost");
}

#[test]
fn a_walk_that_comes_back_nearer_goes_on_with_its_radius() {
    let mut walk = Walk::new(vec![0.0; 2], Norm::Linf);
    let mut attack = BrendelBethge::new(rules());
    attack.begin(&mut walk, vec![vec![0.8, 0.6]]);
    walk.point = vec![0.06, 0.08];
    let outside: Vec<f64> = (0..30).map_while(|_| attack.radius(&walk)).collect();
    // A share of where it stands, halved after five steps without a gain.
    assert!((outside[0] - 0.4).abs() < 1e-12, "{outside:?}");
    assert!((outside[29] - 0.4 / 32.0).abs() < 1e-12, "{outside:?}");
    attack.found(&walk, 0.08);
    // Ten times nearer than where it came from, with ten times the share.
    let inside = attack.radius(&walk).unwrap();
    assert!((inside - 4.0 / 32.0).abs() < 1e-12, "{inside}");
    walk.point = vec![0.0; 2];
    let least = attack.radius(&walk).unwrap();
    assert!(least > 0.0, "at the clean image it can still move");
}
