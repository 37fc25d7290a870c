/*!
Large allocations that return an error if there is not enough memory.

The standard library would end the process, and unsaved work in a notebook would
be lost. All arrays whose size depends on an argument are allocated here.
*/

use crate::{Error, Result};

/// The number of values of an array of this shape.
///
/// # Errors
/// [`Error::Memory`], with the array's name, if its bytes exceed the address space.
pub fn count<T>(name: &str, shape: &[usize]) -> Result<usize> {
    let count = shape
        .iter()
        .try_fold(1_usize, |product, &length| product.checked_mul(length));
    match count {
        // No allocation may be larger than half of all addresses.
        Some(count) if count <= isize::MAX as usize / size_of::<T>().max(1) => Ok(count),
        _ => Err(lacking::<T>(name, shape)),
    }
}

/// Allocates an array that is filled with one value.
///
/// # Errors
/// [`Error::Memory`], naming the array and its size.
pub fn filled<T: Clone>(name: &str, shape: &[usize], value: T) -> Result<Vec<T>> {
    let mut values = reserved(name, shape)?;
    values.resize(count::<T>(name, shape)?, value);
    Ok(values)
}

/// Allocates an empty vector with the capacity for an array of this shape.
///
/// # Errors
/// [`Error::Memory`], naming the array and its size.
pub fn reserved<T>(name: &str, shape: &[usize]) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(count::<T>(name, shape)?)
        .map_err(|_| lacking::<T>(name, shape))?;
    Ok(values)
}

/// The error for an array that does not fit in memory.
#[must_use]
pub fn lacking<T>(name: &str, shape: &[usize]) -> Error {
    let bytes = shape.iter().fold(size_of::<T>() as f64, |bytes, &length| {
        bytes * length as f64
    });
    Error::Memory(format!(
        "{name}: got shape {shape:?}, which takes {}, more memory than there is",
        readable(bytes)
    ))
}

/// A number of bytes as text, in the largest unit for which the number is at least 1.
fn readable(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"];
    let power = (bytes.max(1.0).log10() / 3.0) as usize;
    let power = power.min(UNITS.len() - 1);
    format!(
        "{:.3} {}",
        bytes / 1000.0_f64.powi(power as i32),
        UNITS[power]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_with_its_size() {
        assert_eq!(filled("a", &[2, 3], 0_u8).unwrap(), [0; 6]);
        let text = |shape: &[usize]| filled("map", shape, 0.0).unwrap_err().to_string();
        let message = text(&[1 << 30, 1 << 20]);
        assert!(
            message.contains("map: got shape [1073741824, 1048576]"),
            "{message}"
        );
        assert!(message.contains("9.007 PB"), "{message}");
        assert!(text(&[usize::MAX, 3]).contains("EB"));
        assert!(text(&[usize::MAX / 8 + 1]).contains("EB"));
    }
}
