//! The Rust documentation installed with the toolchain: thousands of real pages.

use std::path::PathBuf;
use std::process::Command;

use super::*;

#[test]
fn dump() {
    let root = docs().unwrap();
    let _net = serve(root);
    for p in std::env::var("PAGES").unwrap().split(',') {
        let page = read("https://doc.test/".to_owned() + p, 1_000_000, 0, 1000).unwrap();
        println!("=== {} {}\n{}\n--- {} links {:?}", page.structured.url, page.structured.title, page.structured.markdown, page.structured.links.len(), page.structured.links.iter().take(5).collect::<Vec<_>>());
    }
}

fn docs() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let root = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()).join("share/doc/rust/html");
    root.join("std/index.html").is_file().then_some(root)
}

fn serve(root: PathBuf) -> Http {
    Http::new().otherwise(move |sent| {
        let path = sent.url.strip_prefix("https://doc.test/")?;
        let bytes = std::fs::read(root.join(path.split(['?', '#']).next()?)).ok()?;
        Some(testing::reply(200).header("content-type", "text/html").body(bytes))
    })
}
