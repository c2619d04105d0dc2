//! The data of others, where this machine has them.

use std::path::PathBuf;

/// A file or folder of the shared data, or `None` (with the reason printed) where it is not there.
pub fn folder(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WINDTUNNEL_SHARED").unwrap_or_else(|| "../shared".into());
    // Absolute: the commands under test run in folders of their own.
    let found = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(root).join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("WINDTUNNEL_REQUIRE_SHARED").is_none(), "{} is missing", found.display());
    println!("skipped: {} is not there", found.display());
    None
}
