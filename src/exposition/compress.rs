//! Content codings: the pieces of an exposition in, those of a body out. In memory; nothing here touches a device.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;

use crate::exposition::encode::{PIECE, Pieces, Sink, Spares};

/// A content coding (RFC 9110, section 8.4.1), whether this build has it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The body as it is.
    Identity,
    /// gzip (RFC 1952), also known as `x-gzip`.
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// What this build compresses with, the cheaper first: zstd takes as long as gzip, to a sixth, and makes two thirds of
/// its bytes (`LEVELS=1 cargo bench --bench scrape --all-features`).
const TABLE: &[(Coding, Start)] = &[
    #[cfg(feature = "zstd")]
    (Coding::Zstd, zstd::start),
    #[cfg(feature = "gzip")]
    (Coding::Gzip, gzip::start),
];

type Start = fn(Effort) -> io::Result<Box<dyn Compressor>>;

/// How often a body is made of the same bytes, and so what may be spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// For each request: the time is the host's.
    Often,
    /// Once in a server's life.
    Once,
}

/// A smaller body is sent as it is: compressed it would save no packet.
const WORTHWHILE: usize = 1024;

impl Coding {
    /// All codings.
    pub const ALL: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Zstd];

    /// Its names in `Accept-Encoding`, the one for `Content-Encoding` first: "A recipient SHOULD consider "x-gzip" to be
    /// equivalent to "gzip"." (RFC 9110, section 8.4.1.3)
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Coding::Identity => &["identity"],
            Coding::Gzip => &["gzip", "x-gzip"],
            Coding::Zstd => &["zstd"],
        }
    }

    /// The value of `Content-Encoding`; none for the identity, which is not to be named there.
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Zstd => Some("zstd"),
        }
    }
}

/// The codings that this build compresses with, the cheaper first.
pub fn codings() -> Vec<Coding> {
    TABLE.iter().map(|(coding, _)| *coding).collect()
}

/// A body in the making: compresses the pieces of an exposition as they come, so that the whole is never in memory
/// uncompressed.
pub struct Compress {
    /// What was asked for.
    coding: Coding,
    state: State,
    spares: Spares,
}

enum State {
    /// The pieces are the body.
    Plain(Pieces),
    /// Nothing is known yet but a beginning that is too small to be worth it, if it is all.
    Begun {
        start: Start,
        effort: Effort,
        beginning: Vec<u8>,
    },
    Compressing(Box<dyn Compressor>),
    Failed(io::Error),
}

/// A stream that compresses into pieces.
trait Compressor: Write + Send {
    /// Ends the stream.
    fn finish(self: Box<Self>) -> io::Result<Cut>;
}

impl Compress {
    /// Begins a body. What this build has no compressor for is not compressed.
    pub fn new(coding: Coding) -> Self {
        Self::reusing(coding, &Spares::default())
    }

    /// The same, of buffers from among the spares, to which they return when they have been sent or compressed.
    pub fn reusing(coding: Coding, spares: &Spares) -> Self {
        Self::with(coding, Effort::Often, spares)
    }

    /// The same for a body that is made once and sent to many: smaller, for more time.
    pub fn once(coding: Coding) -> Self {
        Self::with(coding, Effort::Once, &Spares::default())
    }

    fn with(coding: Coding, effort: Effort, spares: &Spares) -> Self {
        let state = match TABLE.iter().find(|(row, _)| *row == coding) {
            Some(&(_, start)) => State::Begun { start, effort, beginning: Vec::new() },
            None => State::Plain(Pieces::reusing(spares)),
        };
        Compress { coding, state, spares: spares.clone() }
    }

    /// The body, and what it is compressed with: nothing, if it is small.
    ///
    /// # Errors
    ///
    /// Those of the compressor, which is short of memory.
    pub fn finish(self) -> io::Result<(Vec<Bytes>, Coding)> {
        match self.state {
            State::Plain(pieces) => Ok((pieces.into_inner(), Coding::Identity)),
            State::Begun { beginning: all, .. } if all.is_empty() => Ok((Vec::new(), Coding::Identity)),
            State::Begun { beginning: all, .. } => Ok((vec![all.into()], Coding::Identity)),
            State::Compressing(compressor) => Ok((compressor.finish()?.into_pieces(), self.coding)),
            State::Failed(error) => Err(error),
        }
    }

    /// Writes to the compressor; begins it if need be.
    fn compress(&mut self, piece: &[u8]) -> io::Result<()> {
        if let State::Begun { start, effort, beginning } = &mut self.state {
            if beginning.len() + piece.len() < WORTHWHILE {
                beginning.extend_from_slice(piece);
                return Ok(());
            }
            let mut compressor = start(*effort)?;
            compressor.write_all(beginning)?;
            self.state = State::Compressing(compressor);
        }
        if let State::Compressing(compressor) = &mut self.state {
            compressor.write_all(piece)?;
        }
        Ok(())
    }
}

impl Sink for Compress {
    fn begin(&mut self) -> Vec<u8> {
        self.spares.take()
    }

    fn piece(&mut self, piece: Vec<u8>) -> Vec<u8> {
        if let State::Plain(pieces) = &mut self.state {
            return pieces.piece(piece);
        }
        if let Err(error) = self.compress(&piece) {
            self.state = State::Failed(error);
        }
        piece
    }

    fn end(&mut self, buffer: Vec<u8>) {
        self.spares.give_back(buffer);
    }
}

/// Cuts what a compressor writes into pieces.
#[derive(Default)]
struct Cut {
    piece: Vec<u8>,
    pieces: Vec<Bytes>,
}

impl Cut {
    fn into_pieces(mut self) -> Vec<Bytes> {
        if !self.piece.is_empty() {
            self.pieces.push(self.piece.into());
        }
        self.pieces
    }
}

impl Write for Cut {
    fn write(&mut self, compressed: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.pieces.push(mem::take(&mut self.piece).into());
        }
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(PIECE);
        }
        let taken = compressed.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&compressed[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as an encoder hands them on, of about as much as an exposition has of sense.
    fn pieces(size: usize, piece: usize) -> Vec<Vec<u8>> {
        let mut text = String::with_capacity(size + 64);
        let mut value = 1_u64;
        while text.len() < size {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(&format!("service_requests_total{{path=\"/{}\"}} {}\n", value >> 60, value >> 40));
        }
        text.as_bytes()[..size].chunks(piece).map(<[u8]>::to_vec).collect()
    }

    fn feed(sink: &mut impl Sink, pieces: Vec<Vec<u8>>) {
        let mut buffer = Vec::new();
        for piece in pieces {
            // As the encoder does: with the buffer that it was given back.
            buffer.clear();
            buffer.extend_from_slice(&piece);
            buffer = sink.piece(buffer);
        }
    }

    fn compress(coding: Coding, pieces: Vec<Vec<u8>>) -> (Vec<Bytes>, Coding) {
        let mut compress = Compress::new(coding);
        feed(&mut compress, pieces);
        compress.finish().unwrap()
    }

    /// By others' decoders.
    fn decode(coding: Coding, body: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Identity => body.to_vec(),
            Coding::Gzip => gunzip(body),
            Coding::Zstd => {
                let mut decoded = Vec::new();
                let mut decoder = ruzstd::decoding::StreamingDecoder::new(body).unwrap();
                io::Read::read_to_end(&mut decoder, &mut decoded).unwrap();
                decoded
            }
        }
    }

    /// One member, to the letter of RFC 1952, section 2.3.
    fn gunzip(body: &[u8]) -> Vec<u8> {
        let (header, rest) = body.split_at(10);
        // ID1, ID2; CM: deflate; FLG: no name, comment, extra field or checksum of the header; MTIME: none.
        assert_eq!(header[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        let (deflated, trailer) = rest.split_at(rest.len() - 8);
        let decoded = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        let length = u32::try_from(decoded.len()).unwrap();
        assert_eq!(trailer[..4], crc32(&decoded).to_le_bytes());
        assert_eq!(trailer[4..], length.to_le_bytes());
        decoded
    }

    /// As RFC 1952, section 8, has it, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    }

    /// The window that a decoder must keep, by the frame's header (RFC 8878, section 3.1.1.1).
    fn zstd_window(body: &[u8]) -> u64 {
        assert_eq!(body[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        let single_segment = body[4] & 0x20 != 0;
        assert!(!single_segment, "a stream does not know its length");
        let (exponent, mantissa) = (body[5] >> 3, body[5] & 7);
        let base = 1_u64 << (10 + exponent);
        base + base / 8 * u64::from(mantissa)
    }

    const SIZES: [usize; 11] = [
        0,
        1,
        WORTHWHILE - 1,
        WORTHWHILE,
        WORTHWHILE + 1,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        2 * PIECE,
        1_000_003,
        5 * 1024 * 1024,
    ];

    #[test]
    fn every_coding_decodes_to_the_identity() {
        for coding in Coding::ALL {
            for size in SIZES {
                for piece in [1, WORTHWHILE - 1, 5_000, PIECE, 3 * PIECE] {
                    // The big ones take the decoders time.
                    if size > 2 * PIECE && piece != PIECE || size / piece > 2 * WORTHWHILE {
                        continue;
                    }
                    let plain = pieces(size, piece);
                    let expected = plain.concat();
                    let (body, given) = compress(coding, plain);
                    let row = format!("{coding:?} of {size} bytes by {piece}, given {given:?}");
                    let worth_it = codings().contains(&coding) && size >= WORTHWHILE;
                    assert_eq!(given, if worth_it { coding } else { Coding::Identity }, "{row}");
                    assert!(body.iter().all(|piece| !piece.is_empty()), "{row}");
                    let body = body.concat();
                    assert!(!worth_it || body.len() < size, "{row}: {}", body.len());
                    assert!(decode(given, &body) == expected, "{row}");
                }
            }
        }
    }

    #[test]
    fn without_a_compressor_the_pieces_are_the_body() {
        let mut compress = Compress::new(Coding::Identity);
        let mut kept = Pieces::default();
        feed(&mut compress, pieces(3 * PIECE + 1, PIECE));
        feed(&mut kept, pieces(3 * PIECE + 1, PIECE));
        assert_eq!(compress.finish().unwrap(), (kept.into_inner(), Coding::Identity));
        for coding in Coding::ALL.into_iter().filter(|coding| !codings().contains(coding)) {
            assert_eq!(compress_small(coding), Coding::Identity, "{coding:?}");
        }
    }

    fn compress_small(coding: Coding) -> Coding {
        compress(coding, pieces(2 * PIECE, PIECE)).1
    }

    #[test]
    fn a_body_that_does_not_compress_grows_by_little() {
        let mut value = 1_u64;
        let noise: Vec<u8> = (0..3 * PIECE)
            .map(|_| {
                value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (value >> 56) as u8
            })
            .collect();
        for coding in codings() {
            let (body, given) = compress(coding, noise.chunks(PIECE).map(<[u8]>::to_vec).collect());
            let body = body.concat();
            assert_eq!(given, coding);
            // zlib-rs' fastest level spends nine bits on every other byte, and has no blocks that are stored.
            assert!(body.len() < noise.len() + noise.len() / 16, "{coding:?}: {}", body.len());
            assert!(decode(coding, &body) == noise, "{coding:?}");
        }
    }

    #[test]
    fn pieces_are_full_but_the_last() {
        for coding in codings() {
            let (body, _) = compress(coding, pieces(8 * 1024 * 1024, PIECE));
            let (last, full) = body.split_last().unwrap();
            assert!(full.iter().all(|piece| piece.len() == PIECE), "{coding:?}");
            assert!(!full.is_empty() && last.len() <= PIECE, "{coding:?}: {}", body.len());
        }
    }

    /// RFC 9659: a client need not keep more.
    #[test]
    fn the_window_of_zstd_is_at_most_8_mib() {
        for size in SIZES.into_iter().filter(|&size| size >= WORTHWHILE) {
            let (body, given) = compress(Coding::Zstd, pieces(size, PIECE));
            if given == Coding::Zstd {
                let window = zstd_window(&body.concat());
                assert!(window <= 8 * 1024 * 1024, "{size} bytes: {window}");
            }
        }
    }

    #[test]
    fn the_table_and_the_names_fit() {
        for coding in Coding::ALL {
            match coding.content_encoding() {
                None => assert_eq!(coding, Coding::Identity),
                Some(name) => assert_eq!(name, coding.names()[0]),
            }
        }
        assert!(!codings().contains(&Coding::Identity), "it needs no compressor");
        assert_eq!(codings().contains(&Coding::Gzip), cfg!(feature = "gzip"));
        assert_eq!(codings().contains(&Coding::Zstd), cfg!(feature = "zstd"));
    }
}
