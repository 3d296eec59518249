//! Detects whether another request has begun, which hyper does not expose. If the last bytes read are not the blank
//! line that ends a head, another head has begun.

/// The last bytes of a connection's input.
#[derive(Debug, Default)]
pub(super) struct HeadEnd {
    /// The newest byte is the last. Three bytes are kept, because a blank line may be split between two reads.
    tail: [u8; 3],
    begun: bool,
}

impl HeadEnd {
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for &byte in &bytes[bytes.len().saturating_sub(3)..] {
            self.tail = [self.tail[1], self.tail[2], byte];
        }
        // httparse accepts a bare LF as a line end too.
        self.begun = !matches!(self.tail, [b'\n', b'\r', b'\n'] | [_, b'\n', b'\n']);
    }

    /// Returns whether bytes of an incomplete head have been read.
    pub(super) fn head_begun(&self) -> bool {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_begun_head_at_every_split() {
        let table = [
            (&b""[..], false),
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"GET / HTTP/1.1\n\n", false),
            (b"GET / HTTP/1.1\r\n\n", false),
            (b"GET / HTTP/1.1\r\n\r\nG", true),
            (b"GET / HTTP/1.1\r\n\r", true),
            (b"GET / HTTP/1.1\r\n", true),
            (b"G", true),
        ];
        for (bytes, begun) in table {
            for size in 1..=bytes.len().max(1) {
                let mut head_end = HeadEnd::default();
                bytes.chunks(size).for_each(|piece| head_end.read(piece));
                assert_eq!(head_end.head_begun(), begun, "{bytes:?} in pieces of {size}");
            }
        }
    }
}
