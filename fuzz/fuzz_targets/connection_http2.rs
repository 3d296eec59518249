//! Whatever frames a client sends, in whatever pieces, the connection ends with its side, and what comes back is whole
//! frames; the last may be cut where its own last is, for h2 takes that for the end of the connection, or where it has sent no
//! preface.

#![no_main]

mod wire;

use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SETTINGS_MAX_FRAME_SIZE, with which a client allows more than there is by itself (RFC 9113, section 6.5.2).
const MAX_FRAME_SIZE: &[u8] = &[0, 5];

/// RFC 9113, section 4.1: length, kind, flags, stream.
const FRAME_HEAD: usize = 9;

fuzz_target!(|input: (&[u8], bool, &[u8])| {
    let (pieces, introduced, frames) = input;
    // Few inputs would find it by themselves; those that lack it stay.
    let preface = if introduced { PREFACE } else { &[] };
    let allows_more = frames.windows(2).any(|id| id == MAX_FRAME_SIZE);
    let sent = [preface, frames].concat();
    let ends_well = sent.strip_prefix(PREFACE).is_some_and(are_whole);
    let heard = wire::exchange(pieces, &sent, true);

    let mut rest = &heard[..];
    while let Some((head, after)) = rest.split_at_checked(FRAME_HEAD) {
        let length = length(head);
        assert!(allows_more || length <= 16 * 1024, "larger than the client has allowed: {length}");
        // DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION: nothing is pushed.
        assert!([0, 1, 3, 4, 6, 7, 8, 9].contains(&head[3]), "a frame of kind {}", head[3]);
        let Some(next) = after.get(length..) else { break };
        rest = next;
    }
    assert!(!ends_well || rest.is_empty(), "{} bytes of a frame", rest.len());
});

fn length(head: &[u8]) -> usize {
    u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize
}

fn are_whole(mut frames: &[u8]) -> bool {
    while let Some((head, after)) = frames.split_at_checked(FRAME_HEAD) {
        let Some(next) = after.get(length(head)..) else { return false };
        frames = next;
    }
    frames.is_empty()
}
