/*!
Image processing for spatter: edges, the distance to edges, means of 3 x 3
pixels, and histogram equalization. The definitions follow cv2: Canny (1986)
with Sobel gradients in the l1 norm, and the chamfer distance on 5 x 5
neighbors of Borgefors (1986).
*/

use super::filter::Border;
use super::{Result, Stop};

/// For every pixel, the result of `work` for the 3 x 3 pixels around it.
fn map_nine<T: Copy, S>(
    values: &[T],
    width: usize,
    border: Border,
    stop: &Stop,
    work: impl Fn([[T; 3]; 3]) -> S,
) -> Result<Vec<S>> {
    let height = values.len() / width;
    let line = |at: isize| {
        let row = &values[border.index(at, height) * width..][..width];
        let edge = |at: isize| row[border.index(at, width)];
        let mut line = vec![edge(-1)];
        line.extend_from_slice(row);
        line.push(edge(width as isize));
        line
    };
    let mut lines = [line(-1), line(-1), line(0)];
    let mut mapped = Vec::with_capacity(values.len());
    for y in stop.watch(0..height) {
        lines.rotate_left(1);
        lines[2] = line(y? as isize + 1);
        let [above, own, below] = &lines;
        let triples = above.windows(3).zip(own.windows(3)).zip(below.windows(3));
        mapped.extend(
            triples.map(|((a, b), c)| {
                work([[a[0], a[1], a[2]], [b[0], b[1], b[2]], [c[0], c[1], c[2]]])
            }),
        );
    }
    Ok(mapped)
}

/// Marks edge pixels in a plane of levels: local maxima of the gradient above
/// `low` that are connected to a maximum above `high`.
pub fn canny(
    levels: &[u8],
    width: usize,
    (low, high): (i32, i32),
    stop: &Stop,
) -> Result<Vec<bool>> {
    let gradients = map_nine(levels, width, Border::Nearest, stop, |nine| {
        let [a, b, c] = nine.map(|row| row.map(i32::from));
        (
            a[2] + 2 * b[2] + c[2] - a[0] - 2 * b[0] - c[0],
            c[0] + 2 * c[1] + c[2] - a[0] - 2 * a[1] - a[2],
        )
    })?;
    let is_ridge = ridges(&gradients, width, low, stop)?;
    let size = |at: usize| gradients[at].0.abs() + gradients[at].1.abs();
    let mut is_edge = vec![false; levels.len()];
    let mut open: Vec<usize> = (0..levels.len())
        .filter(|&at| is_ridge[at] && size(at) > high)
        .collect();
    while let Some(at) = open.pop() {
        stop.check()?;
        if std::mem::replace(&mut is_edge[at], true) {
            continue;
        }
        let (y, x) = (at / width, at % width);
        for row in y.saturating_sub(1)..(y + 2).min(levels.len() / width) {
            for column in x.saturating_sub(1)..(x + 2).min(width) {
                let near = row * width + column;
                if is_ridge[near] && !is_edge[near] {
                    open.push(near);
                }
            }
        }
    }
    Ok(is_edge)
}

/// Marks pixels whose gradient (across, down) is above `low` and is a maximum among
/// the two neighbors in the gradient's direction, rounded to 45 degrees. Outside
/// the image, the gradient is zero.
fn ridges(gradients: &[(i32, i32)], width: usize, low: i32, stop: &Stop) -> Result<Vec<bool>> {
    let height = gradients.len() / width;
    let tangent = std::f64::consts::FRAC_PI_8.tan() as f32;
    let stride = width + 2;
    let mut sizes = vec![0; (height + 2) * stride];
    for (row, line) in gradients.chunks_exact(width).enumerate() {
        for (size, (dx, dy)) in sizes[(row + 1) * stride + 1..].iter_mut().zip(line) {
            *size = dx.abs() + dy.abs();
        }
    }
    let is_ridge = |(at, &(dx, dy)): (usize, &(i32, i32))| {
        let centre = (at / width + 1) * stride + at % width + 1;
        let own = sizes[centre];
        if own <= low {
            return false;
        }
        let (across, down) = (dx.abs() as f32, dy.abs() as f32);
        if down < tangent * across {
            own > sizes[centre - 1] && own >= sizes[centre + 1]
        } else if across < tangent * down {
            own > sizes[centre - stride] && own >= sizes[centre + stride]
        } else {
            let diagonal = if (dx < 0) == (dy < 0) {
                stride + 1
            } else {
                stride - 1
            };
            own > sizes[centre - diagonal] && own > sizes[centre + diagonal]
        }
    };
    let mut ridges = Vec::with_capacity(gradients.len());
    for row in stop.watch(gradients.chunks_exact(width).enumerate()) {
        let (y, row) = row?;
        ridges.extend((y * width..).zip(row).map(is_ridge));
    }
    Ok(ridges)
}

/// Distance of every pixel to the nearest marked pixel, at most `limit`.
///
/// It is the length of the shortest path. Steps to a side neighbor have length 1, to
/// a diagonal neighbor 1.4, and knight's moves 2.1969.
pub fn distance(is_marked: &[bool], width: usize, limit: f32, stop: &Stop) -> Result<Vec<f32>> {
    let height = is_marked.len() / width;
    // A border of two pixels, at distance `limit`.
    let stride = width + 4;
    let mut distance = vec![limit; (height + 4) * stride];
    for (row, line) in is_marked.chunks_exact(width).enumerate() {
        let own = &mut distance[(row + 2) * stride + 2..];
        for (distance, _) in own.iter_mut().zip(line).filter(|(_, marked)| **marked) {
            *distance = 0.0;
        }
    }
    let moves = [
        (1, 1.0),
        (stride, 1.0),
        (stride + 1, 1.4),
        (stride - 1, 1.4),
        (stride + 2, 2.1969),
        (stride - 2, 2.1969),
        (2 * stride + 1, 2.1969),
        (2 * stride - 1, 2.1969),
    ];
    // First downwards with steps from above and left, then upwards with the other steps.
    for y in stop.watch(2..height + 2) {
        let y = y?;
        for at in y * stride + 2..y * stride + 2 + width {
            let through = moves.map(|(step, length)| distance[at - step] + length);
            distance[at] = through.into_iter().fold(distance[at], f32::min);
        }
    }
    for y in stop.watch((2..height + 2).rev()) {
        let y = y?;
        for at in (y * stride + 2..y * stride + 2 + width).rev() {
            let through = moves.map(|(step, length)| distance[at + step] + length);
            distance[at] = through.into_iter().fold(distance[at], f32::min);
        }
    }
    let rows = distance.chunks_exact(stride).skip(2).take(height);
    let inner = rows.flat_map(|row| row[2..2 + width].iter().copied());
    Ok(inner.collect())
}

/// Means of 3 x 3 pixels; the border is mirrored.
pub fn mean_of_nine(values: &[f32], width: usize, stop: &Stop) -> Result<Vec<f32>> {
    weigh(values, width, [[1.0 / 9.0; 3]; 3], stop)
}

/// Correlation with a 3 x 3 kernel; the border is mirrored.
pub fn weigh(values: &[f32], width: usize, kernel: [[f32; 3]; 3], stop: &Stop) -> Result<Vec<f32>> {
    map_nine(values, width, Border::Mirror, stop, |nine| {
        let pairs = nine.as_flattened().iter().zip(kernel.as_flattened());
        pairs.map(|(value, weight)| value * weight).sum()
    })
}

/// Equalizes the histogram of the levels.
pub fn equalise(levels: &mut [f32], stop: &Stop) -> Result<()> {
    let mut counts = [0_u32; 256];
    for piece in stop.pieces(levels) {
        for level in piece? {
            counts[*level as usize] += 1;
        }
    }
    let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let others = levels.len() as u32 - counts[first];
    if others == 0 {
        return Ok(());
    }
    let mut below = 0;
    let mut table = [0.0; 256];
    for (out, count) in table.iter_mut().zip(counts).skip(first + 1) {
        below += count;
        *out = (below as f32 * (255.0 / others as f32)).round_ties_even();
    }
    for piece in stop.pieces(levels) {
        for level in piece? {
            *level = table[*level as usize];
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;

    #[test]
    fn a_step_has_one_edge_and_faint_ones_need_a_strong_neighbour() {
        let step: Vec<u8> = (0..200)
            .map(|at| if at % 20 < 9 { 20 } else { 120 })
            .collect();
        let edge = canny(&step, 20, (50, 150), &Stop::default()).unwrap();
        for (at, is_edge) in edge.into_iter().enumerate() {
            assert_eq!(is_edge, at % 20 == 8, "{at}");
        }
        let faint: Vec<u8> = (0..200)
            .map(|at| if at % 20 < 9 { 20 } else { 50 })
            .collect();
        assert!(
            !canny(&faint, 20, (50, 150), &Stop::default())
                .unwrap()
                .contains(&true)
        );
    }

    #[test]
    fn distances_are_shortest_paths() {
        let (height, width) = (23, 31);
        let mut marked = vec![false; height * width];
        for at in [5 * 31 + 7, 20 * 31 + 25] {
            marked[at] = true;
        }
        let ours = distance(&marked, width, 20.0, &Stop::default()).unwrap();
        for y in 0..height {
            for x in 0..width {
                let to = |row: usize, column: usize| {
                    let (a, b) = (y.abs_diff(row), x.abs_diff(column));
                    let (long, short) = (a.max(b) as f32, a.min(b) as f32);
                    // Knight's moves, then straight or diagonal steps.
                    if 2.0 * short <= long {
                        2.1969 * short + (long - 2.0 * short)
                    } else {
                        2.1969 * (long - short) + 1.4 * (2.0 * short - long)
                    }
                };
                let expected = to(5, 7).min(to(20, 25)).min(20.0);
                assert!((ours[y * width + x] - expected).abs() < 1e-4, "{y} {x}");
            }
        }
    }

    #[test]
    fn an_even_histogram_spans_all_levels() {
        let mut levels: Vec<f32> = (0..100).map(|at| 40.0 + (at / 10) as f32).collect();
        equalise(&mut levels, &Stop::default()).unwrap();
        assert_eq!(levels[0], 0.0);
        assert_eq!(levels[99], 255.0);
        assert_eq!(levels[55], (5.0_f32 * 255.0 / 9.0).round_ties_even());
        let mut flat = vec![7.0; 10];
        equalise(&mut flat, &Stop::default()).unwrap();
        assert_eq!(flat, vec![7.0; 10]);
    }
}
