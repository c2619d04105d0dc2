//! Opens a trace: gzip and zstd are recognized by their magic numbers, whatever the file is called.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How the bytes lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The unpacked bytes of a trace file.
pub(super) struct TraceBytes<'a> {
    pub reader: Box<dyn Read + 'a>,
    pub packing: Packing,
}

/// Opens a file.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    Ok(Box::new(file))
}

/// The first bytes of a stream, at most so many; the stream goes on behind them.
pub(super) fn first_bytes(stream: &mut dyn Read, most: u64) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    stream.take(most).read_to_end(&mut start)?;
    Ok(start)
}

/// Looks at the first bytes and unpacks if they are those of an archive.
pub(super) fn unpack(mut stream: Box<dyn Read + '_>) -> io::Result<TraceBytes<'_>> {
    let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
    stream.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic)?;
    let packing = if magic.starts_with(&GZIP_MAGIC) {
        Packing::Gzip
    } else if magic == ZSTD_MAGIC {
        Packing::Zstd
    } else {
        Packing::Plain
    };
    let whole = io::Cursor::new(magic).chain(stream);
    let reader: Box<dyn Read + '_> = match packing {
        Packing::Plain => Box::new(whole),
        Packing::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, whole))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
    };
    Ok(TraceBytes { reader, packing })
}
