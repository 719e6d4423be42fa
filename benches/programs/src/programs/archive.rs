//! Zip archives of text files written and read; images encoded and decoded.

use super::text::{checksum, words};
use fastrand::Rng;
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn zip_round(rng: &mut Rng) -> u64 {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..150 {
        let method =
            if index % 3 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method);
        let name = format!("{}/{index}.txt", words(rng, 1));
        writer.start_file(name, options).expect("memory");
        let length = rng.usize(5..200);
        writer.write_all(words(rng, length).as_bytes()).expect("memory");
    }
    let bytes = writer.finish().expect("memory").into_inner();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("just written");
    let mut sum = 0;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("just written");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("just written");
        sum ^= checksum(text.as_bytes()) ^ file.name().map_or(0, |name| checksum(name.as_bytes()));
    }
    sum
}

fn image_round(rng: &mut Rng) -> u64 {
    let (width, height) = (rng.u32(40..160), rng.u32(40..160));
    let pixels: Vec<u8> =
        (0..width * height * 4).map(|index| (index / 7) as u8 ^ rng.u8(..4)).collect();
    let mut bytes = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_compression(png::Compression::Fast);
        encoder.add_text_chunk("Title".into(), words(rng, 4)).expect("a short text");
        let mut writer = encoder.write_header().expect("memory");
        writer.write_image_data(&pixels).expect("memory");
    }
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().expect("just written");
    let mut decoded = vec![0; reader.output_buffer_size().expect("a small image")];
    reader.next_frame(&mut decoded).expect("just written");
    assert!(decoded == pixels, "decoded what was encoded");
    // Thumbnails by rows, as image programs hold them.
    let rows: Vec<Vec<u8>> = decoded
        .chunks(width as usize * 8)
        .map(|row| row.chunks(8).flat_map(|pixel| pixel[..4].to_vec()).collect())
        .collect();
    rows.iter().map(|row| checksum(row)).fold(0, |a, b| a ^ b)
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(12);
    let mut sum = 0;
    for _ in 0..scale {
        sum ^= zip_round(&mut rng);
        for _ in 0..20 {
            sum ^= image_round(&mut rng);
        }
    }
    sum
}
