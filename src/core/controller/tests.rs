use super::*;

fn rules() -> Rules {
    Rules {
        steps: 1000,
        lr: 1e-3,
        lr_decay: 0.5,
        lr_num_decay: 20,
        momentum: 0.8,
        overshoot: 1.1,
        overshoot_rule: Overshoot::Foolbox,
        binary_search_steps: 10,
    }
}

#[test]
fn the_radius_halves_every_fifty_steps_of_a_thousand() {
    let rules = rules();
    assert_eq!(rules.radius(0, 3072).to_bits(), 3.072_f64.to_bits());
    assert_eq!(rules.radius(48, 3072).to_bits(), 3.072_f64.to_bits());
    assert_eq!(rules.radius(49, 3072).to_bits(), 1.536_f64.to_bits());
    let last = rules.radius(999, 1000);
    assert!((last - 0.5_f64.powi(20)).abs() < 1e-18, "{last}");
    let short = Rules {
        steps: 100,
        ..rules
    };
    assert_eq!(short.radius(4, 10).to_bits(), 0.005_f64.to_bits());
}

#[test]
fn both_overshoots_aim_inside() {
    let foolbox = rules();
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

/// The classifier `w . x < 1`: difference and gradient are known everywhere.
#[test]
fn a_walk_on_a_plane_ends_at_the_dual_norm() {
    let weights = [1.0, -0.5, 0.25, 0.0];
    let difference = |x: &[f64]| x.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() - 0.2;
    let mut walk = Walk::new(vec![0.6, 0.3, 0.5, 0.5], 0, 0);
    let first = difference(&walk.point);
    walk.inspect(first);
    assert!(walk.is_active());
    walk.point = vec![0.0, 1.0, 0.0, 0.9];
    walk.place();
    for _ in 0..10 {
        walk.bisect(difference(&walk.point.clone()));
    }
    walk.settle();
    let mut scratch = Scratch::default();
    for step in 0..1000 {
        let now = difference(&walk.point);
        walk.advance(now, &weights, (&rules(), step), &mut scratch);
    }
    let exact = first / 1.75;
    assert!(
        (walk.size / exact - 1.0).abs() < 0.001,
        "{} for {exact}",
        walk.size
    );
    walk.settle();
    assert!(walk.confirm(difference(&walk.point.clone()), 0));
}

#[test]
fn bad_numbers_end_a_walk() {
    let mut walk = Walk::new(vec![0.5_f32, 0.5], 0, 0);
    walk.advance(1.0, &[0.0, 0.0], (&rules(), 0), &mut Scratch::default());
    assert_eq!(walk.status, Status::ZeroGradient);
    let mut walk = Walk::new(vec![0.5_f32, 0.5], 0, 0);
    walk.advance(
        f64::NAN,
        &[1.0, 0.0],
        (&rules(), 0),
        &mut Scratch::default(),
    );
    assert_eq!(walk.status, Status::NotFinite);
    let mut walk = Walk::new(vec![0.5_f32, 0.5], 0, 0);
    walk.inspect(f64::INFINITY);
    assert_eq!(walk.status, Status::NotFinite);
}

#[test]
fn an_unconfirmed_best_is_pushed_then_replaced_by_the_start() {
    let mut walk = Walk::new(vec![0.5, 0.5], 0, 0);
    walk.point = vec![1.0, 0.5];
    walk.place();
    walk.bisect(-1.0);
    walk.settle();
    assert_eq!(walk.point, [0.75, 0.5]);
    let mut attempt = 0;
    while !walk.confirm(if walk.point[0] < 0.7515 { 0.1 } else { -0.1 }, attempt) {
        attempt += 1;
    }
    assert!(
        attempt == 7 && (walk.size - 0.2516).abs() < 1e-9,
        "{attempt} {}",
        walk.size
    );
    walk.settle();
    attempt = 0;
    while !walk.confirm(0.1, attempt) {
        attempt += 1;
    }
    assert_eq!((walk.status, walk.best()), (Status::Unconfirmed, None));
}
