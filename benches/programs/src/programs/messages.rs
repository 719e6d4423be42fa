//! Telemetry through protocol buffers and CBOR: decoded, aggregated, encoded again.

use super::text::{checksum, word, words};
use fastrand::Rng;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(string, tag = "1")]
    device: String,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(map = "string, string", tag = "3")]
    labels: std::collections::HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, tag = "1")]
    time: u64,
    #[prost(string, tag = "2")]
    metric: String,
    #[prost(double, repeated, tag = "3")]
    values: Vec<f64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    blob: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Summary {
    device: String,
    metrics: BTreeMap<String, Vec<f64>>,
    remarks: Vec<Option<String>>,
}

fn batch(rng: &mut Rng) -> Batch {
    Batch {
        device: format!("{}-{}", word(rng), rng.u16(..)),
        samples: (0..rng.usize(5..30))
            .map(|index| Sample {
                time: index as u64 * 1000,
                metric: ["temperature", "load", "rpm", "a"][rng.usize(..4)].to_owned(),
                values: (0..rng.usize(1..12)).map(|_| rng.f64()).collect(),
                blob: rng.bool().then(|| vec![rng.u8(..); rng.usize(1..200)]),
            })
            .collect(),
        labels: (0..rng.usize(..5)).map(|_| (word(rng), words(rng, 2))).collect(),
    }
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(9);
    let mut sum = 0;
    for _ in 0..scale {
        let wire: Vec<Vec<u8>> = (0..500).map(|_| batch(&mut rng).encode_to_vec()).collect();
        let mut archive: Vec<Vec<u8>> = Vec::new();
        for bytes in wire {
            let batch = Batch::decode(bytes.as_slice()).expect("just encoded");
            let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            let mut remarks = Vec::new();
            for sample in batch.samples {
                metrics.entry(sample.metric).or_default().extend(sample.values);
                remarks.push(sample.blob.map(|blob| format!("{} bytes", blob.len())));
            }
            let summary = Summary { device: batch.device, metrics, remarks };
            let mut out = Vec::new();
            ciborium::into_writer(&summary, &mut out).expect("memory");
            archive.push(out);
        }
        let mut devices: BTreeMap<String, usize> = BTreeMap::new();
        for record in &archive {
            let summary: Summary = ciborium::from_reader(record.as_slice()).expect("just encoded");
            let count = summary.metrics.values().map(Vec::len).sum::<usize>();
            *devices.entry(summary.device).or_default() += count + summary.remarks.len();
            let value: ciborium::Value =
                ciborium::from_reader(record.as_slice()).expect("just encoded");
            sum += value.as_map().map_or(0, |map| map.len() as u64);
        }
        sum ^= devices.values().map(|&count| count as u64).sum::<u64>();
        sum ^= archive.iter().map(|record| checksum(record)).fold(0, |a, b| a ^ b);
    }
    sum
}
