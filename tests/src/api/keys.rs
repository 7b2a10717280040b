//! `/v1/admin/keys`: scopes, tool lists, expiry, changes, rotation, revocation.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::tenants::key;
use crate::cli::beside as soma;
use crate::harness::{Answer, Client, Setup, TestHost, pack_guest, send, until};

/// A key of the default tenant that may call, and its id.
async fn bot(host: &TestHost) -> (String, Client) {
    let wanted = json!({
        "tenant": "default", "name": "bot", "scopes": ["invoke"], "max_tokens": 7,
    });
    let made = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
    let bot = host.admin.with_key(made["secret"].as_str().unwrap());
    (made["id"].as_str().unwrap().to_owned(), bot)
}

async fn change(client: &Client, id: &str, changes: &Value) -> Answer {
    let path = format!("/v1/admin/keys/{id}");
    send(client.request(Method::PATCH, &path).json(changes)).await
}

/// What was recorded of changes of keys, the newest first.
async fn recorded(host: &TestHost) -> Vec<Value> {
    let found = host.admin.get("/v1/admin/audit?kind=key-changed").await;
    found.expect(200)["records"].as_array().unwrap().clone()
}

#[test]
fn scopes_and_tool_lists() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "compute"]).await;
        let input = json!({"n": 1});
        let one = json!({
            "tenant": "default", "scopes": ["invoke"], "tools": ["tests/echo/run"],
        });
        let one = key(&host, one).await;
        one.call("tests/echo", "run", &input).await.expect(200);
        one.call("tests/compute", "run", &input)
            .await
            .problem(403, "forbidden");
        let tools = one.get("/v1/tools").await.expect(200);
        assert_eq!(tools["tools"].as_array().unwrap().len(), 1);

        let install = key(&host, json!({"tenant": "default", "scopes": ["install"]})).await;
        install
            .install(pack_guest("spin").bytes())
            .await
            .expect(201);
        install
            .call("tests/echo", "run", &input)
            .await
            .problem(403, "forbidden");
        install
            .get("/v1/admin/keys")
            .await
            .problem(403, "forbidden");

        host.invoke
            .call("tests/compute", "run", &input)
            .await
            .expect(200);
        host.invoke
            .get("/v1/admin/keys")
            .await
            .problem(403, "forbidden");
    });
}

#[test]
fn headers_that_are_no_key() {
    Setup::default().run(async |host| {
        let nobody = host.admin.with_key("");
        let answer = nobody.get("/v1/capsules").await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let path = host.data().join("keys/admin.key");
        let admin = std::fs::read_to_string(path).unwrap().trim().to_owned();
        let last = admin.chars().last().unwrap();
        let other_last = if last == 'a' { 'b' } else { 'a' };
        let wrong = format!("{}{other_last}", &admin[..admin.len() - 1]);
        let short = &admin[..admin.len() - 1];
        let long = "soma_".to_owned() + &"a".repeat(5000);
        for bad in [
            wrong.as_str(),
            short,
            "soma_",
            "soma_a_b",
            "x",
            long.as_str(),
        ] {
            let problem = host
                .admin
                .with_key(bad)
                .get("/v1/capsules")
                .await
                .problem(401, "unauthorized");
            let shown = problem.to_string();
            assert!(bad.len() < 20 || !shown.contains(bad), "{shown}");
        }
        let two = host
            .admin
            .request(reqwest::Method::GET, "/v1/capsules")
            .bearer_auth(&admin);
        crate::harness::send(two).await.problem(401, "unauthorized");
        let basic = nobody
            .request(reqwest::Method::GET, "/v1/capsules")
            .basic_auth("a", Some(&admin));
        crate::harness::send(basic)
            .await
            .problem(401, "unauthorized");
    });
}

#[test]
fn rotate_and_revoke() {
    Setup::default().run(async |host| {
        let made = json!({"tenant": "default", "name": "bot", "scopes": ["invoke"]});
        let made = host.admin.post("/v1/admin/keys", &made).await.expect(201);
        let id = made["id"].as_str().unwrap();
        let old = host.admin.with_key(made["secret"].as_str().unwrap());
        old.get("/v1/tools").await.expect(200);

        let rotated = host
            .admin
            .post(&format!("/v1/admin/keys/{id}/rotate"), &json!({}))
            .await;
        let rotated = rotated.expect(200);
        assert_eq!(
            (&rotated["id"], &rotated["name"]),
            (&made["id"], &made["name"])
        );
        old.get("/v1/tools").await.problem(401, "unauthorized");
        let new = host.admin.with_key(rotated["secret"].as_str().unwrap());
        new.get("/v1/tools").await.expect(200);

        let listed = host.admin.get("/v1/admin/keys?tenant=default").await;
        assert_eq!(listed.expect(200)["keys"].as_array().unwrap().len(), 3);
        for secret in [&made["secret"], &rotated["secret"]] {
            let secret = secret.as_str().unwrap().rsplit('_').next().unwrap();
            assert!(!listed.text.contains(secret), "a list shows a secret");
        }

        host.admin
            .delete(&format!("/v1/admin/keys/{id}"))
            .await
            .expect(204);
        new.get("/v1/tools").await.problem(401, "unauthorized");
        let again = host.admin.delete(&format!("/v1/admin/keys/{id}")).await;
        again.expect(204);
        let rotate = host
            .admin
            .post(&format!("/v1/admin/keys/{id}/rotate"), &json!({}))
            .await;
        rotate.problem(404, "unknown-key");
    });
}

#[test]
fn what_a_key_may_use_is_changed_by_hand() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let (id, bot) = bot(&host).await;
        let call = async || bot.call("tests/echo", "run", &json!({})).await;
        for _ in 0..3 {
            call().await.expect(200);
        }
        let set = async |flags: &[&str]| {
            let whole = [&["key", "set", id.as_str()][..], flags].concat();
            soma(&host, &whole).await
        };
        let slower = set(&["--calls-per-minute", "1", "--json"]).await.exits(0);
        let slower = slower.json();
        assert_eq!(slower["calls_per_minute"], 1, "{slower}");
        assert_eq!(
            (&slower["name"], &slower["max_tokens"]),
            (&json!("bot"), &json!(7))
        );
        call().await.expect(200);
        call().await.problem(429, "rate-limited");
        let said = set(&["--no-calls-per-minute", "--max-tokens", "1.5k"]).await;
        assert!(said.exits(0).out.contains(&id));
        for _ in 0..3 {
            call().await.expect(200);
        }
        let listed = soma(&host, &["key", "list"]).await.exits(0).out;
        assert!(listed.contains("CALLS A MINUTE"), "{listed}");
        let line = listed.lines().find(|line| line.starts_with(&id)).unwrap();
        assert!(line.contains("1_500"), "{listed}");

        let records = recorded(&host).await;
        let changes: Vec<&Value> = records.iter().map(|it| &it["changes"]).collect();
        let (first, second) = (
            json!({"calls_per_minute": 1}),
            json!({"calls_per_minute": null, "max_tokens": 1500}),
        );
        assert_eq!(changes, [&second, &first]);
        assert_eq!(records[0]["id"], json!(id));

        for (flags, words) in [
            (
                &["--expires", "2020-01-01T00:00:00Z"][..],
                "--expires is in the past",
            ),
            (&["--calls-per-minute", "0"], "revoke the key instead"),
            (&["--max-tokens", "1.5"], "no whole number"),
            (&["--max-tokens", "0"], "0 tokens cannot begin"),
            (
                &["--max-tokens", "1", "--no-max-tokens"],
                "cannot be used with",
            ),
            (&[], "nothing to change"),
        ] {
            let said = set(flags).await.exits(2);
            assert!(said.err.contains(words), "{flags:?}: {}", said.err);
        }
        let none = ["key", "set", "0000000000000000", "--never-expires"];
        soma(&host, &none).await.exits(5);
        for (flag, words) in [
            ("--calls-per-minute", "0 calls a minute is none"),
            ("--max-tokens", "0 tokens cannot begin"),
        ] {
            let said = soma(&host, &["key", "create", flag, "0"]).await.exits(2);
            assert!(said.err.contains(words), "{}", said.err);
        }
        let create = ["key", "create", "--tool", "soma/jq"];
        let said = soma(&host, &create).await.exits(2);
        assert!(said.err.contains("--tool <TOOL>"), "{}", said.err);
        assert!(said.err.contains("`soma/jq` is neither"), "{}", said.err);
        assert_eq!(recorded(&host).await.len(), 2);
    });
}

#[test]
fn a_whole_key_in_the_place_of_an_id_is_shown_nowhere() {
    Setup::default().run(async |host| {
        let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
        let made = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
        let (id, whole) = (&made["id"], made["secret"].as_str().unwrap());
        let id = id.as_str().unwrap();
        let secret = whole.rsplit('_').next().unwrap();
        for arguments in [
            &["key", "set", whole, "--never-expires"][..],
            &["key", "rotate", whole],
            &["key", "revoke", whole],
            &["budget", "set", "5", "--per", "day", "--key", whole],
            &["secret", "rm", "github", "--key", whole],
            &["audit", "query", "--by", whole],
        ] {
            for json in [&["--json"][..], &[]] {
                let said = soma(&host, &[arguments, json].concat()).await.exits(2);
                let words = format!("here `{id}`");
                assert!(said.err.contains(&words), "{arguments:?}: {}", said.err);
                assert!(!said.err.contains(secret), "{arguments:?}: {}", said.err);
            }
        }
        let nobody = soma(&host, &["key", "revoke", "nobody"]).await.exits(2);
        let words = "`nobody` is no key's id";
        assert!(nobody.err.contains(words), "{}", nobody.err);

        let answer = host.admin.delete(&format!("/v1/admin/keys/{whole}")).await;
        answer.problem(404, "unknown-key");
        assert!(!answer.text.contains(secret), "{}", answer.text);
        until(async || host.log().contains(&format!("/v1/admin/keys/soma_{id}_…"))).await;
        assert!(!host.log().contains(secret), "{}", host.log());
    });
}

#[test]
fn what_is_left_out_of_a_change_stays_and_what_is_null_goes() {
    Setup::default().run(async |host| {
        let (id, bot) = bot(&host).await;
        let end = jiff::Timestamp::now() + Duration::from_secs(3600);
        let wanted = json!({"name": "robot", "expires_at": end.to_string()});
        let changed = change(&host.admin, &id, &wanted).await.expect(200);
        assert_eq!(
            (&changed["name"], &changed["max_tokens"]),
            (&json!("robot"), &json!(7))
        );
        assert!(changed["expires_at"].is_string(), "{changed}");
        assert!(changed.get("secret").is_none(), "{changed}");
        let wanted = json!({"expires_at": null, "max_tokens": null});
        let changed = change(&host.admin, &id, &wanted).await.expect(200);
        assert_eq!(
            (&changed["name"], &changed["expires_at"]),
            (&json!("robot"), &Value::Null)
        );
        assert!(changed.get("max_tokens").is_none(), "{changed}");
        let listed = host.admin.get("/v1/admin/keys").await.expect(200);
        assert!(
            listed["keys"].as_array().unwrap().contains(&changed),
            "{listed}"
        );
        bot.get("/v1/tools").await.expect(200);

        for (changes, words) in [
            (json!({}), "nothing to change"),
            (json!({"expires_at": "2020-01-01T00:00:00Z"}), "in the past"),
            (json!({"name": "a\nb"}), "no control characters"),
            (json!({"calls_per_minute": 0}), "`calls_per_minute`: "),
            (json!({"calls_per_minute": 0}), "from 1 to 4294967295"),
            (json!({"max_tokens": 1.5}), "`max_tokens`: "),
            (json!({"max_tokens": 1.5}), "expected a whole number"),
            (json!({"scopes": ["admin"]}), "unknown field"),
            (json!({"tenant": "acme"}), "unknown field"),
        ] {
            let problem = change(&host.admin, &id, &changes).await;
            let problem = problem.problem(400, "bad-request");
            assert!(
                problem["detail"].as_str().unwrap().contains(words),
                "{problem}"
            );
        }
        let own = host.admin.key().split('_').nth(1).unwrap();
        let end = json!({"expires_at": "2999-01-01T00:00:00Z"});
        change(&host.admin, own, &end)
            .await
            .problem(409, "conflict");
        let name = json!({"name": "mine"});
        change(&bot, &id, &name).await.problem(403, "forbidden");
        change(&host.admin, "none", &name)
            .await
            .problem(404, "unknown-key");
        host.admin
            .delete(&format!("/v1/admin/keys/{id}"))
            .await
            .expect(204);
        change(&host.admin, &id, &name)
            .await
            .problem(404, "unknown-key");
        assert_eq!(recorded(&host).await.len(), 2);
    });
}

#[test]
fn a_key_ends_when_it_said() {
    Setup::default().run(async |host| {
        let end = jiff::Timestamp::now() + Duration::from_secs(3);
        let wanted =
            json!({"tenant": "default", "scopes": ["invoke"], "expires_at": end.to_string()});
        let key = key(&host, wanted).await;
        key.get("/v1/tools").await.expect(200);
        // The clock itself is what ends it.
        let left = end.duration_since(jiff::Timestamp::now());
        tokio::time::sleep(left.unsigned_abs()).await;
        key.get("/v1/tools").await.problem(401, "unauthorized");
    });
}

#[test]
fn keys_that_cannot_be_made() {
    Setup::default().run(async |host| {
        for (wanted, status, code) in [
            (json!({"tenant": "none", "scopes": ["invoke"]}), 404, "unknown-tenant"),
            (json!({"tenant": "default", "scopes": []}), 400, "bad-request"),
            (json!({"tenant": "default", "scopes": ["root"]}), 400, "bad-request"),
            (json!({"tenant": "default"}), 400, "bad-request"),
            (
                json!({"tenant": "default", "scopes": ["invoke"], "expires_at": "2020-01-01T00:00:00Z"}),
                400,
                "bad-request",
            ),
            (json!({"tenant": "default", "scopes": ["invoke"], "tools": ["echo"]}), 400, "bad-request"),
            (json!({"tenant": "default", "scopes": ["invoke"], "tools": []}), 400, "bad-request"),
        ] {
            host.admin.post("/v1/admin/keys", &wanted).await.problem(status, code);
        }
        let listed = host.admin.get("/v1/admin/keys").await.expect(200);
        assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    });
}

/// Postgres refuses a NUL in a text, which is no failure of the host's.
#[test]
fn names_that_cannot_be_are_not_looked_up() {
    Setup::default().run(async |host| {
        let admin = &host.admin;
        for path in ["keys/%00", "tenants/a%00", "tenants/%1b"] {
            let answer = admin.delete(&format!("/v1/admin/{path}")).await;
            answer.problem(400, "bad-request");
        }
        let list = admin.get("/v1/admin/keys?tenant=%00").await;
        list.problem(404, "unknown-tenant");
        let wanted = json!({"tenant": "a\u{0}", "scopes": ["invoke"]});
        let made = admin.post("/v1/admin/keys", &wanted).await;
        made.problem(404, "unknown-tenant");
        let list = json!(["default", "", ["invoke"], null, null]);
        let made = admin.post("/v1/admin/keys", &list).await;
        made.problem(400, "bad-request");
    });
}

#[test]
fn the_local_keys_are_their_owners_alone() {
    Setup::default().run(async |host| {
        for file in ["keys/admin.key", "keys/invoke.key"] {
            let mode = host
                .data()
                .join(file)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        // Stored hashed: the database's file holds no secret.
        let admin = std::fs::read_to_string(host.data().join("keys/admin.key")).unwrap();
        let secret = admin.trim().rsplit('_').next().unwrap().as_bytes();
        for file in std::fs::read_dir(host.data()).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{} holds the admin key", path.display());
            }
        }
    });
}
