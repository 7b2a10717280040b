//! From nothing to an answer: `soma new`, `build`, `inspect`, `run`, in a folder outside the
//! repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Said, author};
use crate::harness::{component, full, pack_guest, repository, target};

fn soma(folder: &Path, arguments: &[&str]) -> Said {
    Said::of(author(folder).args(arguments).output().unwrap())
}

#[test]
fn a_new_project_builds_tests_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    soma(folder.path(), &["new", "hello"]).exits(0);
    soma(folder.path(), &["new", "hello"]).exits(2);
    let project = folder.path().join("hello");

    soma(&project, &["build"]).exits(0);
    let file = project.join("target/capsule/hello.wasm");
    let file = file.to_str().unwrap();
    let inspected = soma(&project, &["inspect", file, "--json"]).exits(0).json();
    assert_eq!(inspected["manifest"]["name"], "local/hello");
    let tool = inspected["tools"][0]["name"].as_str().unwrap().to_owned();

    let answer = soma(&project, &["run", file, &tool, "{\"name\": \"Ada\"}"]).exits(0);
    assert!(answer.out.contains("Ada"), "{}", answer.out);
    soma(&project, &["run", file, &tool, "{\"name\": 1}"]).exits(6);
    soma(&project, &["run", file, &tool, "{"]).exits(6);
    soma(&project, &["run", file, "nothing", "{}"]).exits(5);

    // The same source gives the same bytes, wherever it is.
    let elsewhere = tempfile::tempdir().unwrap();
    soma(elsewhere.path(), &["new", "hello"]).exits(0);
    let again = soma(&elsewhere.path().join("hello"), &["build", "--json"])
        .exits(0)
        .json();
    assert_eq!(again["digest"], inspected["digest"]);

    if full() {
        let test = Command::new("cargo")
            .arg("test")
            .current_dir(&project)
            .env("CARGO_TARGET_DIR", target().join("tmp/authors"))
            .output()
            .unwrap();
        let said = Said::of(test).exits(0);
        assert!(said.out.contains("test result: ok"), "{}", said.out);
        assert!(!said.out.starts_with("\nrunning 0 tests"), "{}", said.out);
    }
}

#[test]
fn the_sdks_examples_are_capsules() {
    let folder = tempfile::tempdir().unwrap();
    let build = |example: &str| {
        let mut soma = author(folder.path());
        // Where the sample capsules were built, what the SDK needs is compiled already.
        soma.env("CARGO_TARGET_DIR", target())
            .arg("build")
            .arg(repository().join("sdk/examples").join(example))
            .args(["--out", &format!("{example}.wasm"), "--json"]);
        Said::of(soma.output().unwrap()).exits(0).json()
    };
    assert_eq!(build("hello")["tools"], serde_json::json!(["hello"]));
    let hello = [
        "run",
        "hello.wasm",
        "hello",
        "{\"name\": \"Ada\"}",
        "--json",
    ];
    let answer = soma(folder.path(), &hello).exits(0).json();
    assert_eq!(answer["output"]["structured"], "Hello, Ada!");
    // A stack and a heap of 1 MiB each, there from the start.
    let memory = answer["usage"]["memory_bytes"].as_u64().unwrap();
    assert!(memory > 2 << 20, "{memory}");

    let tools = serde_json::json!(["find_place", "weather_now"]);
    assert_eq!(build("weather")["tools"], tools);
    // The tests reach no network; that it asks, and whom, is what the refusal says.
    let weather = ["run", "weather.wasm", "find_place", "{\"name\": \"Paris\"}"];
    let said = soma(folder.path(), &weather).exits(1);
    assert!(
        said.err.contains("https://geocoding-api.open-meteo.com"),
        "{}",
        said.err
    );
}

#[test]
fn a_component_of_another_toolchain_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("echo.component.wasm"), component("echo")).unwrap();
    let manifest = "name = 'tests/echo'\nversion = '1.0.0'\ndescription = 'Echoes.'\n";
    fs::write(path("capsule.toml"), manifest).unwrap();
    let build = [
        "build",
        ".",
        "--component",
        "echo.component.wasm",
        "--out",
        "echo.wasm",
    ];
    soma(folder.path(), &build).exits(0);
    let answer = soma(
        folder.path(),
        &["run", "echo.wasm", "run", "{\"a\": 1}", "--json"],
    )
    .exits(0);
    assert_eq!(
        answer.json()["output"]["structured"],
        serde_json::json!({"a": 1})
    );

    for (guest, words) in [
        ("describe_loop", "fuel"),
        ("describe_trap", "trap"),
        ("wrong_world", "soma:capsule/tools"),
    ] {
        fs::write(path("bad.component.wasm"), component(guest)).unwrap();
        let build = [
            "build",
            ".",
            "--component",
            "bad.component.wasm",
            "--out",
            "bad.wasm",
        ];
        let said = soma(folder.path(), &build).exits(1);
        assert!(said.err.contains(words), "{}", said.err);
        assert!(!path("bad.wasm").exists());
    }
}

#[test]
fn what_a_capsule_says_of_itself_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("echo.component.wasm"), component("echo")).unwrap();
    let manifest = r#"
        name = "tests/echo"
        version = "1.0.0"
        description = "Echoes."
        license = "MIT OR Apache-2.0"
        repository = "https://git.example/echo"
        keywords = ["echo", "test"]
        readme = "docs/README.md"

        [[capabilities.http]]
        origin = "https://api.github.com"
        methods = ["GET", "POST"]
        paths = ["/repos/{owner}/{repo}/issues/**"]
        credential = "github"
        why = "Reads and files issues."
    "#;
    fs::write(path("capsule.toml"), manifest).unwrap();
    let build = "build . --component echo.component.wasm --out echo.wasm";
    let build = |status: i32| {
        let arguments: Vec<&str> = build.split(' ').collect();
        soma(folder.path(), &arguments).exits(status).err
    };

    let said = build(2);
    assert!(said.contains("line 8, column 18"), "{said}");
    assert!(said.contains("cannot read docs/README.md"), "{said}");
    fs::create_dir(path("docs")).unwrap();
    fs::write(path("docs/README.md"), "# Echo\n\u{202e}\n").unwrap();
    let said = build(2);
    assert!(said.contains("docs/README.md, line 2, column 1"), "{said}");
    fs::write(path("docs/README.md"), "# Echo\r\n").unwrap();
    build(0);

    let shown = soma(folder.path(), &["inspect", "echo.wasm"]).exits(0).out;
    for part in [
        "MIT OR Apache-2.0",
        "https://git.example/echo",
        "echo, test",
        "may send GET and POST requests to https://api.github.com/repos/{owner}/{repo}/issues/**, with the credential `github`",
        "its author: \"Reads and files issues.\"",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let readme = ["inspect", "echo.wasm", "--readme"];
    assert_eq!(soma(folder.path(), &readme).exits(0).out, "# Echo\n");
    let json = soma(folder.path(), &["inspect", "echo.wasm", "--json"]);
    let manifest = &json.exits(0).json()["manifest"];
    assert_eq!(manifest["readme"], "# Echo\n");
    let asked = &manifest["capabilities"]["http"][0];
    assert_eq!(asked["origin"], "https://api.github.com");
}

#[test]
fn files_and_manifests_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let inspect = |file: &str| soma(folder.path(), &["inspect", file]).exits(2).err;
    fs::write(path("core.wasm"), wat::parse_str("(module)").unwrap()).unwrap();
    assert!(inspect("core.wasm").contains("core module"));
    fs::write(path("bare.wasm"), component("echo")).unwrap();
    assert!(inspect("bare.wasm").contains("soma build"));
    let packed = pack_guest("echo").into_bytes();
    fs::write(path("cut.wasm"), &packed[..packed.len() - 9]).unwrap();
    assert!(inspect("cut.wasm").contains("cut off"));
    assert!(inspect("none.wasm").contains("none.wasm"));

    soma(folder.path(), &["build"]).exits(2);
    fs::write(
        path("capsule.toml"),
        "name = 'tests/echo'\nversion = '1.0.0'\ndescription = 'Echoes.'\n",
    )
    .unwrap();
    for (out, words) in [("/dev/null", "no regular file"), (".", "a folder")] {
        let build = ["build", "--component", "bare.wasm", "--out", out];
        let said = soma(folder.path(), &build).exits(2);
        assert!(said.err.contains(words), "{}", said.err);
    }
    fs::write(
        path("capsule.toml"),
        "name = 'tests/echo'\nversoin = '1.0.0'\n",
    )
    .unwrap();
    let said = soma(folder.path(), &["build"]).exits(2);
    assert!(
        said.err.contains("versoin") && said.err.contains("line 2"),
        "{}",
        said.err
    );
    for name in ["Hello", "a/b/c", "../evil", ""] {
        soma(folder.path(), &["new", name]).exits(2);
    }
}

#[test]
fn running_a_hostile_file_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "[limits]\nfuel = 50_000_000";
    fs::write(
        folder.path().join("spin.wasm"),
        crate::harness::pack_with("spin", limits).bytes(),
    )
    .unwrap();
    let said = soma(folder.path(), &["run", "spin.wasm", "run", "{}"]).exits(1);
    let line = |begin: &str| said.err.lines().position(|line| line.starts_with(begin));
    // What it used until then comes first, and the error last.
    assert!(
        line("used ").unwrap() < line("error: ").unwrap(),
        "{}",
        said.err
    );
    assert!(said.err.contains("--fuel N"), "{}", said.err);
    fs::write(
        folder.path().join("panic.wasm"),
        pack_guest("panic").bytes(),
    )
    .unwrap();
    let said = soma(folder.path(), &["run", "panic.wasm", "run", "{}"]).exits(1);
    // The author sees what the guest wrote, as the guest's; the error is the host's own words.
    let error = said.err.lines().find(|line| line.starts_with("error:"));
    assert_eq!(
        error,
        Some("error: the capsule trapped: wasm `unreachable` instruction executed")
    );
}
