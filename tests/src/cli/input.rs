//! A tool's input, as `soma run` and `soma call` take it: on the command line, from a file, from
//! standard input. Both refuse the same.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{Said, fed};
use crate::harness::{Setup, TestHost, command, pack_guest};

/// `soma run` and `soma call` of the guest `echo` with this input, said on the command line.
fn commands(host: &TestHost, input: &str) -> [Command; 2] {
    let file = host.data().join("echo.wasm");
    fs::write(&file, pack_guest("echo").bytes()).unwrap();
    let soma = |arguments: [&str; 5]| {
        let mut soma = command(&host.data());
        soma.args(arguments).current_dir(host.data());
        soma
    };
    [
        soma(["run", "echo.wasm", "run", input, "--json"]),
        soma(["call", "tests/echo", "run", input, "--json"]),
    ]
}

#[test]
fn from_the_command_line_a_file_and_standard_input() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let text = "{\"a\": [1, \"ü\"]}\n";
        fs::write(host.data().join("input.json"), text).unwrap();
        for (argument, stdin) in [(text, ""), ("@input.json", ""), ("-", text)] {
            for mut command in commands(&host, argument) {
                let answer = fed(&mut command, stdin).exits(0).json();
                let echoed = &answer["output"]["structured"];
                assert_eq!(*echoed, json!({"a": [1, "ü"]}), "{command:?}");
            }
        }
    });
}

#[test]
fn what_is_refused() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        fs::write(host.data().join("latin"), b"\"\xfc\"").unwrap();
        for (argument, stdin, code, words) in [
            ("{", "", 6, "not JSON"),
            ("-", "", 6, "not JSON"),
            ("-", "{} {}", 6, "not JSON"),
            ("[]", "", 6, "does not fit"),
            ("{\"a\": 1, \"a\": 2}", "", 6, "\"a\" occurs twice"),
            ("@none.json", "", 2, "none.json"),
            ("@latin", "", 2, "UTF-8"),
        ] {
            for mut command in commands(&host, argument) {
                let error = fed(&mut command, stdin).exits(code).json_error();
                let message = error["message"].as_str().unwrap();
                assert!(message.contains(words), "{command:?}: {error}");
            }
        }
    });
}

#[test]
fn what_a_capsule_reports_while_it_runs() {
    let upstream = crate::harness::Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("sdk.wasm"),
        pack_guest("with_sdk").bytes(),
    )
    .unwrap();
    let input = json!({"origin": upstream.origin()}).to_string();
    let run = |flags: &[&str]| {
        let mut soma = command(folder.path());
        soma.current_dir(folder.path())
            .args(["run", "sdk.wasm", "run", &input, "--allow-http"])
            .arg(upstream.origin())
            .args(flags);
        Said::of(soma.output().unwrap()).exits(0)
    };
    let said = run(&[]);
    for words in ["0 of 2: asking", "1 of 2", "2 of 2: done", "asks http://"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    // With --json there is nothing on standard error that is not JSON.
    let said = run(&["--json"]);
    assert_eq!(said.json()["output"]["structured"]["hello"], "hello");
    let lines: Vec<serde_json::Value> = said
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines[0].to_string().contains("asks http://"), "{lines:?}");
}
