//! Tells code from comments and text in Rust source, as far as the rules need it. Line numbers stay true: both views
//! have the length and the line breaks of the source.

/// A source file seen twice.
pub(crate) struct Views {
    /// Comments and the insides of literals are blanks.
    pub(crate) code: String,
    /// Everything but comments is blanks.
    pub(crate) comments: String,
}

/// Splits a source file.
pub(crate) fn split(source: &str) -> Views {
    let bytes = source.as_bytes();
    let mut code = blanks(bytes);
    let mut comments = code.clone();
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => keep(bytes, &mut comments, at, line_end(bytes, at)),
            [b'/', b'*', ..] => keep(bytes, &mut comments, at, block_comment_end(bytes, at)),
            [b'"', ..] => keep_quotes(&mut code, at, string_end(bytes, at)),
            [b'r', ..] if !continues_word(bytes, at) => match raw_string_end(bytes, at) {
                Some(end) => end,
                None => keep(bytes, &mut code, at, at + 1),
            },
            [b'\'', ..] => match char_end(bytes, at) {
                Some(end) => end,
                None => keep(bytes, &mut code, at, at + 1),
            },
            _ => keep(bytes, &mut code, at, at + 1),
        };
        at = end;
    }
    let text = |view: Vec<u8>| String::from_utf8_lossy(&view).into_owned();
    Views {
        code: text(code),
        comments: text(comments),
    }
}

fn blanks(bytes: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
    bytes.iter().map(blank).collect()
}

fn keep(bytes: &[u8], view: &mut [u8], from: usize, to: usize) -> usize {
    view[from..to].copy_from_slice(&bytes[from..to]);
    to
}

fn keep_quotes(view: &mut [u8], from: usize, to: usize) -> usize {
    view[from] = b'"';
    view[to - 1] = b'"';
    to
}

/// `br"..."` and `cr"..."` are raw strings too; `bar` is none.
fn continues_word(bytes: &[u8], at: usize) -> bool {
    let word = |index: usize| bytes.get(index).is_some_and(|byte| is_word(*byte));
    match at.checked_sub(1) {
        Some(before) if matches!(bytes[before], b'b' | b'c') => before.checked_sub(1).is_some_and(word),
        Some(before) => word(before),
        None => false,
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes[at..].iter().position(|byte| *byte == b'\n');
    rest.map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_u32;
    let mut at = from;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes[from + 1..].iter().take_while(|byte| **byte == b'#').count();
    let body = from + 1 + hashes;
    if bytes.get(body) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let length = bytes[body + 1..]
        .windows(close.len())
        .position(|window| window == close)?;
    Some(body + 1 + length + close.len())
}

/// `None` for a lifetime.
fn char_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from + 1) == Some(&b'\\') {
        let length = bytes[from + 3..].iter().position(|byte| *byte == b'\'')?;
        return Some(from + 3 + length + 1);
    }
    // A character takes one to four bytes.
    (2..=5).find_map(|length| {
        let inside = bytes.get(from + 1..from + length)?;
        let one = std::str::from_utf8(inside).is_ok_and(|text| text.chars().count() == 1);
        (one && bytes.get(from + length) == Some(&b'\'')).then_some(from + length + 1)
    })
}

#[test]
fn code_and_comments_are_told_apart() {
    let source = concat!(
        "let a = \"// no comment \\\" still none\"; // a comment\n",
        "let b = r#\"raw \"quoted\" text\"#; /* outer /* inner */ still */ let c = '\"';\n",
        "fn d<'a>(e: &'a str) -> char { '\\'' } // last"
    );
    let Views { code, comments } = split(source);
    assert_eq!(code.len(), source.len());
    let words = |view: &str| view.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&comments), "// a comment /* outer /* inner */ still */ // last");
    assert_eq!(
        words(&code),
        "let a = \" \"; let b = ; let c = ; fn d<'a>(e: &'a str) -> char { }"
    );
}
