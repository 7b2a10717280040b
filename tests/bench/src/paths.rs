//! Where the build left what is measured.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use soma_runtime::Compiler;

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// The `soma` binary beside this one: of the same profile.
pub(crate) fn soma() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("soma"))
}

/// A guest of the tests, as it came from the compiler.
pub(crate) fn guest(name: &str) -> anyhow::Result<Vec<u8>> {
    let path = target()
        .join("wasm/wasm32-wasip2/capsule/examples")
        .join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{}: run `just guests` first", path.display()))
}

/// The sample capsules, packed.
pub(crate) fn capsules() -> anyhow::Result<Vec<PathBuf>> {
    let folder = target().join("capsules");
    let files = std::fs::read_dir(&folder)
        .with_context(|| format!("{}: run `just capsules` first", folder.display()))?;
    let mut capsules = Vec::new();
    for file in files {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            capsules.push(path);
        }
    }
    Ok(capsules)
}

/// Compiles the way the host does, with this program as the child.
pub(crate) fn compiler() -> anyhow::Result<Compiler> {
    Ok(Compiler::new(
        std::env::current_exe()?,
        ["--compile".into()],
    ))
}
