//! Where the build left what is tested.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
        .to_owned()
}

/// The target folder that this very program was built into.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    // target/debug/deps/integration-…
    program
        .ancestors()
        .nth(3)
        .expect("cargo's layout")
        .to_owned()
}

/// The `soma` binary of the same build.
pub(crate) fn soma() -> PathBuf {
    let program = target().join("debug/soma");
    assert!(
        program.exists(),
        "there is no {}: run `just build` first",
        program.display()
    );
    program
}

/// A folder that nobody else can reach, which the things that run here insist on.
pub(crate) fn own_folder() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    let builder = builder.permissions(Permissions::from_mode(0o700));
    builder.tempdir().expect("a temporary folder")
}

/// The library that has a process look names up in a file, where it is: `./dev test` brings it.
pub(crate) fn wrapper_of_names() -> Option<PathBuf> {
    let folders = target().join("tools/usr/lib").read_dir().ok()?;
    let mut files = folders.map_while(Result::ok);
    files.find_map(|folder| {
        let file = folder.path().join("libnss_wrapper.so");
        file.exists().then_some(file)
    })
}
