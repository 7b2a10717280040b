//! Capsules in other languages, by their own toolchains from `wit/0.1.0`, packed by
//! `soma build --component`. Slow, and their toolchains come from package registries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use soma_registry::Package;

use super::{Said, author};
use crate::harness::{Setup, Upstream, full, lacking, repository, skipped, target};

#[test]
pub(crate) fn javascript() {
    let Some(tools) = toolchain(
        "js",
        "npm",
        &["install", "--no-audit", "componentize-qjs@0.4.5"],
    ) else {
        return;
    };
    speaks_soma("js", |folder| {
        let mut componentize = Command::new(tools.join("node_modules/.bin/componentize-qjs"));
        componentize
            .arg("--wit")
            .arg(wit())
            .args(["-n", "capsule", "--sync", "--stub-wasi", "--js"])
            .arg(source("javascript.js"))
            .arg("-o")
            .arg(folder.join("component.wasm"));
        componentize
    });
}

#[test]
pub(crate) fn python() {
    let pip = [
        "install",
        "--quiet",
        "--target",
        "packages",
        "componentize-py==0.25.1",
    ];
    let Some(tools) = toolchain("python", "pip", &pip) else {
        return;
    };
    speaks_soma("python", |folder| {
        let packages = tools.join("packages");
        let mut componentize = Command::new(packages.join("bin/componentize-py"));
        componentize
            .env("PYTHONPATH", &packages)
            .arg("-d")
            .arg(wit())
            .args([
                "-w",
                "capsule",
                "componentize",
                "--stub-wasi",
                "python",
                "-p",
            ])
            .arg(source(""))
            .arg("-o")
            .arg(folder.join("component.wasm"));
        componentize
    });
}

fn wit() -> PathBuf {
    repository().join("wit/0.1.0")
}

fn source(file: &str) -> PathBuf {
    repository().join("tests/guests/languages").join(file)
}

/// A folder with the language's toolchain, kept between runs; none where it cannot be had.
fn toolchain(language: &str, installer: &str, arguments: &[&str]) -> Option<PathBuf> {
    if !full() {
        skipped(&format!("a capsule in {language}: SOMA_TEST=full"));
        return None;
    }
    let folder = target().join("tmp").join(language);
    fs::create_dir_all(&folder).expect("a folder");
    if folder.join("ready").exists() {
        return Some(folder);
    }
    // npm would look for a package.json further up.
    fs::write(folder.join("package.json"), "{\"private\": true}").expect("a file");
    let installed = Command::new(installer)
        .args(arguments)
        .current_dir(&folder)
        .output();
    match installed {
        Ok(output) if output.status.success() => {
            fs::write(folder.join("ready"), "").expect("a file");
            Some(folder)
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            lacking(&format!(
                "a capsule in {language}: {installer} could not: {said}"
            ));
            None
        }
        Err(error) => {
            lacking(&format!("a capsule in {language}: no {installer}: {error}"));
            None
        }
    }
}

/// Componentizes, packs, installs and calls.
fn speaks_soma(language: &str, componentize: impl Fn(&Path) -> Command) {
    let folder = tempfile::tempdir().expect("a folder");
    Said::of(componentize(folder.path()).output().expect("the toolchain")).exits(0);
    let manifest =
        format!("name = 'tests/{language}'\nversion = '1.0.0'\ndescription = 'Greets.'\n");
    fs::write(folder.path().join("capsule.toml"), manifest).expect("a manifest");
    let build = [
        "build",
        ".",
        "--component",
        "component.wasm",
        "--out",
        "capsule.wasm",
    ];
    Said::of(author(folder.path()).args(build).output().expect("soma")).exits(0);
    let package = fs::read(folder.path().join("capsule.wasm")).expect("a capsule file");
    let package = Package::read(package).expect("a capsule");

    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install(&package).await;
        let call = async |input| {
            host.invoke
                .call(&format!("tests/{language}"), "run", &input)
                .await
        };
        let greeting = call(json!({"name": "Ada"})).await.structured();
        assert_eq!(greeting, json!({"hello": "Ada", "late": true}));
        let fetched = call(json!({"name": "Ada", "url": upstream.url("/hello")})).await;
        assert_eq!(fetched.structured()["body"], "hello");
        call(json!({})).await.problem(422, "tool-invalid-input");
    });
}
