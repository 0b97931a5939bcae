//! Pictures as bytes: whether a file is whole (by its structure alone, so that it judges the handler's decoder and not the
//! other way round), where to cut it so that it is damaged, and pictures from nothing. Pure.

/// What a file's structure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structure {
    /// A complete PNG or JPEG of a usual kind.
    Whole,
    /// A PNG or JPEG by its first bytes, but incomplete, too large or of a rare kind.
    Odd,
    /// Neither.
    Other,
}

/// More pixels than this are for the handler to judge.
const PIXELS_MAX: u64 = 16_000_000;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(super) fn structure(bytes: &[u8]) -> Structure {
    let whole = if bytes.starts_with(PNG) {
        is_whole_png(bytes)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        is_whole_jpeg(bytes)
    } else {
        return Structure::Other;
    };
    if whole.unwrap_or(false) {
        Structure::Whole
    } else {
        Structure::Odd
    }
}

/// The file up to the middle of its pixels, if it is a whole one.
pub(super) fn cut(bytes: &[u8]) -> Option<&[u8]> {
    let pixels = if bytes.starts_with(PNG) {
        bytes.windows(4).position(|name| name == b"IDAT")? + 5
    } else {
        let scan = bytes.windows(2).position(|marker| marker == b"\xff\xda")?;
        scan + (bytes.len() - scan) / 2
    };
    bytes.get(..pixels)
}

/// Every chunk is there with the right checksum, from the header to the end, some pixels between.
fn is_whole_png(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes.get(PNG.len()..)?;
    let mut has_pixels = false;
    let mut is_first = true;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let chunk = after.get(..length.checked_add(4)?)?;
        let (name, data) = chunk.split_first_chunk::<4>()?;
        let (sum, next) = after.get(chunk.len()..)?.split_first_chunk::<4>()?;
        if crc32(chunk) != u32::from_be_bytes(*sum) || is_first != (name == b"IHDR") {
            return Some(false);
        }
        match name {
            b"IHDR" if !is_usual(number(data.get(..4)?), number(data.get(4..8)?)) => return Some(false),
            // Animations are for the decoder to judge.
            b"acTL" => return Some(false),
            b"IDAT" => has_pixels = true,
            b"IEND" => return Some(has_pixels),
            _ => {}
        }
        is_first = false;
        rest = next;
    }
}

/// Segments up to the first scan: baseline or progressive, 8 bits, grey or three colours; the end marker at the end.
fn is_whole_jpeg(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes.get(2..)?;
    let mut is_known = false;
    loop {
        let (marker, after) = rest.split_first_chunk::<2>()?;
        let [0xff, kind] = *marker else { return Some(false) };
        let length = usize::try_from(number(after.get(..2)?)).ok()?;
        let segment = after.get(2..length)?;
        match kind {
            0xc0..=0xc2 => {
                let (height, width) = (number(segment.get(1..3)?), number(segment.get(3..5)?));
                let (bits, colours) = (*segment.first()?, *segment.get(5)?);
                is_known = is_usual(width, height) && bits == 8 && matches!(colours, 1 | 3);
            }
            0xda => return Some(is_known && bytes.ends_with(b"\xff\xd9")),
            _ => {}
        }
        rest = after.get(length..)?;
    }
}

fn is_usual(width: u64, height: u64) -> bool {
    width > 0 && height > 0 && width * height <= PIXELS_MAX
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A grey PNG with a pattern that depends on `seed`, not compressed; sides of up to 65,535.
pub(super) fn png(width: u16, height: u16, seed: u8) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(u32::from(width).to_be_bytes());
    header.extend(u32::from(height).to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut pixels = vec![0x78, 0x01];
    let (mut a, mut b) = (1_u32, 0_u32);
    for y in 0..height {
        let shade = |x: u16| u8::try_from((u32::from(x) * u32::from(seed) + u32::from(y) * 3) % 251).unwrap_or(0);
        let row: Vec<u8> = std::iter::once(0).chain((0..width).map(shade)).collect();
        for &byte in &row {
            a = (a + u32::from(byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        // One stored block a row; a row of up to 65,535 bytes fits.
        let length = u16::try_from(row.len()).unwrap_or(u16::MAX);
        pixels.push(u8::from(y + 1 == height));
        pixels.extend(length.to_le_bytes());
        pixels.extend((!length).to_le_bytes());
        pixels.extend(row);
    }
    pixels.extend((b << 16 | a).to_be_bytes());
    let mut file = PNG.to_vec();
    for (name, data) in [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", Vec::new())] {
        let chunk = [name.as_slice(), &data].concat();
        file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
    }
    file
}

/// CRC-32 of PNG, bit by bit: a few megabytes at most.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u8| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn made_ones_are_whole_and_cut_ones_are_not() {
        let whole = png(40, 30, 7);
        assert_eq!(structure(&whole), Structure::Whole);
        assert_eq!(structure(cut(&whole).unwrap()), Structure::Odd);
        assert_eq!(structure(b"text"), Structure::Other);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_damaged_byte_is_seen() {
        let mut file = png(8, 8, 3);
        let middle = file.len() / 2;
        for byte in file.iter_mut().skip(middle).take(1) {
            *byte ^= 1;
        }
        assert_eq!(structure(&file), Structure::Odd);
    }

    #[test]
    fn jpeg_needs_its_end_marker() {
        let frame =
            b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00data";
        let whole = [frame.as_slice(), b"\xff\xd9"].concat();
        assert_eq!(structure(&whole), Structure::Whole);
        assert_eq!(structure(frame), Structure::Odd);
        assert_eq!(structure(cut(&whole).unwrap()), Structure::Odd);
    }
}
