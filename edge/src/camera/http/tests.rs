use super::*;

/// The head's complaint, or what the pictures of an answer are: their bytes, or `damaged`.
fn answered(answer: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let answer = answer.to_vec();
    let mut answer = BufReader::new(io::Cursor::new(answer));
    let head = Head::read(&mut answer).map_err(|error| error.to_string())?;
    let pictures = if head.chunked {
        head.pictures(BufReader::with_capacity(3, Chunked::new(answer)))
    } else {
        head.pictures(answer)
    };
    let pictures = pictures.map_err(|error| error.to_string())?;
    let mut seen = Vec::new();
    for coded in pictures {
        match coded {
            Ok(CodedPicture::Jpeg(bytes)) => seen.push(bytes.to_vec()),
            Ok(CodedPicture::Damaged(_)) => seen.push(b"damaged".to_vec()),
            Ok(_) => seen.push(b"another kind".to_vec()),
            // It ends a source.
            Err(error) => {
                seen.push(error.to_string().into_bytes());
                break;
            }
        }
    }
    Ok(seen)
}

fn multipart(body: &[u8]) -> Vec<Vec<u8>> {
    let head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n";
    answered(&[head, body].concat()).unwrap()
}

/// What frames a picture, and a tag inside to know it by.
fn picture(tag: u8) -> Vec<u8> {
    vec![0xff, 0xd8, 0xff, 0xfe, 0, 3, tag, 0xff, 0xd9]
}

fn part(length: usize, tag: u8) -> Vec<u8> {
    let head = format!("--b\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), &picture(tag), b"\r\n"].concat()
}

#[test]
fn parts_come_in_order_with_and_without_a_length() {
    let without = [b"--b\r\n\r\n", &picture(2)[..], b"\r\n"].concat();
    let body = [
        b"preamble\r\n".to_vec(),
        part(9, 1),
        without,
        part(9, 3),
        b"--b--\r\n".to_vec(),
    ];
    assert_eq!(multipart(&body.concat()), [1, 2, 3].map(picture));
}

#[test]
fn a_length_that_lies_costs_its_picture_and_not_the_one_after_the_next() {
    let damaged = b"damaged".to_vec();
    let short = [part(5, 1), part(9, 2)].concat();
    assert_eq!(
        multipart(&short),
        [damaged.clone(), damaged.clone(), picture(2)]
    );
    let long = [part(15, 1), part(9, 2), part(9, 3)].concat();
    let seen = multipart(&long);
    assert_eq!(seen.last(), Some(&picture(3)));
    assert!(!seen.contains(&picture(1)));
    let cut = [part(9, 1), part(900, 2)].concat();
    assert_eq!(multipart(&cut), [picture(1), damaged.clone()]);
    let huge = [part(usize::MAX, 1), part(9, 2)].concat();
    assert_eq!(multipart(&huge), [damaged.clone(), damaged, picture(2)]);
}

#[test]
fn a_boundary_may_be_quoted_or_carry_its_dashes() {
    for name in ["b", "\"b\"", "--b"] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-TYPE: Multipart/x; Boundary={name}\r\n\r\n");
        assert_eq!(
            answered(&[head.as_bytes(), &part(9, 1)].concat()).unwrap(),
            [picture(1)]
        );
    }
}

#[test]
fn chunks_are_put_together() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: image/jpeg\r\n\r\n";
    let (one, two) = (picture(1), picture(2));
    let body = [
        b"4\r\n",
        &one[..4],
        b"\r\n5;x\r\n",
        &one[4..],
        b"\r\n9\r\n",
        &two,
        b"\r\n0\r\n\r\n",
    ];
    assert_eq!(
        answered(&[head, &body.concat()[..]].concat()).unwrap(),
        [one, two]
    );
    let broken = answered(&[&head[..], b"9\r\n", &picture(1), b"xx\r\n"].concat()).unwrap();
    assert_eq!(broken.len(), 2);
    assert_eq!(broken[0], picture(1));
    assert!(String::from_utf8_lossy(&broken[1]).contains("chunk"));
}

#[test]
fn an_answer_that_is_no_stream_is_an_error_with_a_way_out() {
    let refused = |answer: &[u8]| answered(answer).unwrap_err();
    assert!(refused(b"").contains("does not speak HTTP"));
    assert!(refused(b"SSH-2.0\r\n").contains("does not speak HTTP"));
    assert!(refused(b"HTTP/1.1 401 No\r\n\r\n").contains("curl"));
    assert!(
        refused(b"HTTP/1.1 302 Found\r\nLocation: http://b/\r\n\r\n")
            .ends_with("it is at http://b/")
    );
    assert!(refused(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n").contains("text/html"));
    assert!(
        refused(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x\r\n\r\n").contains("no boundary")
    );
    assert!(refused(b"HTTP/1.1 200 OK\r\nA: b").contains("no end"));
    let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n".repeat(1000)].concat();
    assert!(refused(&endless).contains("for ever"));
}

#[test]
fn lines_of_a_head_that_are_no_headers_are_left_out() {
    let head = b"HTTP/1.0 200\nserver camera 3\nContent-Type : multipart/x;boundary=b\n \n";
    let part = b"--b\nno header\n\xff\xfe: odd\ncontent-length :9 \n\n";
    let body = [&head[..], part, &picture(1), b"\n--b--\n"].concat();
    assert_eq!(answered(&body).unwrap(), [picture(1)]);
}

#[test]
fn a_chunk_without_a_length_is_an_error() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: image/jpeg\r\n\r\n";
    for length in ["", ";x", "-9", "x", "fffffffffffffffff"] {
        let answer = [&head[..], length.as_bytes(), b"\r\n", &picture(1)].concat();
        let found = answered(&answer).unwrap();
        let words = String::from_utf8_lossy(&found[0]);
        assert!(
            words.contains("begin with its length"),
            "{length:?}: {words}"
        );
    }
}
