//! Lists the guests, so that one without a test of its name does not compile.

use std::fs;
use std::path::Path;

fn main() {
    let guests = Path::new("guests");
    println!("cargo::rerun-if-changed=guests/Cargo.toml");
    println!("cargo::rerun-if-changed=guests/wat");

    let manifest = fs::read_to_string(guests.join("Cargo.toml")).expect("the guests' manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let examples = manifest["example"].as_array().expect("examples");
    let mut names: Vec<String> = examples
        .iter()
        .map(|example| example["name"].as_str().expect("a name").to_owned())
        .collect();
    for file in fs::read_dir(guests.join("wat")).expect("the guests in text") {
        let path = file.expect("a file").path();
        names.push(
            path.file_stem()
                .expect("a name")
                .to_str()
                .expect("UTF-8")
                .to_owned(),
        );
    }
    names.sort();

    let checks: String = names
        .iter()
        .map(|name| format!("$check!({name});"))
        .collect();
    let code = format!("macro_rules! for_each_guest {{ ($check:ident) => {{ {checks} }}; }}");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("guests.rs"), code).expect("cargo's own folder");
}
