//! The Rust documentation installed with the toolchain: thousands of real pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// Where the documentation is; none, said loudly, where the toolchain came without it. CI must
/// have it.
fn docs() -> Option<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    let root = Path::new(sysroot.trim()).join("share/doc/rust/html");
    if root.join("std/index.html").is_file() {
        return Some(root);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI must not go without the Rust documentation: `rustup component add rust-docs`"
    );
    eprintln!("SKIPPED: no Rust documentation in {}", root.display());
    None
}

fn serve(root: PathBuf) -> Http {
    Http::new().otherwise(move |sent| {
        let path = sent.url.strip_prefix("https://doc.test/")?;
        let bytes = std::fs::read(root.join(path.replace("%21", "!"))).ok()?;
        let reply = testing::reply(200).header("content-type", "text/html");
        Some(reply.body(bytes))
    })
}

fn doc(path: &str) -> Option<Page> {
    let _net = serve(docs()?);
    let url = format!("https://doc.test/{path}");
    let page = read(url, 1_000_000, 0, 1000).unwrap().structured;
    no_noise(&page);
    Some(page)
}

#[track_caller]
fn no_noise(page: &Page) {
    let prose: String = page.markdown.split("```").step_by(2).collect();
    for noise in [
        "[§",
        "§\n",
        "](#",
        "Copy item path",
        "[Source](",
        "Expand description",
        "[](",
        "](javascript:",
    ] {
        let place = prose.find(noise).map(|at| &prose[at.saturating_sub(80)..]);
        assert!(
            place.is_none(),
            "{}: {noise:?} in {:.200}",
            page.url,
            place.unwrap_or_default()
        );
    }
    for link in &page.links {
        assert!(link.url.contains(':'), "{}: {link:?}", page.url);
    }
}

#[track_caller]
fn contains(page: &Page, part: &str) {
    assert!(
        page.markdown.contains(part),
        "{part:?} is not in\n{:.3000}",
        page.markdown
    );
}

#[test]
fn the_front_page_of_std() {
    let Some(page) = doc("std/index.html") else {
        return;
    };
    assert_eq!(page.title, "std - Rust");
    assert!(page.markdown.starts_with(
        "# Crate std\n\n## The Rust Standard Library\n\nThe Rust Standard Library is the foundation"
    ));
    contains(
        &page,
        "like [Vec\\<T>](https://doc.test/std/vec/struct.Vec.html) and",
    );
    contains(
        &page,
        "\n- **[bool](https://doc.test/std/primitive.bool.html)**: The boolean type.\n",
    );
    contains(
        &page,
        "\n1. While primitives are implemented by the compiler,",
    );
    let vec = "https://doc.test/std/vec/struct.Vec.html";
    assert!(
        page.links
            .iter()
            .any(|link| link.text == "Vec<T>" && link.url == vec)
    );
}

#[test]
fn a_struct() {
    let Some(page) = doc("std/vec/struct.Vec.html") else {
        return;
    };
    contains(
        &page,
        "# Struct Vec\n\n```rust\npub struct Vec<T, A = Global>\nwhere\n    A: Allocator,\n{ /* private fields */ }\n```\n",
    );
    contains(
        &page,
        "#### `pub const fn new() -> Vec<T>`\n\nConstructs a new, empty `Vec<T>`.\n",
    );
    contains(
        &page,
        "##### Examples\n\n```rust\nlet mut vec: Vec<i32> = Vec::new();\n```\n",
    );
    contains(&page, "### `impl<T, A> Vec<T, A> where A: Allocator,`");
}

#[test]
fn a_chapter_of_the_book() {
    let Some(page) = doc("book/ch04-01-what-is-ownership.html") else {
        return;
    };
    assert_eq!(
        page.title,
        "What is Ownership? - The Rust Programming Language"
    );
    assert!(
        page.markdown
            .starts_with("## What Is Ownership?\n\n*Ownership* is a set of rules")
    );
    contains(&page, "```rust\nlet s = \"hello\";\n```\n");
    contains(
        &page,
        "\n```\n\nListing 4-1: A variable and the scope in which it is valid\n",
    );
    contains(
        &page,
        "- Each value in Rust has an *owner*.\n- There can only be one owner at a time.\n",
    );
    contains(&page, "![Two tables:");
}

#[test]
fn a_page_that_sends_the_reader_on() {
    let Some(page) = doc("std/macro.vec!.html") else {
        return;
    };
    assert_eq!(page.url, "https://doc.test/std/macro.vec.html");
    contains(&page, "# Macro vec");
}

#[test]
fn pages_of_all_kinds() {
    let Some(root) = docs() else { return };
    let mut pages = Vec::new();
    for folder in [
        "std/collections",
        "std/io",
        "book",
        "reference",
        "cargo/reference",
        "nomicon",
        "rustc",
        "error_codes",
        "edition-guide",
    ] {
        collect(&root.join(folder), &mut pages);
    }
    // mdBook's frames with nothing but a menu.
    pages.retain(|path| !path.ends_with("toc.html"));
    pages.sort();
    assert!(pages.len() > 300, "{} pages", pages.len());
    let _net = serve(root.clone());
    for path in pages.iter().step_by(pages.len() / 100) {
        let path = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let page = read(format!("https://doc.test/{path}"), 1_000_000, 0, 1000).unwrap();
        assert!(!page.structured.title.is_empty(), "{path}");
        assert!(!page.structured.markdown.is_empty(), "{path}");
        no_noise(&page.structured);
    }
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            pages.push(path);
        }
    }
}
