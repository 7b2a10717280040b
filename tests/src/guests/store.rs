//! What capsules keep from call to call, through both doors.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::api::tenant;
use crate::cli::beside as soma;
use crate::harness::{Setup, TestHost, pack_with};

fn asking(quota_kib: u64) -> String {
    format!("[capabilities]\nkv = {{ quota-kib = {quota_kib} }}")
}

async fn give(host: &TestHost, guest: &str, quota_kib: u64) {
    let wanted = json!({"grant": {"kv": {"quota-kib": quota_kib}}});
    host.grant(&TestHost::capsule(guest), &wanted)
        .await
        .expect(200);
}

/// What the steps did, in one call.
async fn steps(host: &TestHost, steps: Value) -> Value {
    host.call("kv", &json!({ "steps": steps }))
        .await
        .structured()
}

fn error(step: &Value) -> &str {
    step["error"].as_str().unwrap_or_default()
}

#[test]
pub(super) fn kv() {
    Setup::default().run(async |mut host| {
        host.install(&pack_with("kv", &asking(64))).await;
        let denied = steps(
            &host,
            json!([["get", "a"], ["set", "a", "1"], ["keys", ""]]),
        )
        .await;
        for step in denied.as_array().unwrap() {
            assert!(error(step).contains("no store was granted"), "{denied}");
        }

        give(&host, "kv", 64).await;
        let done = steps(
            &host,
            json!([
                ["get", "a"],
                ["set", "a", "1"],
                ["set", "a/ö", ""],
                ["set", "b\u{0}", "zero"],
                ["add", "a", 41],
                ["add", "new", -1],
                ["swap", "a", "1", "2"],
                ["swap", "a", "42", "43"],
                ["swap", "c", null, "made"],
                ["swap", "c", "made", null],
                ["delete", "nothing"],
                ["keys", ""],
                ["keys", "a/"]
            ]),
        );
        let done = done.await;
        let keys = json!(["a", "a/ö", "b\u{0}", "new"]);
        let expected = json!([
            null,
            null,
            null,
            null,
            42,
            -1,
            false,
            true,
            true,
            true,
            null,
            keys,
            ["a/ö"]
        ]);
        assert_eq!(done, expected);

        // In the next call, and after the host began again.
        let there = json!([
            ["get", "a"],
            ["get", "a/ö"],
            ["get", "c"],
            ["get", "b\u{0}"]
        ]);
        let expected = json!(["43", "", null, "zero"]);
        assert_eq!(steps(&host, there.clone()).await, expected);
        host.restart(|_| {}).await;
        assert_eq!(steps(&host, there).await, expected);

        let long = "k".repeat(513);
        let refused = steps(
            &host,
            json!([
                ["set", "", "x"],
                ["set", long, "x"],
                ["get", long],
                ["set", "a", (1 << 20) + 1],
                ["add", "a/ö", 1],
                ["add", "a", i64::MAX],
                ["keys", long]
            ]),
        );
        let refused = refused.await;
        for (step, part) in [
            (0, "1 to 512 bytes, this one has 0"),
            (1, "1 to 512 bytes, this one has 513"),
            (2, "1 to 512 bytes"),
            (3, "at most 1048576 bytes"),
            (4, "no whole number"),
            (5, "more than 64 bits"),
        ] {
            assert!(error(&refused[step]).contains(part), "{refused}");
        }
        assert_eq!(refused[6], json!([]));
    });
}

#[test]
fn calls_beside_each_other_lose_nothing() {
    Setup::default().run(async |host| {
        host.install(&pack_with("kv", &asking(64))).await;
        give(&host, "kv", 64).await;
        let calls = (0..40).map(|_| steps(&host, json!([["add", "n", 1], ["add", "n", 1]])));
        for done in join_all(calls).await {
            assert!(done[1].is_i64(), "{done}");
        }
        assert_eq!(steps(&host, json!([["get", "n"]])).await, json!(["80"]));
        // More keys than one answer has.
        for page in 0..13 {
            let set = (0..100).map(|key| json!(["set", format!("p/{:04}", page * 100 + key), ""]));
            steps(&host, json!(set.collect::<Vec<_>>())).await;
        }
        let keys = steps(&host, json!([["keys", "p/"]])).await;
        let keys = keys[0].as_array().unwrap();
        assert_eq!((keys.len(), &keys[1299]), (1300, &json!("p/1299")));
    });
}

#[test]
fn a_store_has_a_quota_and_an_owner() {
    Setup::default().run(async |host| {
        host.install(&pack_with("kv", &asking(4))).await;
        // Of what is asked and what is granted the smaller.
        give(&host, "kv", 64).await;
        let path = "/v1/admin/stores/tests/kv?tenant=default";
        let full = json!([
            ["set", "k", 4096 - 33],
            ["set", "l", ""],
            ["set", "k", 4096 - 33 + 1],
            ["set", "k", 4096 - 33 - 33],
            ["set", "l", ""],
            ["add", "m", 1]
        ]);
        let done = steps(&host, full).await;
        let quota = "the store is full: it may hold 4096 bytes";
        let expected =
            json!([null, {"error": quota}, {"error": quota}, null, null, {"error": quota}]);
        assert_eq!(done, expected);
        let store = host.admin.get(path).await.expect(200);
        assert_eq!(
            (
                &store["used_bytes"],
                &store["quota_bytes"],
                &store["entries"]
            ),
            (&json!(4096), &json!(4096), &json!(2))
        );
        give(&host, "kv", 1).await;
        let smaller = json!([["set", "l", "more"], ["delete", "k"], ["set", "l", "more"]]);
        let done = steps(&host, smaller).await;
        assert_eq!(error(&done[0]), "the store is full: it may hold 1024 bytes");
        assert_eq!((&done[1], &done[2]), (&json!(null), &json!(null)));

        // Another tenant's capsule of the same name has another store.
        let other = tenant(&host, "other").await;
        other
            .install(pack_with("kv", &asking(4)).bytes())
            .await
            .expect(201);
        let wanted = json!({"grant": {"kv": {"quota-kib": 4}}});
        let grant = "/v1/admin/grants/tests/kv?tenant=other";
        host.admin.put(grant, &wanted).await.expect(200);
        let ask = json!({"steps": [["get", "l"], ["keys", ""]]});
        let seen = other.call("tests/kv", "run", &ask).await.structured();
        assert_eq!(seen, json!([null, []]));
        // Nobody but an administrator asks how full it is, or empties it.
        host.invoke.get(path).await.problem(403, "forbidden");
        host.invoke.delete(path).await.problem(403, "forbidden");

        let said = soma(&host, &["store", "show", "tests/kv"]).await.exits(0);
        assert!(
            said.out.contains("of 1024 bytes used, 1 entries"),
            "{}",
            said.out
        );
        let said = soma(&host, &["store", "clear", "tests/kv"]).await.exits(2);
        assert!(said.err.contains("--yes"), "{}", said.err);
        soma(&host, &["store", "clear", "tests/kv", "--yes"])
            .await
            .exits(0);
        assert_eq!(steps(&host, json!([["keys", ""]])).await, json!([[]]));
        let cleared = "/v1/admin/audit?kind=store-cleared";
        let records = host.admin.get(cleared).await.expect(200);
        assert_eq!(records["records"].as_array().unwrap().len(), 1, "{records}");

        // It ends with its installation.
        steps(&host, json!([["set", "left", "behind"]])).await;
        host.admin.delete("/v1/capsules/tests/kv").await.expect(204);
        host.install(&pack_with("kv", &asking(4))).await;
        give(&host, "kv", 4).await;
        assert_eq!(steps(&host, json!([["keys", ""]])).await, json!([[]]));
    });
}

#[test]
fn a_store_is_granted_on_the_command_line() {
    Setup::default().run(async |host| {
        host.install(&pack_with("kv", &asking(64))).await;
        let name = "tests/kv";
        let said = soma(&host, &["grant", "diff", name]).await.exits(0);
        let missing = "asked, and not granted at all\n  a store of 64 KiB";
        assert!(said.out.contains(missing), "{}", said.out);
        let set = ["grant", "set", name, "--kv", "8", "--yes"];
        let said = soma(&host, &set).await.exits(0);
        assert!(said.out.contains("a store of 8 KiB"), "{}", said.out);
        let done = steps(&host, json!([["set", "a", 8192]])).await;
        assert!(error(&done[0]).contains("8192 bytes"), "{done}");
        for wrong in ["0", "1048577", "x"] {
            let set = ["grant", "set", name, "--kv", wrong, "--yes"];
            soma(&host, &set).await.exits(2);
        }
        soma(&host, &["grant", "set", name, "--all", "--yes"])
            .await
            .exits(0);
        let said = soma(&host, &["grant", "diff", name]).await.exits(0);
        assert!(said.out.contains("Exactly what is asked"), "{}", said.out);
        let refused = json!({"grant": {"kv": {"quota-kib": 0}}});
        let refused = host.grant(name, &refused).await;
        refused.problem(400, "bad-request");
    });
}

#[test]
pub(super) fn keyvalue() {
    Setup::default().run(async |host| {
        host.install(&pack_with("keyvalue", &asking(4096))).await;
        let call = async |bucket: &str, steps: Value| {
            let input = json!({"bucket": bucket, "steps": steps});
            host.call("keyvalue", &input).await
        };
        let refused = call("", json!([])).await;
        assert!(
            refused
                .problem(424, "tool-failed")
                .to_string()
                .contains("AccessDenied")
        );
        give(&host, "keyvalue", 4096).await;
        let refused = call("another", json!([])).await;
        assert!(
            refused
                .problem(424, "tool-failed")
                .to_string()
                .contains("NoSuchStore")
        );

        let done = call(
            "",
            json!([
                ["set", "a", "1"],
                ["exists", "a"],
                ["exists", "b"],
                ["add", "a", 2],
                ["get", "a"],
                ["add", "a", u64::MAX],
                ["set-many", ["x", "y", "z"]],
                ["get-many", ["x", "nothing"]],
                ["delete-many", ["x", "nothing"]],
                ["keys", null],
                ["keys", 1],
                ["delete", "a"],
                ["get", ""]
            ]),
        );
        let done = done.await.structured();
        let first = &done.as_array().unwrap()[..5];
        assert_eq!(json!(first), json!([null, true, false, 3, "3"]), "{done}");
        assert!(error(&done[5]).contains("63 bits"), "{done}");
        assert_eq!(done[7], json!([["x", 4], null]));
        assert_eq!(done[9], json!({"first": "a", "count": 3, "cursor": null}));
        assert!(error(&done[10]).contains("no list"), "{done}");
        assert!(error(&done[12]).contains("1 to 512 bytes"), "{done}");
        let same = call("default", json!([["get", "y"], ["get", "a"]])).await;
        assert_eq!(same.structured(), json!(["many", null]));

        // More than one answer has: keys in pages, and values not at all.
        let many: Vec<String> = (0..1500).map(|key| format!("k{key:04}")).collect();
        let done = call(
            "",
            json!([
                ["set-many", &many[..1000]],
                ["set-many", &many[1000..]],
                ["set-many", many],
                ["keys", null],
                ["keys", 1],
                ["keys", 7]
            ]),
        );
        let done = done.await.structured();
        assert!(error(&done[2]).contains("more than 1000 keys"), "{done}");
        assert_eq!(
            done[3],
            json!({"first": "k0000", "count": 1000, "cursor": 1})
        );
        assert_eq!(
            done[4],
            json!({"first": "k1000", "count": 502, "cursor": null})
        );
        assert!(error(&done[5]).contains("no list"), "{done}");
        let large = "v".repeat(1 << 20);
        let same = vec!["large"; 17];
        let done = call("", json!([["set", "large", large], ["get-many", same]])).await;
        let done = done.structured();
        assert!(error(&done[1]).contains("ask for fewer"), "{done}");
    });
}
