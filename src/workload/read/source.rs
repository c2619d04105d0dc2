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
pub(super) struct TraceBytes {
    pub reader: Box<dyn Read>,
    pub packing: Packing,
    /// Size on disk, where the system tells.
    pub file_bytes: Option<u64>,
}

/// Opens `path` and looks at its first bytes.
pub(super) fn open(path: &Path) -> io::Result<TraceBytes> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    let file_bytes = metadata.is_file().then_some(metadata.len());
    let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
    file.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic)?;
    let packing = if magic.starts_with(&GZIP_MAGIC) {
        Packing::Gzip
    } else if magic == ZSTD_MAGIC {
        Packing::Zstd
    } else {
        Packing::Plain
    };
    let whole = io::Cursor::new(magic).chain(file);
    let reader: Box<dyn Read> = match packing {
        Packing::Plain => Box::new(whole),
        Packing::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, whole))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
    };
    Ok(TraceBytes { reader, packing, file_bytes })
}
