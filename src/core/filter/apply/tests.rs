use ndarray::{Array4, Array5};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::core::filter::{Bars, Pass, Shape, gains};

fn images(shape: (usize, usize, usize, usize), seed: u64) -> Array4<f64> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Array4::from_shape_simple_fn(shape, || rng.random())
}

/// The transform as a sum over pixels, with a sign of the exponent.
fn sum(plane: &Array2<Complex<f64>>, sign: f64) -> Array2<Complex<f64>> {
    let (h, w) = plane.dim();
    Array2::from_shape_fn((h, w), |(ky, kx)| {
        let terms = plane.indexed_iter().map(|((y, x), &value)| {
            let turns = (ky * y) as f64 / h as f64 + (kx * x) as f64 / w as f64;
            value * Complex::cis(sign * std::f64::consts::TAU * turns)
        });
        terms.sum()
    })
}

fn spectrum(plane: ArrayView2<f64>) -> Array2<Complex<f64>> {
    sum(&plane.mapv(|value| Complex::new(value, 0.0)), -1.0)
}

fn scrambled(images: &Array4<f64>, limit: f64, streams: &[u64]) -> Array4<f64> {
    let mut out = Array4::zeros(images.dim());
    scramble(images.view(), limit, 5, streams, out.view_mut()).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn filters_multiply_the_spectrum(
        n in 1_usize..3, c in 1_usize..4, h in 1_usize..8, w in 1_usize..8, cut in 0.1..0.6,
    ) {
        let images = images((n, c, h, w), 1);
        let pass = |shape, bars| Pass { low: 0.0, high: cut, shape, bars, keep_mean: true };
        let bars = Some(Bars { orientation: 30.0, width: 360.0 });
        let passes = [
            pass(Shape::Ideal, None),
            pass(Shape::Gaussian, bars),
            Pass { low: cut, high: f64::INFINITY, ..pass(Shape::Butterworth(2.0), None) },
        ];
        let filters: Vec<_> = passes
            .iter()
            .filter_map(|pass| gains(h, w, pass, &Stop::default()).ok())
            .collect();
        let mut out = Array5::zeros((filters.len(), n, c, h, w));
        multiply(images.view(), &filters, out.view_mut()).unwrap();
        for (f, gains) in filters.iter().enumerate() {
            for i in 0..n {
                for p in 0..c {
                    let plane = images.slice(ndarray::s![i, p, .., ..]);
                    let back = sum(&(spectrum(plane) * gains), 1.0) / (h * w) as f64;
                    let found = out.slice(ndarray::s![f, i, p, .., ..]);
                    for (z, &value) in back.iter().zip(found) {
                        prop_assert!((z.re - value).abs() < 1e-10 && z.im.abs() < 1e-10);
                    }
                }
            }
        }
    }

    #[test]
    fn phases_change_and_amplitudes_do_not(h in 1_usize..8, w in 1_usize..8, c in 1_usize..4) {
        let images = images((2, c, h, w), 2);
        let out = scrambled(&images, 120.0, &[4, 9]);
        for i in 0..2 {
            let field = Field::draw((h, w), 120.0, 5, [4, 9][i], &Stop::default()).unwrap();
            for p in 0..c {
                let at = ndarray::s![i, p, .., ..];
                let (before, after) = (spectrum(images.slice(at)), spectrum(out.slice(at)));
                for ((place, z), &other) in before.indexed_iter().zip(&after) {
                    let expected = z * Complex::cis(field.at(place.0, place.1));
                    prop_assert!((expected - other).norm() < 1e-9);
                    prop_assert!((z.norm() - other.norm()).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn whitening_gives_one_amplitude(h in 1_usize..8, w in 2_usize..8) {
        let images = images((1, 2, h, w), 3);
        let mut out = Array4::zeros(images.dim());
        whiten(images.view(), out.view_mut()).unwrap();
        for p in 0..2 {
            let at = ndarray::s![0, p, .., ..];
            let (before, after) = (spectrum(images.slice(at)), spectrum(out.slice(at)));
            let total: f64 = before.iter().skip(1).map(Complex::norm_sqr).sum();
            let flat = (total / (h * w - 1) as f64).sqrt();
            for (k, (z, other)) in before.iter().zip(&after).enumerate() {
                let expected = if k == 0 { *z } else { z * (flat / z.norm()) };
                prop_assert!((expected - other).norm() < 1e-8);
            }
        }
    }

    #[test]
    fn swapping_twice_is_the_identity(h in 1_usize..8, w in 1_usize..8) {
        let (a, b) = (images((2, 1, h, w), 4), images((2, 1, h, w), 5));
        let swap = |a: &Array4<f64>, b: &Array4<f64>| {
            let mut out = Array4::zeros(a.dim());
            combine(a.view(), b.view(), out.view_mut()).unwrap();
            out
        };
        let back = swap(&swap(&a, &b), &swap(&b, &a));
        prop_assert!(back.iter().zip(&a).all(|(x, y)| (x - y).abs() < 1e-10));
    }
}

#[test]
fn an_image_has_its_own_stream_and_its_channels_share_it() {
    let one = images((1, 1, 6, 6), 6);
    let copies = ndarray::concatenate(Axis(1), &[one.view(), one.view(), one.view()]).unwrap();
    let out = scrambled(&copies, 180.0, &[1]);
    for p in 1..3 {
        let (first, other) = (
            out.slice(ndarray::s![0, 0, .., ..]),
            out.slice(ndarray::s![0, p, .., ..]),
        );
        assert!(first.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-12));
    }
    let batch = ndarray::concatenate(Axis(0), &[one.view(), one.view()]).unwrap();
    let out = scrambled(&batch, 180.0, &[0, 1]);
    assert!((out[(0, 0, 2, 3)] - out[(1, 0, 2, 3)]).abs() > 1e-6);
    let alone = scrambled(&one, 180.0, &[1]);
    assert!((alone[(0, 0, 2, 3)] - out[(1, 0, 2, 3)]).abs() < 1e-15);
}

#[test]
fn a_plane_without_contrast_is_not_changed() {
    let flat = Array4::from_elem((1, 1, 8, 8), 0.3_f32);
    let mut out = Array4::zeros(flat.dim());
    whiten(flat.view(), out.view_mut()).unwrap();
    assert!(out.iter().all(|value| (value - 0.3).abs() < 1e-6));
}

#[test]
fn wrong_shapes_are_refused() {
    let image = images((1, 1, 4, 4), 7);
    let mut out = Array4::zeros(image.dim());
    assert!(scramble(image.view(), 1.0, 0, &[], out.view_mut()).is_err());
    let other = images((1, 1, 4, 5), 7);
    assert!(combine(image.view(), other.view(), out.view_mut()).is_err());
}
