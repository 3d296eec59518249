//! Whatever a client sends, in whatever pieces, the connection ends with its side, and what comes back is whole answers of
//! known kinds, not more of them than there can have been requests.

#![no_main]

mod wire;

use libfuzzer_sys::fuzz_target;

/// All that may come of a request.
const STATUSES: [u16; 11] = [200, 204, 400, 404, 405, 408, 414, 421, 431, 500, 503];

fuzz_target!(|input: (&[u8], &[u8])| {
    let (pieces, bytes) = input;
    let heard = wire::exchange(pieces, bytes);

    let mut rest = &heard[..];
    let mut answers = 0;
    while !rest.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(rest).expect("a head") {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => panic!("half a head: {:?}", String::from_utf8_lossy(rest)),
        };
        let status = head.code.expect("a whole head has one");
        assert!(STATUSES.contains(&status), "{status}");
        assert!(status != 500, "{}", String::from_utf8_lossy(rest));
        let header = |name: &str| {
            let mut found = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            let first = found.next().map(|header| std::str::from_utf8(header.value).expect("ASCII"));
            assert!(found.next().is_none(), "{name} twice");
            first
        };
        assert_eq!(header("transfer-encoding"), None);
        let announced = header("content-length").map_or(0, |length| length.parse().expect("a number"));
        rest = &rest[length..];
        // An answer to HEAD has none of its body. A head begins with its protocol's name, and no body of ours does.
        if !rest.is_empty() && !rest.starts_with(b"HTTP/1.") {
            assert!(rest.len() >= announced, "half a body: {announced} of {} bytes", rest.len());
            rest = &rest[announced..];
        }
        answers += 1;
    }
    // Each request has a line and an empty one; the last may be what is refused.
    let ends = bytes.windows(2).filter(|two| two == b"\n\n" || two == b"\n\r").count();
    assert!(answers <= ends + 1, "{answers} answers to {ends} requests");
});
