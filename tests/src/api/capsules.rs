//! Installing, listing and uninstalling capsules; `GET /v1/tools`.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Setup, component, pack, pack_guest, pack_with, send};

#[test]
fn install_list_get_uninstall() {
    Setup::default().run(async |host| {
        let package = pack_with("echo", "[limits]\ntime-ms = 7000");
        let installed = host.install(&package).await;
        assert_eq!(installed["change"], "created");
        let digest = package.digest().to_string();

        let list = host.invoke.get("/v1/capsules").await.expect(200);
        let listed = list["capsules"].as_array().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["name"], "tests/echo");
        assert_eq!(listed[0]["tools"], json!(["run"]));

        let capsule = host.invoke.get("/v1/capsules/tests/echo").await.expect(200);
        assert_eq!(capsule["digest"], digest.as_str());
        assert_eq!(capsule["version"], "1.0.0");
        assert_eq!(capsule["size"], package.bytes().len());
        assert_eq!(capsule["limits"]["time-ms"], 7000);
        assert_eq!(
            capsule["tools"][0]["inputSchema"],
            json!({"type": "object"})
        );

        let tools = host.invoke.get("/v1/tools").await.expect(200);
        assert_eq!(tools["tools"][0]["capsule"], "tests/echo");
        assert_eq!(tools["tools"][0]["name"], "run");

        let file = host
            .data()
            .join(format!("capsules/sha256/{}.wasm", package.digest().hex()));
        assert_eq!(std::fs::read(&file).unwrap(), package.bytes());

        host.admin
            .delete("/v1/capsules/tests/echo")
            .await
            .expect(204);
        assert!(!file.exists());
        host.admin
            .delete("/v1/capsules/tests/echo")
            .await
            .problem(404, "unknown-capsule");
        host.invoke
            .get("/v1/capsules/tests/echo")
            .await
            .problem(404, "unknown-capsule");
        assert_eq!(
            host.invoke.get("/v1/capsules").await.expect(200),
            json!({"capsules": []})
        );
        assert_eq!(
            host.invoke.get("/v1/tools").await.expect(200),
            json!({"tools": []})
        );
    });
}

#[test]
fn installing_again_waits_for_a_word_and_replaces() {
    Setup::default().run(async |host| {
        let echo = pack(&component("echo"), "tests/one", "");
        let compute = pack(&component("compute"), "tests/one", "");
        host.install(&echo).await;
        let same = host.admin.install(echo.bytes()).await.expect(200);
        assert_eq!(same["change"], "unchanged");
        let other = host.admin.install(compute.bytes()).await.expect(202);
        assert_eq!(other["change"], "held");
        let call = async || {
            let input = json!({"n": 1});
            host.invoke
                .call("tests/one", "run", &input)
                .await
                .structured()
        };
        assert!(call().await.is_object(), "the new one already");
        host.approve(&compute).await;
        assert!(call().await.is_u64(), "still the old one");
        let list = host.invoke.get("/v1/capsules").await.expect(200);
        assert_eq!(list["capsules"].as_array().unwrap().len(), 1);
    });
}

/// A client that is still sending when it is answered finds a broken connection, and no answer.
#[test]
fn a_refusal_reaches_a_client_with_much_to_say() {
    Setup::default().run(async |host| {
        let much = vec![0; 20 << 20];
        for _ in 0..5 {
            host.invoke.install(&much).await.problem(403, "forbidden");
            let call = host
                .invoke
                .request(Method::POST, "/v1/capsules/no/such/tools/run")
                .header("content-type", "application/json")
                .body(much.clone());
            send(call).await.problem(413, "too-large");
        }
    });
}

#[test]
fn an_install_needs_its_media_type_and_scope() {
    Setup::default().run(async |host| {
        let file = pack_guest("echo").into_bytes();
        let request = host
            .admin
            .request(Method::POST, "/v1/capsules")
            .body(file.clone());
        send(request).await.problem(415, "unsupported-media-type");
        host.invoke.install(&file).await.problem(403, "forbidden");
        host.invoke
            .delete("/v1/capsules/tests/echo")
            .await
            .problem(403, "forbidden");
        host.admin
            .with_key("")
            .install(&file)
            .await
            .problem(401, "unauthorized");
    });
}

/// A capsule file that no honest packer writes: its one tool has this schema.
fn forged(schema: &serde_json::Value) -> Vec<u8> {
    use wasm_encoder::{ComponentSection as _, CustomSection};

    let section = json!({
        "manifest": {"name": "tests/forged", "version": "1.0.0", "description": "A guest."},
        "tools": [{
            "name": "run",
            "description": "A guest.",
            "inputSchema": schema,
            "annotations": {
                "readOnlyHint": true,
                "destructiveHint": false,
                "idempotentHint": true,
                "openWorldHint": false,
            },
        }],
    });
    let mut file = component("echo");
    CustomSection {
        name: soma_registry::SECTION.into(),
        // Sorted, and without a space: RFC 8785's form of ASCII texts.
        data: section.to_string().into_bytes().into(),
    }
    .append_to_component(&mut file);
    file
}

#[test]
fn schemas_that_would_wear_the_host_out_are_refused() {
    // What two references a link come to after forty of them.
    let mut hanging = json!({"type": "object", "$ref": "#/$defs/a0", "$defs": {"a40": {}}});
    for i in 0..40 {
        let next = json!({"$ref": format!("#/$defs/a{}", i + 1)});
        hanging["$defs"][format!("a{i}")] =
            json!({"allOf": [next, {"anyOf": [next], "properties": {}}]});
    }
    let hungry = json!({"type": "object", "propertyNames": {"pattern": r"(\p{L}{50}){3}"}});
    Setup::default().run(async |host| {
        let fair = forged(&json!({"type": "object"}));
        host.admin.install(&fair).await.expect(201);
        for (schema, words) in [(&hanging, "more than 4096 times"), (&hungry, "pattern")] {
            let answer = host.admin.install(&forged(schema)).await;
            let problem = answer.problem(422, "invalid-capsule");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.starts_with("tool `run`: the input schema"),
                "{detail}"
            );
            assert!(detail.contains(words), "{detail}");
        }
    });
}

#[test]
fn a_tenant_has_room_for_so_many() {
    Setup::default()
        .flag("--tenant-capsules", "1")
        .run(async |host| {
            host.install_guests(&["echo"]).await;
            let answer = host.admin.install(pack_guest("spin").bytes()).await;
            let problem = answer.problem(409, "conflict");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("tenant-capsules"), "{detail}");
            // In place of what is there, there is room.
            let other = pack(&component("compute"), "tests/echo", "");
            let held = host.admin.install(other.bytes()).await.expect(202);
            assert_eq!(held["change"], "held");
            host.approve(&other).await;
            let files = host.data().join("capsules/sha256");
            assert_eq!(std::fs::read_dir(files).unwrap().count(), 2);
        });
}

#[test]
fn installations_beyond_the_bound_are_turned_away() {
    Setup::default().run(async |host| {
        let file = pack_guest("echo").into_bytes();
        // Eight that never end: headers, and a body of which nothing comes.
        let request = || {
            host.admin
                .request(reqwest::Method::POST, "/v1/capsules")
                .header("content-type", "application/wasm")
                .body(reqwest::Body::wrap_stream(futures::stream::pending::<
                    std::io::Result<Vec<u8>>,
                >()))
        };
        let mut open: Vec<_> = (0..8).map(|_| tokio::spawn(request().send())).collect();
        // Those eight are on their way; whoever comes once they are there is the ninth. One of them
        // that came while this one was inside was turned away itself, and comes again.
        let answer = loop {
            for turned_away in open.iter_mut().filter(|request| request.is_finished()) {
                *turned_away = tokio::spawn(request().send());
            }
            let answer = host.admin.install(&file).await;
            if answer.status == 503 {
                break answer;
            }
            assert!([200, 201].contains(&answer.status), "{}", answer.text);
        };
        answer.problem(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
        for request in open {
            request.abort();
        }
        while host.admin.install(&file).await.status == 503 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_a_crash_left_half_done_is_cleared_up() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let kept = pack_guest("echo").digest().hex().to_string();
        let orphan = "0".repeat(64);
        let folder = host.data().join("capsules/sha256");
        host.restart(|_| {
            for name in [
                format!("{orphan}.wasm"),
                format!("{orphan}.unsettled"),
                format!("{kept}.unsettled"),
                ".new-x".to_owned(),
            ] {
                std::fs::write(folder.join(name), "").unwrap();
            }
        })
        .await;
        let left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, [format!("{kept}.wasm")]);
        host.call("echo", &json!({})).await.expect(200);
    });
}

#[test]
fn an_installed_capsule_without_its_file_says_so_in_the_log() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let folder = host.data().join("capsules/sha256");
        let file = folder.join(format!("{}.wasm", pack_guest("echo").digest().hex()));
        // As on another host on the same database.
        host.restart(|_| std::fs::remove_file(&file).unwrap()).await;
        host.call("echo", &json!({})).await.problem(500, "internal");
        host.logged("is not in this host's data folder").await;
    });
}

#[test]
fn capsules_and_keys_outlive_a_restart() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let before = std::fs::read(host.data().join("keys/invoke.key")).unwrap();
        host.restart(|_| {}).await;
        assert_eq!(
            std::fs::read(host.data().join("keys/invoke.key")).unwrap(),
            before
        );
        assert_eq!(
            host.call("echo", &json!({"a": 1})).await.structured(),
            json!({"a": 1})
        );
    });
}
