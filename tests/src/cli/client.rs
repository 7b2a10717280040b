//! The commands that talk to a host.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Said, soma};
use crate::api::tenant;
use crate::harness::{Setup, TestHost, command, pack_guest, pack_with};

/// Runs the command beside the host, as its data folder's user.
async fn at(host: &TestHost, arguments: &[&str]) -> Said {
    with_key(host, None, arguments).await
}

/// The same under another key, which no command line ever shows.
async fn with_key(host: &TestHost, key: Option<&str>, arguments: &[&str]) -> Said {
    let mut command = command(&host.data());
    command.args(arguments);
    if let Some(key) = key {
        command.env("SOMA_KEY", key);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    Said::of(output.unwrap().expect("soma"))
}

#[test]
fn install_list_call_uninstall() {
    Setup::default().run(async |host| {
        let file = host.data().join("echo.wasm");
        fs::write(&file, pack_guest("echo").bytes()).unwrap();
        let file = file.to_str().unwrap();
        assert!(
            at(&host, &["list"])
                .await
                .exits(0)
                .out
                .contains("No capsule")
        );
        let said = at(&host, &["install", file]).await.exits(0);
        assert!(said.out.contains("tests/echo 1.0.0"), "{}", said.out);

        let list = at(&host, &["list", "--json"]).await.exits(0).json();
        assert_eq!(list["capsules"][0]["name"], "tests/echo");
        let table = at(&host, &["list", "--tools"]).await.exits(0).out;
        assert!(
            table.contains("tests/echo") && !table.contains('\u{1b}'),
            "{table}"
        );

        let call = at(
            &host,
            &["call", "tests/echo", "run", "{\"a\": 1}", "--json"],
        )
        .await
        .exits(0);
        assert_eq!(call.json()["output"]["structured"], json!({"a": 1}));
        let human = at(
            &host,
            &["call", "tests/echo", "run", "{\"a\": 1}", "--usage"],
        )
        .await;
        let human = human.exits(0);
        assert!(
            human.out.contains("\"a\": 1") && human.err.contains("fuel"),
            "{}",
            human.err
        );

        let said = at(&host, &["uninstall", "tests/echo"]).await.exits(2);
        assert!(said.err.contains("--yes"), "{}", said.err);
        let uninstall = ["uninstall", "tests/echo", "--yes"];
        at(&host, &uninstall).await.exits(0);
        at(&host, &uninstall).await.exits(5);
        at(&host, &["call", "tests/echo", "run", "{}"])
            .await
            .exits(5);
    });
}

#[test]
fn a_call_says_which_it_was_and_whether_its_answer_was_given_before() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let call = [
            "call",
            "tests/echo",
            "run",
            "{}",
            "--usage",
            "--idempotency-key",
            "k",
        ];
        let first = at(&host, &call).await.exits(0).err;
        let id = first.strip_prefix("call ").unwrap();
        let (id, rest) = id.split_once(": used ").unwrap();
        assert_eq!(rest.lines().count(), 1, "{first}");
        let replayed = format!(
            "{first}replayed: this is the answer to call {id}, and nothing was charged again\n"
        );
        assert_eq!(at(&host, &call).await.exits(0).err, replayed);
        let as_json = [&call[..], &["--json"]].concat();
        let said = at(&host, &as_json).await.exits(0);
        assert_eq!(said.json()["invocation"], id);
        assert_eq!(said.err, "");

        // What it leads to.
        at(&host, &["receipt", "get", id]).await.exits(0);
        let said = at(&host, &["audit", "query", "--kind", "call"])
            .await
            .exits(0);
        assert!(said.out.contains(id), "{}", said.out);
        // One that was refused is named, too.
        let refused = ["call", "tests/echo", "none", "{}", "--usage"];
        let said = at(&host, &refused).await.exits(5).err;
        let (first, rest) = said.split_once('\n').unwrap();
        assert!(
            first.starts_with("call ") && !first.contains("used"),
            "{said}"
        );
        assert!(rest.starts_with("error: "), "{said}");
    });
}

#[test]
fn an_administrator_installs_for_another_tenant() {
    Setup::default().run(async |host| {
        let acme = tenant(&host, "acme").await;
        let file = host.data().join("echo.wasm");
        fs::write(&file, pack_guest("echo").bytes()).unwrap();
        let own = ["install", file.to_str().unwrap()];
        let install = [&own[..], &["--tenant", "acme"]].concat();
        // Whoever installs for the own tenant does so for no other.
        with_key(&host, Some(acme.key()), &install).await.exits(4);
        let none = [&own[..], &["--tenant", "none"]].concat();
        at(&host, &none).await.exits(5);
        let said = at(&host, &install).await.exits(0).out;
        let words = "installed: tests/echo 1.0.0 for the tenant acme\n";
        assert!(said.starts_with(words), "{said}");
        acme.call("tests/echo", "run", &json!({})).await.expect(200);
        let list = at(&host, &["list"]).await.exits(0).out;
        assert!(list.contains("No capsule"), "{list}");
        let said = with_key(&host, Some(acme.key()), &own).await.exits(0).out;
        let words = "was installed already: tests/echo 1.0.0 for the tenant acme\n";
        assert!(said.starts_with(words), "{said}");

        // What is held of it is the tenant's, and so is the word on it.
        let asks = "[[capabilities.http]]\norigin = \"https://a.test\"\nmethods = [\"GET\"]\n\
                    paths = [\"/\"]\nwhy = \"To ask.\"\n";
        fs::write(&file, pack_with("echo", asks).bytes()).unwrap();
        let install = [&install[..], &["--yes"]].concat();
        let said = at(&host, &install).await.exits(0).out;
        assert!(said.starts_with("installed in the place of"), "{said}");
        let serving = acme.get("/v1/capsules/tests/echo").await.expect(200);
        assert!(serving["capabilities"]["http"].is_array(), "{serving}");
        // For the default tenant, which need not be said.
        let said = at(&host, &own).await.exits(0).out;
        assert!(said.starts_with("installed: tests/echo 1.0.0\n"), "{said}");

        let found = host.admin.get("/v1/admin/audit?kind=install").await;
        let found = found.expect(200);
        let records = found["records"].as_array().unwrap().iter();
        let of: Vec<&Value> = records.map(|record| &record["of"]).collect();
        let (of_acme, own) = (json!("acme"), Value::Null);
        // The newest first.
        assert_eq!(of, [&own, &of_acme, &own, &of_acme]);
    });
}

#[test]
fn exit_codes_mean_something() {
    Setup::default().limits("fuel=50000000").run(async |host| {
        host.install_guests(&["echo", "spin", "errors"]).await;
        at(&host, &["call", "tests/echo", "run", "{}"])
            .await
            .exits(0);
        at(&host, &["call", "tests/spin", "run"]).await.exits(1);
        at(
            &host,
            &["call", "tests/errors", "run", "{\"error\": \"denied\"}"],
        )
        .await
        .exits(1);
        at(&host, &["call", "not a name", "run"]).await.exits(2);
        at(&host, &["frobnicate"]).await.exits(2);
        let said = at(&host, &["list", "--host", "example.com"]).await.exits(2);
        assert!(said.err.contains("like http://"), "{}", said.err);
        let key = ["key", "create", "--expires", "tomorrow"];
        let said = at(&host, &key).await.exits(2);
        assert!(said.err.contains("like 2027-"), "{}", said.err);
        at(&host, &["list", "--host", "http://127.0.0.1:9"])
            .await
            .exits(4);
        let nobody = ["list", "--host", "http://127.0.0.1:9"];
        with_key(&host, Some("k"), &nobody).await.exits(3);
        with_key(&host, Some("soma_wrong"), &["list"])
            .await
            .exits(4);
        at(&host, &["call", "tests/none", "run"]).await.exits(5);
        at(&host, &["call", "tests/echo", "none"]).await.exits(5);
        at(&host, &["call", "tests/echo", "run", "[]"])
            .await
            .exits(6);
        at(&host, &["call", "tests/echo", "run", "{"])
            .await
            .exits(6);
        at(
            &host,
            &[
                "call",
                "tests/errors",
                "run",
                "{\"error\": \"rate-limited\"}",
            ],
        )
        .await
        .exits(7);

        let said = at(&host, &["call", "tests/echo", "run", "[]", "--json"])
            .await
            .exits(6);
        let error: Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(error["error"]["exit"], 6);
        assert_eq!(error["error"]["data"]["status"], 422);
    });
}

#[test]
fn what_an_update_changes_is_shown_and_nothing_else() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let show = ["approve", "tests/echo", "--show"];
        at(&host, &show).await.exits(5);
        at(&host, &["approve", "--show"]).await.exits(2);
        at(&host, &["approve", "tests/echo", "--show", "--yes"])
            .await
            .exits(2);
        let asks = "[[capabilities.http]]\norigin = \"https://a.test\"\nmethods = [\"GET\"]\n\
                    paths = [\"/\"]\nwhy = \"To ask.\"\n";
        let file = host.data().join("echo.wasm");
        fs::write(&file, pack_with("echo", asks).bytes()).unwrap();
        // What serves asks for nothing, so there is nothing to offer.
        let said = at(&host, &["install", file.to_str().unwrap()]).await;
        let said = said.exits(0);
        assert!(said.out.contains("held until `soma approve`"));
        assert!(!said.err.contains("grant set"), "{}", said.err);
        let said = at(&host, &show).await.exits(0);
        assert!(
            said.out
                .contains("+ may send GET requests to https://a.test/")
        );
        assert!(said.out.contains("+   its author: \"To ask.\""));
        assert_eq!(said.err, "");
        let shown = at(&host, &[&show[..], &["--json"]].concat()).await;
        let shown = shown.exits(0).json();
        let reasons = shown["held"]["reasons"].as_array().unwrap();
        assert!(reasons.contains(&json!("asks-more")), "{shown}");
        at(&host, &["approve", "tests/echo", "--yes"])
            .await
            .exits(0);
    });
}

#[test]
fn a_key_that_is_no_text_is_not_as_good_as_none() {
    Setup::default().run(async |host| {
        let mut list = command(&host.data());
        list.arg("list")
            .env("SOMA_KEY", OsStr::from_bytes(b"soma_\xff"));
        let said = Said::of(list.output().unwrap()).exits(2);
        assert!(said.err.contains("not UTF-8"), "{}", said.err);
    });
}

#[test]
fn files_that_are_none_are_not_read() {
    Setup::default().run(async |host| {
        let data = host.data();
        let pipe = data.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for (file, words) in [
            ("/dev/zero", "no regular file"),
            (pipe.to_str().unwrap(), "no regular file"),
            (data.to_str().unwrap(), "a folder"),
        ] {
            for command in [
                &["secret", "set", "a", "--file", file][..],
                &["key", "create", "--narrow", file],
            ] {
                let said = at(&host, command).await.exits(2);
                assert!(said.err.contains(words), "{command:?}: {}", said.err);
            }
        }
        for command in [&["inspect", "/dev/zero"][..], &["install", "/dev/zero"]] {
            let said = at(&host, command).await.exits(2);
            assert!(said.err.contains("no regular file"), "{}", said.err);
        }
        let mut set = command(&data);
        set.args(["secret", "set", "a"]);
        set.stdin(fs::File::open("/dev/zero").unwrap());
        let said = Said::of(set.output().unwrap()).exits(2);
        assert!(said.err.contains("over 65536 bytes"), "{}", said.err);
    });
}

#[test]
fn no_host_is_said_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let said = soma(folder.path(), &["list"]).exits(3);
    assert!(said.err.contains("soma serve"), "{}", said.err);
}

/// Whoever listens where a killed host did must not be shown its keys.
#[test]
fn a_killed_hosts_address_is_not_believed() {
    Setup::default().run(async |mut host| {
        host.signal(Signal::KILL);
        host.ended().await;
        assert!(host.data().join("host.url").exists());
        let said = at(&host, &["list"]).await.exits(3);
        assert!(said.err.contains("no host is running"), "{}", said.err);
    });
}

#[test]
fn rotating_the_data_folders_own_key_keeps_it_there() {
    Setup::default().run(async |host| {
        let keys = at(&host, &["key", "list", "--json"]).await.exits(0).json();
        for key in keys["keys"].as_array().unwrap() {
            let id = key["id"].as_str().unwrap();
            let said = at(&host, &["key", "rotate", id]).await.exits(0);
            let files = ["admin.key", "invoke.key"].map(|file| host.data().join("keys").join(file));
            let kept = files.map(|file| fs::read_to_string(file).unwrap());
            assert!(kept.contains(&said.out), "{kept:?}");
        }
        at(&host, &["key", "list"]).await.exits(0);
        at(&host, &["list"]).await.exits(0);
    });
}

#[test]
fn another_machines_host() {
    let setup = Setup::default().flag("--allowed-hosts", "0.0.0.0");
    setup.run(async |host| {
        host.install_guests(&["echo"]).await;
        let key = fs::read_to_string(host.data().join("keys/invoke.key")).unwrap();
        // Whoever calls has no data folder of a host, only its URL and a key.
        let elsewhere = tempfile::tempdir().unwrap();
        let call = |url: &str, key: Option<&str>, flags: &[&str]| {
            let mut soma = command(elsewhere.path());
            soma.args(["call", "tests/echo", "run", "{\"a\": 1}"])
                .args(flags)
                .env("SOMA_HOST", url)
                .envs(key.map(|key| ("SOMA_KEY", key)));
            Said::of(soma.output().unwrap())
        };
        let port = host.address().port();
        let key = Some(key.trim());
        let loopback = format!("http://127.0.0.1:{port}");
        let answer = call(&loopback, key, &["--json"]).exits(0).json();
        assert_eq!(answer["output"]["structured"], json!({"a": 1}));
        let said = call(&loopback, None, &[]).exits(4);
        assert!(said.err.contains("SOMA_KEY"), "{}", said.err);

        // To the command, 0.0.0.0 is no loopback address; on this machine it leads to one.
        let clear = format!("http://0.0.0.0:{port}");
        let said = call(&clear, key, &[]).exits(2);
        assert!(said.err.contains("--plain-http"), "{}", said.err);
        call(&clear, key, &["--plain-http"]).exits(0);
    });
}

#[test]
fn tenants_and_keys() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        at(&host, &["tenant", "create", "acme"]).await.exits(0);
        at(&host, &["tenant", "create", "acme"]).await.exits(1);
        assert!(
            at(&host, &["tenant", "list"])
                .await
                .exits(0)
                .out
                .contains("acme")
        );

        let create = [
            "key", "create", "--tenant", "acme", "--scope", "install", "--name", "bot",
        ];
        let secret = at(&host, &create).await.exits(0).out.trim().to_owned();
        assert!(secret.starts_with("soma_"), "{secret}");
        let with =
            async |key: &str, arguments: &[&str]| with_key(&host, Some(key), arguments).await;
        assert!(
            with(&secret, &["list"])
                .await
                .exits(0)
                .out
                .contains("No capsule")
        );
        with(&secret, &["tenant", "list"]).await.exits(4);

        let keys = at(&host, &["key", "list", "--tenant", "acme", "--json"])
            .await
            .exits(0)
            .json();
        let id = keys["keys"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
        let rotated = at(&host, &["key", "rotate", &id])
            .await
            .exits(0)
            .out
            .trim()
            .to_owned();
        with(&secret, &["list"]).await.exits(4);
        with(&rotated, &["list"]).await.exits(0);

        at(&host, &["tenant", "suspend", "acme"]).await.exits(0);
        with(&rotated, &["list"]).await.exits(4);
        at(&host, &["tenant", "resume", "acme"]).await.exits(0);
        at(&host, &["key", "revoke", &id]).await.exits(0);
        with(&rotated, &["list"]).await.exits(4);
        let delete = ["tenant", "delete", "acme", "--yes"];
        at(&host, &delete[..3]).await.exits(2);
        at(&host, &delete).await.exits(0);
        at(&host, &delete).await.exits(5);
    });
}

#[test]
fn completions_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = soma(folder.path(), &["completions", shell]).exits(0).out;
        assert!(script.contains("uninstall"), "{shell}");
    }
    let help = command(folder.path()).arg("--help").output().unwrap();
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("Exit codes")
    );
}

#[test]
fn budgets_are_of_the_tenant_of_the_key() {
    Setup::default().run(async |host| {
        at(&host, &["tenant", "create", "acme"]).await.exits(0);
        let create = ["key", "create", "--tenant", "acme", "--scope", "admin"];
        let key = at(&host, &create).await.exits(0).out.trim().to_owned();
        let with = async |arguments: &[&str]| with_key(&host, Some(&key), arguments).await;
        with(&["budget", "set", "5", "--per", "day"]).await.exits(0);
        let of_acme = at(&host, &["budget", "show", "--tenant", "acme"]).await;
        assert!(of_acme.exits(0).out.contains("day"));
        let of_default = at(&host, &["budget", "show"]).await.exits(0).out;
        assert!(of_default.contains("No budget is set"), "{of_default}");
        for own in [&["budget", "show"][..], &["budget", "top"]] {
            let said = with(own).await.exits(0).out;
            assert!(!said.contains("No budget is set"), "{said}");
        }
        with(&["budget", "rm", "--per", "day"]).await.exits(0);
    });
}
