//! The SDK's bindings are checked in; here is where they come from.

use std::path::Path;
use std::{env, fs};

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::Opts;

#[test]
fn bindings_are_what_the_wit_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.join("sdk/src/bindings/capsule.rs");
    let made = generate(&root.join("wit/0.1.0"));
    if env::var_os("SOMA_WRITE_BINDINGS").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let checked_in = fs::read_to_string(&file).unwrap();
    assert!(
        checked_in == made,
        "the WIT or wit-bindgen changed: run SOMA_WRITE_BINDINGS=1 just integration sdk"
    );
}

fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).unwrap();
    let world = resolve.select_world(&[package], Some("capsule")).unwrap();
    let options = Opts {
        format: true,
        runtime_path: Some("::soma_sdk::glue::wit_bindgen::rt".to_owned()),
        pub_export_macro: true,
        export_macro_name: Some("export_capsule".to_owned()),
        default_bindings_module: Some("::soma_sdk::bindings".to_owned()),
        ..Opts::default()
    };
    let mut files = Files::default();
    let mut generator = options.build();
    generator.generate(&mut resolve, world, &mut files).unwrap();
    let (_, code) = files.iter().next().unwrap();
    String::from_utf8(code.to_vec()).unwrap()
}
