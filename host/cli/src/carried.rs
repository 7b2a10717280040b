//! What `soma` carries for authors, and its unpacking: the SDK, the WIT and the toolchain script
//! go to a folder of the user's cache that is named by their content.

use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

use soma_capability::Digest;

use crate::failure::Failure;

include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// The files of a new project, with its blanks.
pub(crate) fn template() -> &'static [(&'static str, &'static str)] {
    TEMPLATE
}

/// Where the things that can be made again live: `$XDG_CACHE_HOME/soma`, else `~/.cache/soma`.
pub(crate) fn cache_folder() -> Result<PathBuf, Failure> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))
        .map(|cache| cache.join("soma"))
        .ok_or_else(|| Failure::usage("there is no cache folder: set XDG_CACHE_HOME or HOME"))
}

/// The folder with this version's `sdk/`, `wit/` and `wasm-toolchain.sh`, unpacked where it is not
/// there yet.
pub(crate) fn unpacked() -> Result<PathBuf, Failure> {
    let cache = cache_folder()?;
    let folder = cache.join(format!(
        "{}-{}",
        env!("CARGO_PKG_VERSION"),
        &content_hash()[..12]
    ));
    if !folder.is_dir() {
        unpack(&cache, &folder).map_err(|error| {
            Failure::failed(format_args!(
                "cannot unpack the SDK into {}: {error}",
                folder.display()
            ))
        })?;
    }
    Ok(folder)
}

fn content_hash() -> String {
    let mut all = String::new();
    for (path, text) in SDK {
        all.extend([path, "\0", text, "\0"]);
    }
    Digest::of(all.as_bytes()).hex()
}

/// Another `soma` may be unpacking too: each fills a folder of its own, and one rename wins.
fn unpack(cache: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    let filling = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(cache)?;
    for (path, text) in SDK {
        let path = filling.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    match fs::rename(filling.path(), folder) {
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed,
    }
}
