/*!
Frequency bands of an image: blocks of pixels, in gray and in color.

Blocks of 1, 2, 4, ... pixels are nested, so the means over blocks of one size less
the means over the next size are orthogonal to those of every other size: a band of
about one octave. Each band is split into the mean over channels ("gray") and the rest
("color"). The coarsest band holds the means of at most four blocks.
*/

/// The most blocks of the coarsest band.
const N_COARSEST: usize = 4;

/// Blocks of one size.
#[derive(Debug)]
struct Level {
    height: usize,
    width: usize,
    /// Pixels of each block; blocks at the edges may be smaller.
    counts: Vec<f64>,
}

/// The bands of images of one shape, from coarse to fine, each as gray and color.
#[derive(Debug)]
pub struct Bands {
    channels: usize,
    /// From pixels to the coarsest blocks.
    levels: Vec<Level>,
}

impl Bands {
    /// The bands of images (channels, height, width).
    #[must_use]
    pub fn new([channels, height, width]: [usize; 3]) -> Self {
        let counts = vec![1.0; height * width];
        let mut levels = vec![Level {
            height,
            width,
            counts,
        }];
        while let Some(last) = levels.last()
            && last.counts.len() > N_COARSEST
        {
            levels.push(last.coarser());
        }
        Self { channels, levels }
    }

    /// The dimensions of each band; 0 for color where there is one channel.
    #[must_use]
    pub fn dimensions(&self) -> Vec<f64> {
        let n_blocks = |l: usize| self.levels.get(l).map_or(0, |level| level.counts.len());
        let colors = (self.channels - 1) as f64;
        let sizes = (0..self.levels.len()).rev();
        sizes
            .flat_map(|l| {
                let n = (n_blocks(l) - n_blocks(l + 1)) as f64;
                [n, n * colors]
            })
            .collect()
    }

    /// The squared length of `values` in each band.
    #[must_use]
    pub fn energies(&self, values: &[f64]) -> Vec<f64> {
        let means = self.means(values);
        let mut found = Vec::new();
        let mut coarser = [0.0; 2];
        for (level, means) in self.levels.iter().zip(&means).rev() {
            let mut total = [0.0; 2];
            for (pixels, means) in level.counts.iter().zip(means.chunks(self.channels)) {
                let gray = self.gray(means);
                total[0] += pixels * self.channels as f64 * gray * gray;
                let color = means.iter().map(|mean| (mean - gray).powi(2));
                total[1] += pixels * color.sum::<f64>();
            }
            found.extend([0, 1].map(|kind| (total[kind] - coarser[kind]).max(0.0)));
            coarser = total;
        }
        found
    }

    /// Multiplies each band of `values` by its gain.
    pub fn scale(&self, values: &mut [f64], gains: &[f64]) {
        let means = self.means(values);
        let mut above: Vec<f64> = Vec::new();
        for (l, gains) in (0..self.levels.len()).rev().zip(gains.chunks(2)) {
            let level = &self.levels[l];
            let mut scaled = vec![0.0; means[l].len()];
            for block in 0..level.counts.len() {
                let at = block * self.channels;
                let range = at..at + self.channels;
                let mut detail = means[l][range.clone()].to_vec();
                if let Some(parents) = self.levels.get(l + 1) {
                    let up = parents.width * (block / level.width / 2) + block % level.width / 2;
                    let up = up * self.channels..(up + 1) * self.channels;
                    for (detail, mean) in detail.iter_mut().zip(&means[l + 1][up.clone()]) {
                        *detail -= mean;
                    }
                    scaled[range.clone()].copy_from_slice(&above[up]);
                }
                let gray = self.gray(&detail);
                for (value, detail) in scaled[range].iter_mut().zip(&detail) {
                    *value += gains[0] * gray + gains[1] * (detail - gray);
                }
            }
            above = scaled;
        }
        let n_pixels = values.len() / self.channels;
        for (i, value) in values.iter_mut().enumerate() {
            *value = above[i % n_pixels * self.channels + i / n_pixels];
        }
    }

    /// The means over the blocks of every level, channels last.
    fn means(&self, values: &[f64]) -> Vec<Vec<f64>> {
        let n_pixels = values.len() / self.channels;
        let pixel = |i: usize| values[i % self.channels * n_pixels + i / self.channels];
        let mut all = vec![(0..values.len()).map(pixel).collect::<Vec<f64>>()];
        for pair in self.levels.windows(2) {
            let (fine, coarse) = (&pair[0], &pair[1]);
            let mut means = vec![0.0; coarse.counts.len() * self.channels];
            let below = all.last().map_or(&[][..], |below| &below[..]);
            for (block, below) in below.chunks(self.channels).enumerate() {
                let up = coarse.width * (block / fine.width / 2) + block % fine.width / 2;
                let share = fine.counts[block] / coarse.counts[up];
                let means = means[up * self.channels..].iter_mut();
                for (mean, value) in means.zip(below) {
                    *mean += share * value;
                }
            }
            all.push(means);
        }
        all
    }

    fn gray(&self, means: &[f64]) -> f64 {
        means.iter().sum::<f64>() / self.channels as f64
    }
}

impl Level {
    /// Blocks twice as high and wide.
    fn coarser(&self) -> Self {
        let (height, width) = (self.height.div_ceil(2), self.width.div_ceil(2));
        let mut counts = vec![0.0; height * width];
        for (block, count) in self.counts.iter().enumerate() {
            counts[width * (block / self.width / 2) + block % self.width / 2] += count;
        }
        Self {
            height,
            width,
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of `values` over the block of `size` that holds each pixel.
    fn blurred(values: &[f64], [c, h, w]: [usize; 3], size: usize) -> Vec<f64> {
        let mut out = Vec::new();
        for channel in 0..c {
            for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
                let of = |i: usize, n: usize| i / size * size..(i / size * size + size).min(n);
                let block = of(y, h).flat_map(|y| of(x, w).map(move |x| (y, x)));
                let all: Vec<f64> = block
                    .map(|(y, x)| values[(channel * h + y) * w + x])
                    .collect();
                out.push(all.iter().sum::<f64>() / all.len() as f64);
            }
        }
        out
    }

    /// The gray part of `values`.
    fn grayed(values: &[f64], [c, h, w]: [usize; 3]) -> Vec<f64> {
        let mean = |i: usize| (0..c).map(|k| values[k * h * w + i]).sum::<f64>() / c as f64;
        (0..c * h * w).map(|i| mean(i % (h * w))).collect()
    }

    fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a - b).collect()
    }

    #[test]
    fn bands_are_differences_of_blurs() {
        for shape in [[3, 6, 5], [1, 8, 8], [2, 1, 9], [3, 1, 1]] {
            let n = shape.iter().product::<usize>();
            let values: Vec<f64> = (0..n).map(|i| ((i * i * 7 + 3) % 11) as f64).collect();
            let bands = Bands::new(shape);
            let dimensions = bands.dimensions();
            assert!((dimensions.iter().sum::<f64>() - n as f64).abs() < 1e-12);
            let n_levels = dimensions.len() / 2;
            let energies = bands.energies(&values);
            for band in 0..dimensions.len() {
                let level = n_levels - 1 - band / 2;
                let mut expected = blurred(&values, shape, 1 << level);
                if level + 1 < n_levels {
                    expected = minus(&expected, &blurred(&values, shape, 2 << level));
                }
                let gray = grayed(&expected, shape);
                expected = if band % 2 == 0 {
                    gray
                } else {
                    minus(&expected, &gray)
                };
                let mut gains = vec![0.0; dimensions.len()];
                gains[band] = 1.0;
                let mut found = values.clone();
                bands.scale(&mut found, &gains);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-12, "{shape:?} band {band}");
                }
                let energy: f64 = expected.iter().map(|x| x * x).sum();
                assert!((energies[band] - energy).abs() < 1e-9, "{shape:?} {band}");
            }
        }
    }
}
