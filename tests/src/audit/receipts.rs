//! A receipt proves a call to whoever has the host's key, and proves nothing once it is changed.

use std::fs;
use std::path::PathBuf;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use soma_capability::Prices;
use soma_registry::log::{Checkpoint, Inclusion, LogKey};

use super::install_sender;
use crate::api::{key, tenant};
use crate::cli::beside as soma;
use crate::harness::{Answer, Client, Setup, TestHost, Upstream, note_secret, pack_guest};

/// What a client is answered that asks for the receipt of the call of this answer, or problem.
async fn asked(client: &Client, answer: &Value) -> Answer {
    let invocation = answer["invocation"].as_str().unwrap();
    let path = format!("/v1/invocations/{invocation}/receipt");
    client.get(&path).await
}

async fn receipt(client: &Client, answer: &Value) -> Value {
    asked(client, answer).await.expect(200)
}

/// The key that the host signs its log with, as its administrator is shown it.
async fn log_key(host: &TestHost) -> String {
    let proven = soma(host, &["--json", "audit", "verify"]).await.exits(0);
    proven.json()["key"].as_str().unwrap().to_owned()
}

fn written(host: &TestHost, name: &str, text: &str) -> String {
    let path: PathBuf = host.data().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn record(receipt: &Value) -> Value {
    let line: Value = serde_json::from_str(receipt["line"].as_str().unwrap()).unwrap();
    line["record"].clone()
}

/// Proves a receipt by the log's own rules, and gives the index of its record.
fn proven(receipt: &Value, key: &str) -> u64 {
    let key: LogKey = key.parse().unwrap();
    let note = receipt["checkpoint"].as_str().unwrap();
    let checkpoint = Checkpoint::read(note.as_bytes(), &key).unwrap();
    let inclusion: Inclusion = serde_json::from_value(receipt["inclusion"].clone()).unwrap();
    let leaf = Sha256::digest(receipt["line"].as_str().unwrap());
    inclusion.check(&leaf, &checkpoint).unwrap();
    inclusion.index
}

#[test]
fn a_receipt_says_what_a_call_did_and_is_checked_without_the_host() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install_sender(&host, &upstream).await;
        let get = json!({"method": "GET", "url": upstream.url("/hello?secret=1")});
        let sent = host.call("http", &get).await.expect(200);
        let elsewhere = json!({"method": "GET", "url": "https://elsewhere.test/x"});
        let denied = host.call("http", &elsewhere).await;
        let answer = denied.text.clone();
        let denied = denied.expect(200);
        let vkey = log_key(&host).await;

        let of_sent = receipt(&host.invoke, &sent).await;
        proven(&of_sent, &vkey);
        let said = record(&of_sent);
        assert_eq!(said["digest"], sender_digest(&host).await);
        assert_eq!(said["engine"], soma_runtime::ENGINE);
        assert_eq!(said["prices"], Prices::default().version());
        assert_eq!(said["usage"]["requests"], 1);
        assert_eq!(said["usage"]["fuel"], sent["usage"]["fuel"]);
        assert_eq!(said["usage"].get("tool_calls"), None, "{said}");
        assert_eq!(said["egress"][0]["path"], "/hello");

        // The command line keeps what it fetches, once, and checks it with nobody's help.
        let file = host.data().join("denied.json");
        let file = file.to_str().unwrap();
        let id = denied["invocation"].as_str().unwrap();
        let get = ["receipt", "get", id, "--save", file];
        let kept = soma(&host, &get).await.exits(0);
        assert!(kept.out.contains(&vkey), "{}", kept.out);
        soma(&host, &get).await.exits(2);
        let input = written(&host, "input.json", &format!("{elsewhere}\n"));
        let output = written(&host, "answer.json", &answer);
        let verify = ["receipt", "verify", file, "--key", &vkey];
        let texts = ["--input", &input, "--output", &output];
        let verified = soma(&host, &[&verify[..], &texts].concat()).await.exits(0);
        for words in [
            "tests/http run",
            soma_runtime::ENGINE,
            "GET https://elsewhere.test/x → ",
            "as in",
            &vkey,
        ] {
            assert!(verified.out.contains(words), "{words}: {}", verified.out);
        }
        let verdict =
            format!("verified: the call {id} of tests/http/run is in the log of soma-host-");
        assert!(verified.out.starts_with(&verdict), "{}", verified.out);
        let as_json = [&["--json"][..], &verify, &texts].concat();
        let as_json = soma(&host, &as_json).await.exits(0).json();
        assert_eq!(as_json["record"]["invocation"], id);
        assert_eq!(
            (&as_json["pinned"], &as_json["input"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(as_json["verdict"], "verified");
        for [flag, file] in [["--input", &output], ["--output", &input]] {
            let other = soma(&host, &[&verify[..], &[flag, file]].concat()).await;
            let other = other.exits(1);
            assert!(other.err.contains("of this call"), "{}", other.err);
        }
        // Without a key nothing is proven, unless that is what was asked for.
        let unpinned = soma(&host, &["receipt", "verify", file]).await.exits(1);
        assert!(
            unpinned.err.contains("give the host's own with --key"),
            "{}",
            unpinned.err
        );
        let any = ["receipt", "verify", file, "--any-key"];
        let any = soma(&host, &any).await.exits(0);
        assert!(
            any.out.starts_with("consistent, but whose key"),
            "{}",
            any.out
        );
        let changed = format!("x{vkey}");
        for (key, words) in [
            ("nonsense", "soma-host-…+8 hex digits"),
            (&changed, "the hash in the key does not fit"),
        ] {
            let said = soma(&host, &["receipt", "verify", file, "--key", key]).await;
            let said = said.exits(2);
            assert!(said.err.contains(words), "{words}: {}", said.err);
        }
        let said = soma(&host, &["receipt", "get", "blah"]).await.exits(2);
        assert!(
            said.err.contains("blah is no invocation id"),
            "{}",
            said.err
        );
    });
}

#[test]
fn what_the_command_line_shows_of_an_answer_is_compared_with_its_receipt() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let vkey = log_key(&host).await;
        // A guest writes its output as it likes: only without space can it be made out of what is shown.
        let close = "{\"b\":1.0,\"a\":[\"x: {\"]}";
        let wide = "{\"b\": 1.0, \"a\": []}";
        let mut receipts = Vec::new();
        for (input, shows_it) in [(close, true), (wide, false)] {
            let call = ["--json", "call", "tests/echo", "run", input];
            let answer = soma(&host, &call).await.exits(0);
            let id = answer.json()["invocation"].as_str().unwrap().to_owned();
            let receipt = receipt(&host.admin, &answer.json()).await;
            let receipt = written(&host, &format!("{id}.json"), &receipt.to_string());
            let whole = written(&host, "whole.json", &answer.out);
            let shown = soma(&host, &call[1..]).await.exits(0);
            let shown = written(&host, "shown.json", &shown.out);
            let verify = ["receipt", "verify", &receipt, "--key", &vkey, "--output"];
            soma(&host, &[&verify[..], &[whole.as_str()]].concat())
                .await
                .exits(0);
            let said = soma(&host, &[&verify[..], &[shown.as_str()]].concat()).await;
            match shows_it {
                true => drop(said.exits(0)),
                false => {
                    let said = said.exits(1);
                    assert!(said.err.contains("soma call --json"), "{}", said.err);
                }
            }
            // The input was sent as it was given: with more space it is the same where it had none.
            let spaced = written(&host, "spaced.json", &close.replace(',', " ,\n "));
            let verify = ["receipt", "verify", &receipt, "--key", &vkey, "--input"];
            let said = soma(&host, &[&verify[..], &[spaced.as_str()]].concat()).await;
            said.exits(if shows_it { 0 } else { 1 });
            receipts.push((receipt, answer.out));
        }
        let other = written(&host, "other.json", &receipts[1].1);
        let verify = ["receipt", "verify", &receipts[0].0, "--key", &vkey];
        let said = soma(&host, &[&verify[..], &["--output", &other]].concat()).await;
        let said = said.exits(1);
        assert!(said.err.contains("to another call"), "{}", said.err);
    });
}

/// The digest of the guest that sends, as it is installed.
async fn sender_digest(host: &TestHost) -> Value {
    let installed = host.admin.get("/v1/capsules/tests/http").await.expect(200);
    installed["digest"].clone()
}

#[test]
fn whoever_changes_a_receipt_is_found_out() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let mut answer = Value::Null;
        for n in 0..9 {
            answer = host.call("echo", &json!({ "n": n })).await.expect(200);
        }
        let vkey = log_key(&host).await;
        let good = receipt(&host.invoke, &answer).await;
        let text = |member: &str| good[member].as_str().unwrap().to_owned();
        let (line, note) = (text("line"), text("checkpoint"));
        let inclusion = |change: fn(&mut Value)| {
            let mut inclusion = good["inclusion"].clone();
            change(&mut inclusion);
            inclusion
        };
        // A character in the middle of a signature of the note: the log's, then that with the time.
        let signature = |nth: usize| {
            let at = note.match_indices("— ").nth(nth).unwrap().0;
            let at = at + note[at..].find('\n').unwrap() - 40;
            let other = if note[at..].starts_with('A') {
                "B"
            } else {
                "A"
            };
            format!("{}{other}{}", &note[..at], &note[at + 1..])
        };
        let size = note.lines().nth(1).unwrap();
        let erased = json!({"erased": hex::encode(Sha256::digest(&line))}).to_string();
        let another = note_secret("another.test").log_key().to_string();
        let nothing = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for (member, value, words) in [
            (
                "line",
                json!(line.replacen("\"ok\"", "\"no\"", 1)),
                "is not proven",
            ),
            ("line", json!(format!("{line} ")), "is not proven"),
            ("line", json!(erased), "is erased"),
            (
                "inclusion",
                inclusion(|it| it["index"] = json!(0)),
                "is not proven",
            ),
            (
                "inclusion",
                inclusion(|it| it["path"] = json!([])),
                "is not proven",
            ),
            (
                "inclusion",
                json!({"index": 0, "path": [nothing]}),
                "is not proven",
            ),
            (
                "checkpoint",
                json!(note.replacen(&format!("\n{size}\n"), "\n1\n", 1)),
                "not signed by",
            ),
            ("checkpoint", json!(signature(0)), "not signed by"),
            ("checkpoint", json!(signature(1)), "does not say when"),
            ("key", json!(another), "not by"),
            ("key", json!("nonsense"), "key"),
        ] {
            let mut changed = good.clone();
            changed[member] = value;
            assert_ne!(changed, good, "{words}");
            let file = written(&host, "changed.json", &changed.to_string());
            let said = soma(&host, &["receipt", "verify", &file, "--key", &vkey]).await;
            let said = said.exits(1);
            assert!(said.err.contains(words), "{words}: {}", said.err);
        }
        // What has not the form of one is another file than was meant.
        let mut more = good.clone();
        more["more"] = json!(1);
        let mut short = good.clone();
        short["inclusion"] = inclusion(|it| it["path"][0] = json!("x"));
        for (text, words) in [
            (more.to_string(), "unknown field"),
            (short.to_string(), "no receipt"),
            ("# A page\n".to_owned(), "is no receipt"),
        ] {
            let file = written(&host, "other.json", &text);
            let said = soma(&host, &["receipt", "verify", &file, "--key", &vkey]).await;
            let said = said.exits(2);
            assert!(said.err.contains(words), "{words}: {}", said.err);
        }
        // Nobody's key but the host's will do.
        let file = written(&host, "good.json", &good.to_string());
        soma(&host, &["receipt", "verify", &file, "--key", &vkey])
            .await
            .exits(0);
        let said = soma(&host, &["receipt", "verify", &file, "--key", &another]).await;
        assert!(said.exits(1).err.contains("not by"));
        soma(&host, &["receipt", "verify", "/nowhere"])
            .await
            .exits(2);
    });
}

#[test]
fn a_receipt_is_for_whoever_called_and_for_administrators() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let acme = tenant(&host, "acme").await;
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        let called = acme.call("tests/echo", "run", &json!({})).await.expect(200);
        let wanted = json!({"tenant": "acme", "scopes": ["invoke"], "tools": ["tests/none/*"]});
        let colleague = key(&host, wanted).await;
        let refused = colleague.call("tests/echo", "run", &json!({})).await;
        let refused = refused.problem(403, "forbidden");

        let vkey = log_key(&host).await;
        let own = receipt(&acme, &called).await;
        assert_eq!(record(&own)["tenant"], "acme");
        assert_eq!(
            proven(&receipt(&host.admin, &called).await, &vkey),
            proven(&own, &vkey)
        );
        let of_refused = receipt(&colleague, &refused).await;
        let said = record(&of_refused);
        assert_eq!(
            (&said["kind"], &said["outcome"]),
            (&json!("refusal"), &json!("forbidden"))
        );
        let file = written(&host, "refused.json", &of_refused.to_string());
        let verify = ["receipt", "verify", &file, "--key", &vkey];
        let verified = soma(&host, &verify).await.exits(0);
        assert!(
            verified.out.contains("refused: forbidden"),
            "{}",
            verified.out
        );
        let with_input = [&verify[..], &["--input", &file]].concat();
        let said = soma(&host, &with_input).await.exits(1);
        assert!(said.err.contains("no input is recorded"), "{}", said.err);

        // Of others nobody sees anything, nor of what there is not: it is all the same.
        let mut words = Vec::new();
        for (client, call) in [
            (&colleague, &called),
            (&host.invoke, &called),
            (&acme, &refused),
            (&acme, &json!({"invocation": "no id"})),
            (
                &acme,
                &json!({"invocation": "01900000-0000-7000-8000-000000000000"}),
            ),
            (
                &acme,
                &json!({"invocation": "ffffffff-ffff-7fff-bfff-ffffffffffff"}),
            ),
            (
                &host.admin,
                &json!({"invocation": "6f1e0c3a-5a0e-4e3e-9d2b-0a3a5d3f6f7e"}),
            ),
        ] {
            let problem = asked(client, call).await.problem(404, "unknown-invocation");
            words.push(problem["detail"].clone());
        }
        words.dedup();
        assert_eq!(words.len(), 1, "{words:?}");
        let install = json!({"tenant": "acme", "scopes": ["install"]});
        let install = key(&host, install).await;
        asked(&install, &called).await.problem(403, "forbidden");
        let id = called["invocation"].as_str().unwrap();
        let said = soma(&host, &["receipt", "get", id]).await.exits(5);
        assert!(said.err.contains("SOMA_KEY"), "{}", said.err);

        // What is erased has none any more; one that was kept still proves what it says.
        let file = written(&host, "kept.json", &own.to_string());
        let deleted = host.admin.delete("/v1/admin/tenants/acme").await;
        deleted.expect(204);
        for _ in 0..2 {
            asked(&host.admin, &called)
                .await
                .problem(404, "unknown-invocation");
            soma(&host, &["receipt", "verify", &file, "--key", &vkey])
                .await
                .exits(0);
            host.restart(|_| {}).await;
            assert_eq!(log_key(&host).await, vkey);
        }
    });
}

#[test]
fn every_call_of_thousands_has_its_receipt() {
    // One database is enough: none has to do with it.
    Setup::default().waits().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let input = json!({"a": 1});
        // Past the end of a file of records.
        let calls = stream::iter(0..4200).map(|_| host.call("echo", &input));
        let answers: Vec<Answer> = calls.buffer_unordered(8).collect().await;
        let calls: Vec<Value> = answers.iter().map(|answer| answer.expect(200)).collect();
        let vkey = log_key(&host).await;
        let some = [0, 1, 2048, 4080, 4100, 4199];
        let mut before = Vec::new();
        for call in some.map(|nth| &calls[nth]) {
            let receipt = receipt(&host.invoke, call).await;
            assert_eq!(record(&receipt)["invocation"], call["invocation"]);
            before.push(proven(&receipt, &vkey));
        }
        assert!(before.iter().any(|index| *index >= 4096), "{before:?}");
        // Without the file of hashes the records are enough, and the tree goes on from there.
        host.restart(|data| fs::remove_file(data.join("audit/hashes")).unwrap())
            .await;
        host.logged("made anew from its records").await;
        let last = host.call("echo", &input).await.expect(200);
        let mut after = Vec::new();
        for call in some.map(|nth| &calls[nth]) {
            after.push(proven(&receipt(&host.invoke, call).await, &vkey));
        }
        assert_eq!(after, before);
        assert!(proven(&receipt(&host.invoke, &last).await, &vkey) > 4200);
        // Ended without a warning, it has lost none that was told.
        host.kill_and_restart().await;
        assert_eq!(
            proven(&receipt(&host.invoke, &calls[0]).await, &vkey),
            before[0]
        );
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}

#[test]
fn hashes_that_are_damaged_in_the_middle_are_made_anew_and_a_changed_record_harms_no_other() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let input = json!({"a": 1});
        let mut calls = Vec::new();
        for _ in 0..4 {
            calls.push(host.call("echo", &input).await.expect(200));
        }
        let index = proven(
            &receipt(&host.invoke, &calls[0]).await,
            &log_key(&host).await,
        );
        // Of the leaf beside it, which is on no edge.
        let beside = index ^ 1;
        let at = usize::try_from(32 * (2 * beside - u64::from(beside.count_ones()))).unwrap();
        host.restart(|data| {
            let hashes = data.join("audit/hashes");
            let mut bytes = fs::read(&hashes).unwrap();
            bytes[at] ^= 1;
            fs::write(hashes, bytes).unwrap();
        })
        .await;
        for _ in 0..2 {
            let answer = asked(&host.invoke, &calls[0]).await;
            answer.problem(500, "internal");
            host.call("echo", &input).await.expect(200);
        }
        host.logged("the hashes of the audit log's tree are damaged")
            .await;
        host.restart(|_| {}).await;
        host.logged("made anew from its records").await;
        let vkey = log_key(&host).await;
        for call in &calls {
            proven(&receipt(&host.invoke, call).await, &vkey);
        }

        // With a record that was changed the tree has nothing to do.
        host.restart(|data| {
            let file = data.join("audit/records/000000000000.jsonl");
            let text = fs::read_to_string(&file).unwrap();
            let changed = text.replacen("\"outcome\":\"ok\"", "\"outcome\":\"no\"", 1);
            assert_ne!(changed, text);
            fs::write(file, changed).unwrap();
        })
        .await;
        let answer = asked(&host.invoke, &calls[0]).await;
        answer.problem(500, "internal");
        host.logged("is not the one that was signed").await;
        for call in &calls[1..] {
            proven(&receipt(&host.invoke, call).await, &vkey);
        }
    });
}
