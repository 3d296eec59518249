//! Independent decoders read bodies in every coding.

use super::*;
use crate::exposition::chunk::CHUNK_SIZE;

/// Returns chunks of lines that are about as compressible as an exposition.
fn chunks(size: usize, chunk: usize) -> Vec<Vec<u8>> {
    let mut text = String::with_capacity(size + 64);
    let mut value = 1_u64;
    while text.len() < size {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("service_requests_total{{path=\"/{}\"}} {}\n", value >> 60, value >> 40));
    }
    text.as_bytes()[..size].chunks(chunk).map(<[u8]>::to_vec).collect()
}

fn feed(sink: &mut impl Sink, chunks: Vec<Vec<u8>>) {
    let mut buffer = Vec::new();
    for chunk in chunks {
        // The encoder reuses the buffer, too.
        buffer.clear();
        buffer.extend_from_slice(&chunk);
        sink.chunk(&mut buffer);
    }
}

fn compress(coding: Coding, chunks: Vec<Vec<u8>>) -> (Vec<Bytes>, Coding) {
    let mut compress = Compress::new(coding, &BufferPool::default());
    feed(&mut compress, chunks);
    compress.finish().unwrap()
}

/// Decodes a body with independent decoders.
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

/// Decodes a body that is a single member (RFC 1952, section 2.3).
fn gunzip(body: &[u8]) -> Vec<u8> {
    let (header, rest) = body.split_at(10);
    // ID1 and ID2, CM (deflate), FLG (no optional fields), MTIME (none).
    assert_eq!(header[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    let (deflated, trailer) = rest.split_at(rest.len() - 8);
    let decoded = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
    let length = u32::try_from(decoded.len()).unwrap();
    assert_eq!(trailer[..4], crc32(&decoded).to_le_bytes());
    assert_eq!(trailer[4..], length.to_le_bytes());
    decoded
}

/// Returns the checksum of RFC 1952, section 8, computed bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Returns the window that a decoder must keep, read from the frame's header (RFC 8878, section 3.1.1.1).
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
    CHUNK_SIZE - 1,
    CHUNK_SIZE,
    CHUNK_SIZE + 1,
    2 * CHUNK_SIZE,
    1_000_003,
    5 * 1024 * 1024,
];

#[test]
fn every_coding_decodes_to_the_identity() {
    for coding in Coding::ALL {
        for size in SIZES {
            for chunk in [1, WORTHWHILE - 1, 5_000, CHUNK_SIZE, 3 * CHUNK_SIZE] {
                // The decoders take long for big bodies in small chunks.
                if size > 2 * CHUNK_SIZE && chunk != CHUNK_SIZE || size / chunk > 2 * WORTHWHILE {
                    continue;
                }
                let plain = chunks(size, chunk);
                let expected = plain.concat();
                let (body, given) = compress(coding, plain);
                let row = format!("{coding:?} of {size} bytes by {chunk}, given {given:?}");
                let worth_it = codings().contains(&coding) && size >= WORTHWHILE;
                assert_eq!(given, if worth_it { coding } else { Coding::Identity }, "{row}");
                assert!(body.iter().all(|chunk| !chunk.is_empty()), "{row}");
                let body = body.concat();
                assert!(!worth_it || body.len() < size, "{row}: {}", body.len());
                assert!(decode(given, &body) == expected, "{row}");
            }
        }
    }
}

#[test]
fn does_not_compress_without_a_compressor() {
    let mut compress = Compress::new(Coding::Identity, &BufferPool::default());
    let mut kept = Vec::new();
    feed(&mut compress, chunks(3 * CHUNK_SIZE + 1, CHUNK_SIZE));
    feed(&mut kept, chunks(3 * CHUNK_SIZE + 1, CHUNK_SIZE));
    assert_eq!(compress.finish().unwrap(), (kept, Coding::Identity));
    for coding in Coding::ALL.into_iter().filter(|coding| !codings().contains(coding)) {
        assert_eq!(compress_small(coding), Coding::Identity, "{coding:?}");
    }
}

fn compress_small(coding: Coding) -> Coding {
    compress(coding, chunks(2 * CHUNK_SIZE, CHUNK_SIZE)).1
}

#[test]
fn incompressible_bodies_grow_by_at_most_a_sixteenth() {
    let mut value = 1_u64;
    let noise: Vec<u8> = (0..3 * CHUNK_SIZE)
        .map(|_| {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (value >> 56) as u8
        })
        .collect();
    for coding in codings() {
        let (body, given) = compress(coding, noise.chunks(CHUNK_SIZE).map(<[u8]>::to_vec).collect());
        let body = body.concat();
        assert_eq!(given, coding);
        // zlib-rs' fastest level takes nine bits for every other byte, and writes no stored blocks.
        assert!(body.len() < noise.len() + noise.len() / 16, "{coding:?}: {}", body.len());
        assert!(decode(coding, &body) == noise, "{coding:?}");
    }
}

#[test]
fn all_chunks_except_the_last_are_full() {
    for coding in codings() {
        let (body, _) = compress(coding, chunks(8 * 1024 * 1024, CHUNK_SIZE));
        let (last, full) = body.split_last().unwrap();
        assert!(full.iter().all(|chunk| chunk.len() == CHUNK_SIZE), "{coding:?}");
        assert!(!full.is_empty() && last.len() <= CHUNK_SIZE, "{coding:?}: {}", body.len());
    }
}

/// Checks the limit of RFC 9659: a client need not support a bigger window.
#[test]
fn zstd_window_is_at_most_8_mib() {
    for size in SIZES.into_iter().filter(|&size| size >= WORTHWHILE) {
        let (body, given) = compress(Coding::Zstd, chunks(size, CHUNK_SIZE));
        if given == Coding::Zstd {
            let window = zstd_window(&body.concat());
            assert!(window <= 8 * 1024 * 1024, "{size} bytes: {window}");
        }
    }
}

#[test]
fn codings_have_their_names_and_compressors() {
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
