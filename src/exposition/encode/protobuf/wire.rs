//! Measures and writes the binary encoding (<https://protobuf.dev/programming-guides/encoding/>).

use super::super::line::Line;
use super::schema::{Fields, Message};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;

/// Counts the bytes of fields.
pub(super) struct Size(usize);

impl Size {
    /// Returns the bytes of a message without its length.
    pub(super) fn of(message: &impl Message) -> usize {
        let mut size = Size(0);
        message.write(&mut size);
        size.0
    }

    /// Returns the bytes of a message as a field, with its tag and length.
    pub(super) fn of_field(field: u32, message: &impl Message) -> usize {
        let mut size = Size(0);
        size.message(field, message);
        size.0
    }

    fn varint(&mut self, value: u64) {
        // A byte has seven bits of the value. Zero takes one byte.
        self.0 += (64 - (value | 1).leading_zeros()).div_ceil(7) as usize;
    }

    fn tag(&mut self, field: u32) {
        self.varint(u64::from(field) << 3);
    }

    fn delimited(&mut self, field: u32, bytes: usize) {
        self.tag(field);
        self.varint(bytes as u64);
        self.0 += bytes;
    }
}

impl Fields for Size {
    fn string(&mut self, field: u32, value: &str) {
        self.delimited(field, value.len());
    }

    fn double(&mut self, field: u32, _: f64) {
        self.tag(field);
        self.0 += size_of::<f64>();
    }

    fn uint64(&mut self, field: u32, value: u64) {
        self.tag(field);
        self.varint(value);
    }

    fn message(&mut self, field: u32, message: &impl Message) {
        self.delimited(field, Size::of(message));
    }
}

/// Writes fields.
///
/// Each message is measured before it is written, so a bucket, the deepest message, is measured four times.
pub(super) struct Wire<'o, 'r>(pub(super) &'o mut Line<'r>);

impl Wire<'_, '_> {
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }
}

impl Fields for Wire<'_, '_> {
    fn string(&mut self, field: u32, value: &str) {
        self.tag(field, LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.put(value.as_bytes());
    }

    fn double(&mut self, field: u32, value: f64) {
        self.tag(field, FIXED64);
        self.0.put(&value.to_le_bytes());
    }

    fn uint64(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    fn message(&mut self, field: u32, message: &impl Message) {
        self.tag(field, LENGTH_DELIMITED);
        self.varint(Size::of(message) as u64);
        message.write(self);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::line, *};

    #[test]
    fn a_varint_has_the_measured_length() {
        for (value, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[128, 1]),
            (300, &[0xac, 2]),
            (u64::MAX >> 1, &[255, 255, 255, 255, 255, 255, 255, 255, 127]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let (mut out, mut size) = (Vec::new(), Size(0));
            line::into(&mut out, |line| Wire(line).varint(value));
            size.varint(value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(size.0, bytes.len(), "{value}");
        }
    }
}
