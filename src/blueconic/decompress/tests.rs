//! Every compression of bodies, whole, cut at each byte, and in chunks of various sizes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

fn body() -> Vec<u8> {
    let profiles: Vec<String> = (0..3000)
        .map(|id| format!(r#"{{"id":"{id:08}","k":{}}}"#, id % 7))
        .collect();
    format!(r#"{{"profiles":[{}]}}"#, profiles.join(",")).into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::CompressorWriter::new(&mut packed, 4096, 3, 20)
        .write_all(body)
        .unwrap();
    packed
}

/// Each part compressed separately, concatenated.
fn in_parts(body: &[u8], pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    body.chunks(4096).flat_map(pack).collect()
}

fn unpack(encoding: &str, packed: &[u8], chunk: usize) -> Result<Vec<u8>, DecompressError> {
    let mut unpack = BodyDecompressor::new([encoding].into_iter())?;
    let mut all = Vec::new();
    for part in packed.chunks(chunk) {
        unpack.push(Bytes::copy_from_slice(part));
        while let Some(piece) = unpack.next()? {
            assert!(piece.len() <= CHUNK.max(chunk));
            all.extend_from_slice(&piece);
        }
    }
    unpack.close();
    while let Some(piece) = unpack.next()? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// A header with all optional fields.
fn with_a_long_head(body: &[u8]) -> Vec<u8> {
    let mut builder = flate2::GzBuilder::new();
    builder = builder
        .filename("page.json")
        .comment("a comment")
        .extra(vec![7; 300]);
    let mut encoder = builder.write(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_form_is_unpacked_in_chunks_of_any_size() {
    let body = body();
    let padded = |mut packed: Vec<u8>, zeros: usize| {
        packed.resize(packed.len() + zeros, 0);
        packed
    };
    let forms = [
        ("gzip", gzip(&body)),
        ("X-GZIP", with_a_long_head(&body)),
        ("gzip", in_parts(&body, gzip)),
        ("gzip", padded(in_parts(&body, gzip), 7)),
        ("gzip", [gzip(b""), gzip(&body), gzip(b"")].concat()),
        ("zstd", zstd(&body)),
        ("zstd", padded(in_parts(&body, zstd), 5)),
        ("br", brotli(&body)),
        ("br", padded(brotli(&body), 3)),
        ("deflate", zlib(&body)),
        ("deflate", deflate(&body)),
        ("deflate", padded(zlib(&body), 4)),
        ("identity", body.clone()),
        ("", body.clone()),
        ("UTF-8", body.clone()),
        // The name and the actual encoding differ.
        ("gzip", body.clone()),
        ("zstd", [b"\xef\xbb\xbf \r\n".to_vec(), body.clone()].concat()),
        ("UTF-8", gzip(&body)),
        ("zstd", gzip(&body)),
        ("", zstd(&body)),
        // Compressed twice, in the order of the names.
        ("br, gzip", gzip(&brotli(&body))),
        ("identity,gzip", gzip(&body)),
    ];
    for (encoding, packed) in forms {
        for chunk in [1, 2, 3, 4096, 1 << 20] {
            let unpacked = unpack(encoding, &packed, chunk).unwrap();
            let text = unpacked.strip_prefix(b"\xef\xbb\xbf \r\n").unwrap_or(&unpacked);
            assert!(text == body, "`{encoding}` in chunks of {chunk}");
        }
    }
    assert_eq!(unpack("gzip", b"", 1), Ok(Vec::new()));
}

#[test]
fn a_cut_body_is_never_whole() {
    let body = body();
    for (encoding, packed) in [
        ("gzip", with_a_long_head(&body)),
        ("zstd", zstd(&body)),
        ("br", brotli(&body)),
        ("deflate", zlib(&body)),
        ("deflate", deflate(&body)),
    ] {
        for end in SIGNATURE..packed.len() {
            let outcome = unpack(encoding, &packed[..end], 1000);
            assert!(
                matches!(outcome, Err(DecompressError::Broken(_))),
                "{encoding} at {end}"
            );
        }
    }
    // A cut between two members is not visible to gzip; the JSON reader finds it.
    let first = gzip(&body[..4096]);
    assert_eq!(
        unpack("gzip", &in_parts(&body, gzip)[..first.len()], 1000).unwrap(),
        &body[..4096]
    );
}

#[test]
fn what_is_garbled_or_followed_by_something_else_is_refused() {
    let body = body();
    for pack in [gzip, zstd, brotli, zlib] {
        let named = |packed: &[u8]| match packed {
            [0x1f, ..] => "gzip",
            [0x28, ..] => "zstd",
            [0x78, ..] => "deflate",
            _ => "br",
        };
        let packed = pack(&body);
        let more = [&packed[..], b"more"].concat();
        assert!(unpack(named(&packed), &more, 100).is_err(), "{}", named(&packed));
    }
    let packed = gzip(&body);
    for at in (10..packed.len())
        .step_by(17)
        .chain(packed.len() - 8..packed.len())
    {
        let mut flipped = packed.clone();
        flipped[at] ^= 0x10;
        assert!(unpack("gzip", &flipped, 1000).is_err(), "byte {at}");
    }
    let mut zeros = gzip(&body);
    zeros.extend_from_slice(&[0, 0, 1]);
    assert!(unpack("gzip", &zeros, 1000).is_err());
    assert!(matches!(
        unpack("gzip", &[0x1f, 0x8b, 8, 8].repeat(3000), 100),
        Err(DecompressError::Broken(_))
    ));
}

/// How much is decompressed before a body is given up.
fn given_out(encoding: &str, packed: &[u8]) -> (u64, DecompressError) {
    let mut unpack = BodyDecompressor::new([encoding].into_iter()).unwrap();
    let mut out = 0;
    for chunk in packed.chunks(16 * 1024) {
        unpack.push(Bytes::copy_from_slice(chunk));
        loop {
            match unpack.next() {
                Ok(Some(piece)) => out += piece.len() as u64,
                Ok(None) => break,
                Err(why) => return (out, why),
            }
        }
    }
    panic!("{encoding}: all of it, {out} bytes");
}

#[test]
fn a_bomb_ends_early_whatever_it_is_packed_with() {
    let blanks = vec![b' '; 1 << 20];
    let repeated = |pack: fn(&[u8]) -> Vec<u8>| pack(&blanks).repeat(200);
    let mut long = brotli::CompressorWriter::new(Vec::new(), 4096, 3, 22);
    for _ in 0..200 {
        long.write_all(&blanks).unwrap();
    }
    for (encoding, packed) in [
        ("gzip", repeated(gzip)),
        ("zstd", repeated(zstd)),
        ("br", long.into_inner()),
        ("gzip, gzip", gzip(&repeated(gzip))),
    ] {
        let (out, why) = given_out(encoding, &packed);
        assert!(
            matches!(&why, DecompressError::Excessive(why) if why.contains("100 times")),
            "{why}"
        );
        assert!(
            out <= ALWAYS_ALLOWED + (packed.len() as u64) * MOST_RATIO,
            "{encoding}: {out}"
        );
        assert!(out < 200 << 20, "{encoding}");
    }
    // Dense, but small enough to be harmless.
    let small = gzip(&blanks);
    assert_eq!(unpack("gzip", &small, 100).unwrap().len(), blanks.len());
    assert!(matches!(
        BodyDecompressor::new(["gzip, gzip, gzip"].into_iter()).err(),
        Some(DecompressError::Excessive(_))
    ));
}

#[test]
fn a_zstd_window_above_8_mib_is_refused() {
    let body = vec![7; 20 << 20];
    let packed = |window: u32| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&body).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(unpack("zstd", &packed(23), 4096).unwrap().len(), body.len());
    let outcome = unpack("zstd", &packed(24), 4096);
    assert!(
        matches!(&outcome, Err(DecompressError::Excessive(why)) if why.contains("8 MiB")),
        "{outcome:?}"
    );
}
