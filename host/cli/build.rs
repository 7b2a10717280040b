//! Lists what `soma` carries for authors: the SDK, the WIT, the toolchain script and the template
//! of `soma new`, as `(path, text)` pairs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Where it lies once unpacked, and where it lies in the source tree, seen from this crate.
const SDK: &[(&str, &str)] = &[
    ("sdk/Cargo.toml", "../../sdk/Cargo.toml"),
    ("sdk/src", "../../sdk/src"),
    ("sdk/macros/Cargo.toml", "../../sdk/macros/Cargo.toml"),
    ("sdk/macros/src", "../../sdk/macros/src"),
    ("wit", "../../wit"),
    ("wasm-toolchain.sh", "../../scripts/wasm-toolchain.sh"),
];
const TEMPLATE: &[(&str, &str)] = &[("", "template")];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut code = String::new();
    for (name, entries) in [("SDK", SDK), ("TEMPLATE", TEMPLATE)] {
        let mut files = Vec::new();
        for (target, source) in entries {
            let source = root.join(source);
            println!("cargo::rerun-if-changed={}", source.display());
            collect(&source, Path::new(target), &mut files)?;
        }
        files.sort();
        write_list(&mut code, name, &files);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("carried.rs"), code)
}

fn collect(source: &Path, target: &Path, files: &mut Vec<(PathBuf, PathBuf)>) -> io::Result<()> {
    if !source.is_dir() {
        files.push((target.to_owned(), source.canonicalize()?));
        return Ok(());
    }
    for entry in fs::read_dir(source)? {
        let name = entry?.file_name();
        if name != "target" {
            collect(&source.join(&name), &target.join(&name), files)?;
        }
    }
    Ok(())
}

fn write_list(code: &mut String, name: &str, files: &[(PathBuf, PathBuf)]) {
    // Writing to a String cannot fail.
    let _ = writeln!(code, "const {name}: &[(&str, &str)] = &[");
    for (target, source) in files {
        let _ = writeln!(code, "    ({target:?}, include_str!({source:?})),");
    }
    let _ = writeln!(code, "];");
}
