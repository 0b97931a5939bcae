//! What it costs to read fetched batches: 500 records of 200 bytes each, by codec, in time of a processor.
//! `cargo run -p share-wire --example walk`; with `--config 'profile.dev.package.share-wire.opt-level=3'` as the benchmarks compile.
#![expect(clippy::print_stdout, reason = "a program that measures and prints")]

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use share_wire::records::{Codec, NewBatch, NewRecord, PLAIN_MAX, RecordsError, batches};

const RECORDS: usize = 500;
const VALUE_BYTES: usize = 200;
const LEAST: Duration = Duration::from_secs(1);

fn main() -> Result<(), RecordsError> {
    let values: Vec<Vec<u8>> = (0..RECORDS).map(value).collect();
    let record = |value| NewRecord {
        timestamp: 1_700_000_000_000,
        value: Some(value),
        ..NewRecord::default()
    };
    let records: Vec<NewRecord<'_>> = values.iter().map(|value| record(value)).collect();
    println!("codec   ratio  records/s      ns/record  MB/s of values");
    for codec in Codec::ALL {
        let new = NewBatch {
            codec,
            ..NewBatch::default()
        };
        let (plain, fetched) = (NewBatch::default().encode(&records)?, new.encode(&records)?);
        let began = used();
        let mut read = 0_u32;
        while used().saturating_sub(began) < LEAST {
            for batch in batches(fetched.clone()) {
                let plain = batch?.plain(PLAIN_MAX)?;
                for record in plain.records() {
                    black_box(record?.value);
                    read += 1;
                }
            }
        }
        let seconds = used().saturating_sub(began).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let (ratio, value_bytes) = (plain.len() as f64 / fetched.len() as f64, VALUE_BYTES as f64);
        let rate = f64::from(read) / seconds;
        println!(
            "{codec:6} {ratio:6.2}  {rate:12.0}  {:9.1}  {:8.0}",
            1e9 / rate,
            rate * value_bytes / 1e6
        );
    }
    Ok(())
}

/// By this process until now: a machine that has more to do makes no difference.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Text with some repetition, as orders and events have.
fn value(index: usize) -> Vec<u8> {
    let id = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = format!(
        "{{\"order\":{index},\"customer\":\"{id:016x}\",\"amount\":{},\"currency\":\"EUR\",\"items\":[{{\"sku\":\"A-{}\",\"count\":{}}}],\"note\":\"",
        id % 97_700,
        id % 5_003,
        id % 7
    );
    while text.len() < VALUE_BYTES {
        text.push_str("deliver to the back door, ring twice, ");
    }
    text.truncate(VALUE_BYTES);
    text.into_bytes()
}
