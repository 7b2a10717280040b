//! Lists the guests and the languages, so that one without a test of its name does not compile.

use std::fs;
use std::path::Path;

fn main() {
    let guests = Path::new("guests");
    println!("cargo::rerun-if-changed=guests/Cargo.toml");
    println!("cargo::rerun-if-changed=guests/wat");
    println!("cargo::rerun-if-changed=guests/languages");

    let manifest = fs::read_to_string(guests.join("Cargo.toml")).expect("the guests' manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let examples = manifest["example"].as_array().expect("examples");
    let mut names: Vec<String> = examples
        .iter()
        .map(|example| example["name"].as_str().expect("a name").to_owned())
        .collect();
    names.extend(stems(&guests.join("wat")));

    let code = for_each("guest", names) + &for_each("language", stems(&guests.join("languages")));
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("guests.rs"), code).expect("cargo's own folder");
}

/// The names of a folder's files, without what follows the dot.
fn stems(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder of guests");
    let paths = files.map(|file| file.expect("a file").path());
    paths
        .filter(|path| path.is_file())
        .map(|path| {
            let stem = path.file_stem().expect("a name");
            stem.to_str().expect("UTF-8").to_owned()
        })
        .collect()
}

/// The macro `for_each_WHAT`, which gives each name to another macro.
fn for_each(what: &str, mut names: Vec<String>) -> String {
    names.sort();
    let checks: String = names
        .iter()
        .map(|name| format!("$check!({name});"))
        .collect();
    format!("macro_rules! for_each_{what} {{ ($check:ident) => {{ {checks} }}; }}\n")
}
