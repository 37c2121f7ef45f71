//! Decompresses bodies while they stream, in bounded memory: gzip of any number of members (RFC 1952, 2.2), zstd of any
//! number of frames, brotli and deflate. Detects truncated bodies and bounds the decompressed size. It knows neither
//! HTTP nor the content.

use std::io;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Bytes, BytesMut};
use flate2::Decompress;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use crate::blueconic::gzip::Gzip;
use crate::blueconic::inflate::{DecompressError, inflate, padding};

/// The size of returned chunks, in bytes.
const CHUNK: usize = 64 * 1024;
/// The largest ratio of decompressed to compressed size. Profiles in JSON compress 10 to 30 times; gzip reaches at most
/// 1,032.
const MOST_RATIO: u64 = 100;
/// A decompressed size that is allowed at any ratio, in bytes.
const ALWAYS_ALLOWED: u64 = 64 * 1024 * 1024;
/// The largest zstd window, as a power of two: 8 MiB, which RFC 9659 has every sender over HTTP stay within.
const ZSTD_WINDOW: u32 = 23;
/// The most nested encodings.
const MOST_LAYERS: usize = 2;
/// The bytes that show the compression of a body.
const SIGNATURE: usize = 4;

/// Decompresses one body.
pub(super) struct BodyDecompressor {
    /// The outermost first.
    layers: Vec<Layer>,
    came: u64,
    unpacked: u64,
}

impl BodyDecompressor {
    /// A decompressor for a body with these `Content-Encoding` headers. Unknown names (`UTF-8`) are ignored.
    pub(super) fn new<'a>(encodings: impl Iterator<Item = &'a str>) -> Result<Self, DecompressError> {
        let names = encodings.flat_map(|header| header.split(','));
        let mut layers: Vec<Layer> = names.filter_map(Encoding::of).map(Some).map(Layer::new).collect();
        layers.reverse();
        if layers.is_empty() {
            layers.push(Layer::new(None));
        }
        if layers.len() > MOST_LAYERS {
            let why = format!("it is compressed {} times over", layers.len());
            return Err(DecompressError::Excessive(why));
        }
        Ok(Self {
            layers,
            came: 0,
            unpacked: 0,
        })
    }

    /// Adds compressed bytes, after [`Self::next`] has returned none.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.came += chunk.len() as u64;
        if let Some(outermost) = self.layers.first_mut() {
            outermost.push(chunk);
        }
    }

    /// Notes that no more bytes come.
    pub(super) fn close(&mut self) {
        if let Some(outermost) = self.layers.first_mut() {
            outermost.closed = true;
        }
    }

    /// The next decompressed bytes. None if more input is needed or, after [`Self::close`], at the end of a complete
    /// body.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, DecompressError> {
        let Some(piece) = pull(&mut self.layers)? else {
            return Ok(None);
        };
        self.unpacked += piece.len() as u64;
        if self.unpacked > ALWAYS_ALLOWED && self.unpacked / MOST_RATIO > self.came {
            return Err(DecompressError::Excessive(format!(
                "{} bytes decompress to more than {MOST_RATIO} times as many",
                self.came
            )));
        }
        Ok(Some(piece))
    }
}

/// The next bytes of the innermost of these layers.
fn pull(layers: &mut [Layer]) -> Result<Option<Bytes>, DecompressError> {
    let Some((inner, outer)) = layers.split_last_mut() else {
        return Ok(None);
    };
    loop {
        if let Some(piece) = inner.next()? {
            return Ok(Some(piece));
        }
        if inner.closed || outer.is_empty() {
            return Ok(None);
        }
        match pull(outer)? {
            Some(packed) => inner.push(packed),
            None if outer.last().is_some_and(|layer| layer.closed) => inner.closed = true,
            None => return Ok(None),
        }
    }
}

/// An encoding that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Zstd,
    Brotli,
    Deflate,
}

impl Encoding {
    fn of(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "br" => Some(Self::Brotli),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

/// One encoding of a body.
struct Layer {
    named: Option<Encoding>,
    codec: Option<Codec>,
    input: Bytes,
    /// The last piece was full.
    filled: bool,
    closed: bool,
}

impl Layer {
    fn new(named: Option<Encoding>) -> Self {
        Self {
            named,
            codec: None,
            input: Bytes::new(),
            filled: false,
            closed: false,
        }
    }

    fn push(&mut self, chunk: Bytes) {
        if self.input.is_empty() {
            self.input = chunk;
        } else {
            self.input = [&self.input[..], &chunk[..]].concat().into();
        }
    }

    fn next(&mut self) -> Result<Option<Bytes>, DecompressError> {
        let codec = match &mut self.codec {
            Some(codec) => codec,
            // A few more bytes show the compression.
            None if self.input.is_empty() || (self.input.len() < SIGNATURE && !self.closed) => {
                return Ok(None);
            }
            None => self.codec.insert(Codec::of(self.named, &self.input)?),
        };
        if let Codec::Plain = codec {
            return Ok(Some(std::mem::take(&mut self.input)).filter(|plain| !plain.is_empty()));
        }
        let mut idle = 0;
        // After a full output buffer, more output may follow without further input.
        while !self.input.is_empty() || (self.filled && !codec.is_whole()) {
            let mut output = BytesMut::zeroed(CHUNK);
            let (read, written) = codec.step(&self.input, &mut output)?;
            let _ = self.input.split_to(read);
            self.filled = written == CHUNK;
            if written > 0 {
                output.truncate(written);
                return Ok(Some(output.freeze()));
            }
            // A single step without input may occur at the end of a stream; a second one means that none is consumed at all.
            idle = if read == 0 { idle + 1 } else { 0 };
            if idle > 1 {
                return Err(DecompressError::broken("it cannot be decompressed any further"));
            }
        }
        if self.closed && !codec.is_whole() {
            return Err(DecompressError::broken("the compressed body is truncated"));
        }
        Ok(None)
    }
}

/// The decoder of one encoding.
enum Codec {
    Plain,
    Gzip(Box<Gzip>),
    Deflate { inflate: Decompress, over: bool },
    Zstd(Box<Zstd>),
    Brotli(Box<Brotli>),
}

impl Codec {
    /// Chooses the codec by the first bytes if they show it, otherwise by name. Some gateways decompress a body and
    /// keep the header, or compress it without one. The JSON reader checks the result in any case.
    fn of(named: Option<Encoding>, start: &[u8]) -> Result<Self, DecompressError> {
        if named == Some(Encoding::Brotli) {
            return Ok(Self::Brotli(Box::default()));
        }
        let text = start
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(start)
            .trim_ascii_start();
        match (start, named) {
            ([0x1f, 0x8b, ..], _) => Ok(Self::Gzip(Box::default())),
            ([0x28, 0xb5, 0x2f, 0xfd, ..], _) => Ok(Self::Zstd(Box::new(Zstd::new()?))),
            (_, None) => Ok(Self::Plain),
            _ if matches!(text.first(), None | Some(b'{' | b'<')) => Ok(Self::Plain),
            (_, Some(Encoding::Gzip)) => {
                Err(DecompressError::broken("it is declared as gzip and is not gzip"))
            }
            (_, Some(Encoding::Zstd)) => Ok(Self::Zstd(Box::new(Zstd::new()?))),
            (_, Some(_)) => Ok(Self::Deflate {
                inflate: Decompress::new(has_zlib_head(start)),
                over: false,
            }),
        }
    }

    /// Decompresses some bytes; returns the numbers of bytes read and written.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), DecompressError> {
        match self {
            Self::Plain => Ok((0, 0)),
            Self::Gzip(gzip) => gzip.step(input, output),
            Self::Deflate { over: true, .. } => padding(input).map(|read| (read, 0)),
            Self::Deflate { inflate: body, over } => {
                let (read, written, ended) = inflate(body, input, output)?;
                *over = ended;
                Ok((read, written))
            }
            Self::Zstd(zstd) => zstd.step(input, output),
            Self::Brotli(brotli) => brotli.step(input, output),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Gzip(gzip) => gzip.is_between(),
            Self::Deflate { over, .. } => *over,
            Self::Zstd(zstd) => zstd.between,
            Self::Brotli(brotli) => brotli.over,
        }
    }
}

/// Whether the data has a zlib header (RFC 1950, 2.2). Some servers omit it from RFC 9110's deflate.
fn has_zlib_head(start: &[u8]) -> bool {
    matches!(start, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

/// zstd. The decoder starts each further frame by itself.
struct Zstd {
    decoder: Decoder<'static>,
    between: bool,
    padded: bool,
}

impl Zstd {
    fn new() -> Result<Self, DecompressError> {
        let mut decoder = Decoder::new().map_err(DecompressError::broken)?;
        let bounded = decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW));
        bounded.map_err(DecompressError::broken)?;
        Ok(Self {
            decoder,
            between: true,
            padded: false,
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), DecompressError> {
        self.padded |= self.between && input.first() == Some(&0);
        if self.padded {
            return padding(input).map(|read| (read, 0));
        }
        let (mut from, mut into) = (InBuffer::around(input), OutBuffer::around(output));
        let hint = self
            .decoder
            .run(&mut from, &mut into)
            .map_err(|error| unframed(&error))?;
        self.between = hint == 0;
        Ok((from.pos(), into.pos()))
    }
}

fn unframed(error: &io::Error) -> DecompressError {
    let words = error.to_string();
    if words.contains("too much memory") {
        return DecompressError::Excessive("its zstd window is larger than 8 MiB".to_owned());
    }
    DecompressError::Broken(words)
}

/// Brotli, whose windows are at most 16 MiB.
struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    over: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let alloc = StandardAlloc::default;
        Self {
            state: BrotliState::new(alloc(), alloc(), alloc()),
            over: false,
        }
    }
}

impl Brotli {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), DecompressError> {
        if self.over {
            return padding(input).map(|read| (read, 0));
        }
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut room,
            &mut written,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => Err(DecompressError::broken("it is not brotli, or was garbled")),
            BrotliResult::ResultSuccess => {
                self.over = true;
                Ok((read, written))
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok((read, written)),
        }
    }
}

#[cfg(test)]
mod tests;
