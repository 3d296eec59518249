//! For any bytes from a client, in any pieces, the connection ends when the client closes its side. The
//! output consists of complete responses with known statuses, and of at most one per request.

#![no_main]

mod wire;

use libfuzzer_sys::fuzz_target;

/// All statuses of a response.
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
            httparse::Status::Partial => panic!("incomplete head: {:?}", String::from_utf8_lossy(rest)),
        };
        let status = head.code.expect("a complete head has a status");
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
        // A response to HEAD has no body. A head begins with the protocol's name, and no body of ours does.
        if !rest.is_empty() && !rest.starts_with(b"HTTP/1.") {
            assert!(
                rest.len() >= announced,
                "incomplete body: {announced} bytes announced, {} received",
                rest.len()
            );
            rest = &rest[announced..];
        }
        answers += 1;
    }
    // Each request has a line and an empty line. The last request may be rejected before its end.
    let ends = bytes.windows(2).filter(|two| two == b"\n\n" || two == b"\n\r").count();
    assert!(answers <= ends + 1, "{answers} responses to {ends} requests");
});
