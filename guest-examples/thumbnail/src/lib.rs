//! Makes a thumbnail of an image in `/images` and writes it to `/thumbnails`; both folders are granted by the deployment.
//! The record's value is the file's name, or JSON: `{"file": "holiday/beach.jpg"}`.
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use image::error::DecodingError;
use image::{ImageError, ImageFormat, ImageReader};
use serde::Deserialize;
use sharemill_handler::{Outcome, Record, Reject, Release, Result, ResultExt, handler};

const IMAGES: &str = "/images";
const THUMBNAILS: &str = "/thumbnails";
/// Pixels of the longer side.
const SIZE: u32 = 128;

#[derive(Deserialize)]
struct Request {
    file: PathBuf,
}

#[handler]
fn handle(record: Record) -> Result {
    let file = requested_file(&record)?;
    let bytes = match fs::read(Path::new(IMAGES).join(&file)) {
        Ok(bytes) => bytes,
        // It may be on its way here, or not granted yet.
        Err(error) => {
            let reason = format!("{}: {error}", file.display());
            return Err(Release::backoff().reason(reason).into());
        }
    };
    let thumbnail = thumbnail(&bytes).or_reject()?;

    let target = Path::new(THUMBNAILS).join(format!("{}.jpg", file.display()));
    let partial = target.with_extension(format!("{}-{}.partial", record.partition(), record.offset()));
    store(&thumbnail, &partial, &target)
        .map_err(|error| Release::backoff().reason(format_args!("{}: {error}", target.display())))?;
    log::info!("{}: {} bytes to {} bytes", file.display(), bytes.len(), thumbnail.len());
    Ok(Outcome::accept())
}

/// The name that the record asks for, as a path inside of the granted folder.
fn requested_file(record: &Record) -> Result<PathBuf, Reject> {
    let text = record.text().or_reject()?;
    let file = if text.trim_start().starts_with('{') {
        record.json::<Request>().or_reject()?.file
    } else {
        PathBuf::from(text.trim())
    };
    // The host would refuse the others as well: they are outside of what it granted.
    let is_inside = file.components().all(|part| matches!(part, Component::Normal(_)));
    if is_inside && file.file_name().is_some() {
        return Ok(file);
    }
    Err(Reject::new(format_args!("{text:?} does not name a file in {IMAGES}")))
}

/// Written under another name first: nobody sees half a thumbnail, and another attempt writes the same again.
fn store(thumbnail: &[u8], partial: &Path, target: &Path) -> io::Result<()> {
    target.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(partial, thumbnail)?;
    fs::rename(partial, target)
}

/// The error is the decoder's own, but for one thing that it forgives.
fn thumbnail(bytes: &[u8]) -> image::ImageResult<Vec<u8>> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    if reader.format() == Some(ImageFormat::Jpeg) && is_cut(bytes) {
        let reason = "unexpected end of file";
        return Err(ImageError::Decoding(DecodingError::new(
            ImageFormat::Jpeg.into(),
            reason,
        )));
    }
    let image = reader.decode()?;
    let mut small = Cursor::new(Vec::new());
    image
        .thumbnail(SIZE, SIZE)
        .into_rgb8()
        .write_to(&mut small, ImageFormat::Jpeg)?;
    Ok(small.into_inner())
}

/// The decoder makes grey of what is missing at the end of a JPEG: here the end marker must follow the last scan.
fn is_cut(jpeg: &[u8]) -> bool {
    let last = |marker: [u8; 2]| jpeg.windows(2).rposition(|pair| pair == marker);
    last([0xff, 0xd9]) < last([0xff, 0xda])
}
