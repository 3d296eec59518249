//! Writes lines into buffers.
//!
//! The parts of a line are short, so a call of `memcpy` takes longer than the copy itself. Here a copy is two
//! overlapping loads and stores of a fixed length, one from the front and one from the back. Only the line itself
//! has its position, so the position stays in registers.

use std::io;
use std::mem;

/// A line that is being written into a slice. If the slice is too small, the line is written again into a bigger one.
pub(super) struct Line<'r> {
    /// The part of the slice that is not written yet.
    unfilled: &'r mut [u8],
    /// The number of bytes that did not fit. If it is not zero, nothing more is written.
    missing: usize,
}

/// Writes a line into `buffer` and returns its length.
///
/// # Errors
///
/// The number of bytes that did not fit.
#[inline(always)]
pub(super) fn within(buffer: &mut [u8], write: impl Fn(&mut Line<'_>)) -> Result<usize, usize> {
    let bytes = buffer.len();
    let mut line = Line { unfilled: buffer, missing: 0 };
    write(&mut line);
    if line.missing == 0 { Ok(bytes - line.unfilled.len()) } else { Err(line.missing) }
}

/// Replaces the content of `buffer` with a line.
#[inline(always)]
pub(super) fn into(buffer: &mut Vec<u8>, write: impl Fn(&mut Line<'_>)) {
    buffer.resize(buffer.capacity(), 0);
    loop {
        match within(buffer, &write) {
            Ok(bytes) => return buffer.truncate(bytes),
            Err(missing) => buffer.resize(buffer.len() + missing, 0),
        }
    }
}

impl Line<'_> {
    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    #[inline(always)]
    pub(super) fn put(&mut self, text: &[u8]) {
        let left = self.unfilled.len();
        match mem::take(&mut self.unfilled).split_at_mut_checked(text.len()) {
            Some((to, rest)) => {
                copy(to, text);
                self.unfilled = rest;
            }
            None => self.missing += text.len() - left,
        }
    }

    /// Writes a text of `N` to `2 * N` bytes.
    #[inline(always)]
    pub(super) fn put_ends<const N: usize>(&mut self, text: &[u8]) {
        let left = self.unfilled.len();
        match mem::take(&mut self.unfilled).split_at_mut_checked(text.len()) {
            Some((to, rest)) => {
                copy_ends::<N>(to, text);
                self.unfilled = rest;
            }
            None => self.missing += text.len() - left,
        }
    }

    /// Writes the first `len` bytes of `text`.
    #[inline(always)]
    pub(super) fn put_first(&mut self, text: [u8; 8], len: usize) {
        match self.unfilled.first_chunk_mut() {
            Some(to) => {
                *to = text;
                self.unfilled = &mut mem::take(&mut self.unfilled)[len.min(8)..];
            }
            None => self.put(&text[..len]),
        }
    }

    /// Passes a copy of the line to `write`, because a line whose address escapes does not stay in registers.
    #[inline(always)]
    pub(super) fn lend(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        let bytes = self.unfilled.len();
        let mut line = Line { unfilled: self.unfilled, missing: self.missing };
        write(&mut line);
        let (left, missing) = (line.unfilled.len(), line.missing);
        self.unfilled = &mut mem::take(&mut self.unfilled)[bytes - left..];
        self.missing = missing;
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.put(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whether two texts are equal.
#[inline(always)]
pub(super) fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let len = one.len();
    if len != other.len() {
        false
    } else if len > 32 {
        one == other
    } else if len >= 16 {
        same_ends::<16>(one, other)
    } else if len >= 8 {
        same_ends::<8>(one, other)
    } else if len >= 4 {
        same_ends::<4>(one, other)
    } else if len >= 2 {
        same_ends::<2>(one, other)
    } else {
        one.first() == other.first()
    }
}

#[inline(always)]
fn same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
}

/// Copies between slices of the same length.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    let len = from.len();
    if len > 128 {
        to.copy_from_slice(from);
    } else if len > 64 {
        copy_ends::<64>(to, from);
    } else if len > 32 {
        copy_ends::<32>(to, from);
    } else if len >= 16 {
        copy_ends::<16>(to, from);
    } else if len >= 8 {
        copy_ends::<8>(to, from);
    } else if len >= 4 {
        copy_ends::<4>(to, from);
    } else if len >= 2 {
        copy_ends::<2>(to, from);
    } else if len == 1 {
        to[0] = from[0];
    }
}

#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        (0..300_u32).map(|at| char::from(b' ' + (at * 7 % 90) as u8)).collect()
    }

    #[test]
    fn copies_texts_of_each_length() {
        let text = text();
        for len in 0..text.len() {
            let expected = format!("<{}>", &text[..len]);
            let write = |line: &mut Line<'_>| {
                line.push(b'<');
                line.lend(|line| line.put(&text.as_bytes()[..len]));
                line.put_first(*b"> and so", 1);
            };
            for size in [0, 1, 2, len, len + 1, len + 2, len + 9, 400] {
                let mut buffer = vec![b'~'; size];
                let written = within(&mut buffer, write);
                let missing = expected.len().saturating_sub(buffer.len());
                let fits = if missing == 0 { Ok(expected.len()) } else { Err(missing) };
                assert_eq!(written, fits, "{len} in {}", buffer.len());
                if let Ok(bytes) = written {
                    assert_eq!(buffer[..bytes], *expected.as_bytes(), "{len}");
                }
            }
            for mut buffer in [Vec::new(), vec![7; 9], Vec::with_capacity(400)] {
                into(&mut buffer, write);
                assert_eq!(buffer, expected.as_bytes(), "{len}");
            }
        }
    }

    #[test]
    fn compares_texts_of_each_length() {
        let text = text();
        for len in 0..text.len() {
            let part = &text[..len];
            let twin = part.to_owned();
            assert!(same(part, &twin), "{len}");
            assert!(!same(part, &text[..len + 1]), "{len}");
            for at in 0..len {
                let mut other = part.to_owned();
                other.replace_range(at..=at, "~");
                assert!(!same(part, &other), "{at} of {len}");
            }
        }
    }
}
