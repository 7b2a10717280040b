//! `/v1/admin/budgets` and `/v1/usage`: what may be spent, what was, and what a call may cost at most.

mod by_hand;
mod crash;
mod usage;

use std::time::Instant;

use serde_json::{Value, json};

use super::{key, tenant};
use crate::cli::beside as soma;
use crate::harness::{Client, Setup, TestHost, Upstream, pack_guest, until};

const BUDGETS: &str = "/v1/admin/budgets";

/// Sets a budget, which must go well.
async fn set(host: &TestHost, wanted: Value) -> Value {
    host.admin.put(BUDGETS, &wanted).await.expect(200)
}

async fn budgets(host: &TestHost, tenant: &str) -> Vec<Value> {
    let list = host.admin.get(&format!("{BUDGETS}?tenant={tenant}")).await;
    list.expect(200)["budgets"].as_array().unwrap().clone()
}

/// A key of the default tenant that may call, and its id.
async fn identified(host: &TestHost) -> (String, Client) {
    let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
    let key = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
    let client = host.admin.with_key(key["secret"].as_str().unwrap());
    (key["id"].as_str().unwrap().to_owned(), client)
}

/// Spends one token.
async fn spend(client: &Client, headers: &[(&str, &str)]) {
    let answer = client
        .call_with("echo", &json!({}), headers)
        .await
        .expect(200);
    assert_eq!(answer["usage"]["tokens"], 1, "{answer}");
}

/// A call is refused for want of tokens at this level.
async fn is_refused(client: &Client, headers: &[(&str, &str)], level: &str) {
    let answer = client.call_with("echo", &json!({}), headers).await;
    let problem = answer.problem(402, "budget-exhausted");
    assert_eq!(problem["level"], level, "{problem}");
    assert!(problem.get("usage").is_none(), "nothing ran: {problem}");
}

#[test]
fn a_hard_budget_refuses_before_anything_runs() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["echo"]).await;
        let before = upstream.requests();
        for (name, span, status, code) in [
            ("once", "lifetime", 402, "budget-exhausted"),
            ("monthly", "month", 429, "budget-refilling"),
        ] {
            let client = tenant(&host, name).await;
            for guest in ["echo", "http"] {
                client.install(pack_guest(guest).bytes()).await.expect(201);
            }
            let wanted = json!({"tenant": name, "span": span, "tokens": 3, "hard": true});
            let budget = set(&host, wanted).await;
            assert_eq!(budget["level"], "tenant");
            assert_eq!(
                (&budget["tokens"], &budget["hard"]),
                (&json!(3), &json!(true))
            );
            for _ in 0..3 {
                spend(&client, &[]).await;
            }
            let input = json!({"url": upstream.url("/hello")});
            let answer = client.call_with("http", &input, &[]).await;
            let problem = answer.problem(status, code);
            assert_eq!(problem["level"], "tenant", "{problem}");
            assert_eq!(problem["span"], span, "{problem}");
            assert_eq!(problem["limit"], 3, "{problem}");
            assert_eq!(problem["left"], 0, "{problem}");
            assert!(problem["wanted"].as_u64().unwrap() > 0, "{problem}");
            let begins_anew = status == 429;
            assert_eq!(problem["refills_at"].is_string(), begins_anew, "{problem}");
            assert_eq!(problem["retry_after_ms"].is_u64(), begins_anew, "{problem}");
            assert_eq!(!answer.header("retry-after").is_empty(), begins_anew);
            assert_eq!(upstream.requests(), before);

            // Others are not bounded by it; more is enough, and none bounds nothing.
            spend(&host.invoke, &[]).await;
            let more = json!({"tenant": name, "span": span, "tokens": 4, "hard": true});
            set(&host, more).await;
            spend(&client, &[]).await;
            let again = client.call_with("echo", &json!({}), &[]).await;
            again.problem(status, code);
            let path = format!("{BUDGETS}?tenant={name}&span={span}");
            host.admin.delete(&path).await.expect(204);
            spend(&client, &[]).await;
            let gone = host.admin.delete(&path).await;
            gone.problem(404, "unknown-budget");
        }
    });
}

#[test]
fn a_soft_budget_counts() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let soft = json!({"tenant": "default", "span": "day", "tokens": 1, "hard": false});
        set(&host, soft).await;
        for _ in 0..3 {
            spend(&host.invoke, &[]).await;
        }
        until(async || budgets(&host, "default").await[0]["used"] == 3).await;
        let budget = &budgets(&host, "default").await[0];
        assert_eq!(
            (&budget["left"], &budget["hard"]),
            (&json!(0), &json!(false))
        );
        let path = format!("{BUDGETS}/history?tenant=default&span=day");
        let history = host.admin.get(&path).await.expect(200);
        assert_eq!(history["windows"][0]["used"], 3, "{history}");
        assert!(history["windows"][0]["starts_at"].is_string(), "{history}");
    });
}

#[test]
fn budgets_nest() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let (id, client) = identified(&host).await;
        let (_, other) = identified(&host).await;
        let mut wanted =
            json!({"tenant": "default", "span": "lifetime", "tokens": 5, "hard": true});
        set(&host, wanted.clone()).await;
        wanted["key"] = json!(id);
        wanted["tokens"] = json!(2);
        set(&host, wanted.clone()).await;
        wanted["session"] = json!("s1");
        wanted["tokens"] = json!(1);
        set(&host, wanted).await;
        let all = budgets(&host, "default").await;
        let levels: Vec<&str> = all.iter().map(|it| it["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["tenant", "key", "session"]);
        assert_eq!(
            (&all[2]["key"], &all[2]["session"]),
            (&json!(id), &json!("s1"))
        );

        let in_session = [("soma-session", "s1")];
        spend(&client, &in_session).await;
        is_refused(&client, &in_session, "session").await;
        spend(&client, &[]).await;
        is_refused(&client, &[], "key").await;
        // Whoever is bounded by less is not let in by more.
        let rich = [("soma-session", "s2"), ("soma-session-tokens", "1000")];
        is_refused(&client, &rich, "key").await;
        for _ in 0..3 {
            spend(&other, &[]).await;
        }
        is_refused(&other, &[], "tenant").await;
    });
}

#[test]
fn who_set_a_budget_is_on_record_beside_whose_it_is() {
    Setup::default().run(async |host| {
        let (id, _) = identified(&host).await;
        let wanted = json!({"tenant": "default", "key": id, "span": "day", "tokens": 5});
        set(&host, wanted).await;
        let path = format!("{BUDGETS}?tenant=default&key={id}&span=day");
        host.admin.delete(&path).await.expect(204);
        let made = host.admin.get("/v1/admin/audit?kind=key-created").await;
        let by = made.expect(200)["records"][0]["key"].clone();
        for kind in ["budget-set", "budget-removed"] {
            let found = host
                .admin
                .get(&format!("/v1/admin/audit?kind={kind}"))
                .await;
            let record = found.expect(200)["records"][0].clone();
            assert_eq!(record["key"], by, "{record}");
            assert_eq!(record["budget"]["key"], json!(id), "{record}");
            assert_eq!(record["budget"]["span"], "day", "{record}");
            let said = soma(&host, &["audit", "query", "--kind", kind])
                .await
                .exits(0);
            let words = match kind {
                "budget-set" => format!("default, key {id}: 5 tokens per day, hard"),
                _ => format!("default, key {id}: per day"),
            };
            assert!(said.out.contains(&words), "{}", said.out);
        }
    });
}

#[test]
fn how_full_budgets_are_is_told_of_hard_and_of_soft_ones() {
    Setup::default().run(async |host| {
        for (span, hard) in [("day", true), ("month", false)] {
            set(
                &host,
                json!({"tenant": "default", "span": span, "tokens": 5, "hard": hard}),
            )
            .await;
        }
        let metrics = host.admin.get("/metrics").await.text;
        for (kind, span) in [("hard", "day"), ("soft", "month")] {
            let sample = format!(
                "soma_budget_used_ratio{{kind=\"{kind}\",level=\"tenant\",span=\"{span}\",\
                 tenant=\"default\"}} 0\n"
            );
            assert!(metrics.contains(&sample), "{sample}: {metrics}");
        }
    });
}

#[test]
fn a_session_only_narrows() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let poor = [("soma-session", "s1"), ("soma-session-tokens", "2")];
        for _ in 0..2 {
            spend(&host.invoke, &poor).await;
        }
        is_refused(&host.invoke, &poor, "session").await;
        // Saying more than at first makes it no more.
        let richer = [("soma-session", "s1"), ("soma-session-tokens", "1000")];
        is_refused(&host.invoke, &richer, "session").await;
        is_refused(&host.invoke, &[("soma-session", "s1")], "session").await;
        // Another session, and another key's of the same name, are others.
        spend(&host.invoke, &[("soma-session", "s2")]).await;
        let (_, other) = identified(&host).await;
        spend(&other, &poor).await;
        spend(&host.invoke, &[]).await;
    });
}

/// The call ends with all that it was allowed to cost spent, to the hundredth.
async fn runs_out(host: &TestHost, guest: &str, input: &Value, most: u64) {
    let text = most.to_string();
    let headers = [("soma-max-tokens", text.as_str())];
    let answer = host.invoke.call_with(guest, input, &headers).await;
    let problem = answer.problem(424, "out-of-tokens");
    let tokens = problem["usage"]["tokens"].as_u64().unwrap();
    assert!(tokens * 100 >= most * 99, "{problem}");
    assert!(tokens * 100 <= most * 101, "{problem}");
    let detail = format!("the call ran out of its {most} tokens");
    assert_eq!(problem["detail"], detail, "{problem}");
}

#[test]
fn a_call_that_never_fits_is_told_so() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let monthly = json!({"tenant": "default", "span": "month", "tokens": 3, "hard": true});
        set(&host, monthly).await;
        let five = [("soma-max-tokens", "5")];
        let answer = host.invoke.call_with("echo", &json!({}), &five).await;
        let problem = answer.problem(402, "budget-exhausted");
        let detail = problem["detail"].as_str().unwrap();
        let words = "more than the budget ever has: ask for fewer with Soma-Max-Tokens";
        assert!(detail.ends_with(words), "{detail}");

        let echo = ["call", "tests/echo", "run", "{}", "--max-tokens"];
        let with = async |tokens: &str| soma(&host, &[&echo[..], &[tokens]].concat()).await;
        let said = with("5").await.exits(4).err;
        assert!(said.contains("`--max-tokens N` asks for fewer"), "{said}");
        assert!(!said.contains("soma budget"), "{said}");
        assert!(!said.contains("Soma-Max-Tokens"), "{said}");
        with("3").await.exits(0);
        let said = with("3").await.exits(7).err;
        assert!(said.contains("it begins anew at 2"), "{said}");
        assert!(!said.contains("ever has"), "{said}");
    });
}

#[test]
fn a_call_costs_at_most_what_its_caller_says() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "spin", "host_call_flood"])
            .await;
        runs_out(&host, "spin", &json!({}), 100).await;
        runs_out(&host, "host_call_flood", &json!({}), 20).await;
        spend(&host.invoke, &[("soma-max-tokens", "1")]).await;
        for bad in ["many", "-1", "1.5", ""] {
            let headers = [("soma-max-tokens", bad)];
            let answer = host.invoke.call_with("echo", &json!({}), &headers).await;
            answer.problem(400, "bad-request");
        }

        let spin = ["call", "tests/spin", "run", "--max-tokens", "10"];
        let said = soma(&host, &spin).await.exits(1).err;
        assert!(
            said.starts_with("error: the call ran out of its 10 tokens"),
            "{said}"
        );
        assert!(said.contains("--max-tokens"), "{said}");
        let spin = [&spin[..], &["--usage"]].concat();
        let said = soma(&host, &spin).await.exits(1).err;
        let mut lines = said.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("call "), "{said}");
        assert!(first.contains(": used 10 tokens, "), "{said}");
        assert!(lines.next().unwrap().starts_with("error: "), "{said}");
        let spin = [&spin[..], &["--json"]].concat();
        let error = soma(&host, &spin).await.exits(1).json_error();
        assert_eq!(error["data"]["usage"]["tokens"], 10, "{error}");
        let echo = ["call", "tests/echo", "run", "--max-tokens", "1k", "--usage"];
        let said = soma(&host, &echo).await.exits(0);
        assert!(said.err.contains("used 1 tokens, "), "{}", said.err);
        for (flag, value) in [
            ("--max-tokens", "many"),
            ("--max-tokens", "0"),
            ("--session-tokens", "5"),
        ] {
            let bad = ["call", "tests/echo", "run", "{}", flag, value];
            soma(&host, &bad).await.exits(2);
        }
        let session = ["--session", "s1", "--session-tokens", "1"];
        let echo = [&["call", "tests/echo", "run", "{}"][..], &session].concat();
        soma(&host, &echo).await.exits(0);
        let said = soma(&host, &echo).await.exits(4);
        assert!(said.err.contains("whoever administers"), "{}", said.err);
    });
}

#[test]
fn no_call_is_of_no_tokens() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let none = [("soma-max-tokens", "0")];
        let refused = async || {
            let answer = host.invoke.call_with("echo", &json!({}), &none).await;
            let problem = answer.problem(400, "bad-request");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.ends_with("a call of 0 tokens cannot begin"),
                "{detail}"
            );
        };
        refused().await;
        // Where nothing is left, nothing of it could be held.
        let nothing = json!({"tenant": "default", "span": "month", "tokens": 0});
        set(&host, nothing).await;
        refused().await;
        let one = [("soma-max-tokens", "1")];
        let answer = host.invoke.call_with("echo", &json!({}), &one).await;
        answer.problem(402, "budget-exhausted");
    });
}

#[test]
fn a_call_costs_at_most_what_its_key_says() {
    Setup::default().run(async |host| {
        host.install_guests(&["spin"]).await;
        let wanted = json!({"tenant": "default", "scopes": ["invoke"], "max_tokens": 7});
        let bounded = key(&host, wanted).await;
        for (headers, most) in [
            (&[("soma-max-tokens", "3")][..], 3),
            (&[("soma-max-tokens", "100")], 7),
            (&[], 7),
        ] {
            let answer = bounded.call_with("spin", &json!({}), headers).await;
            let problem = answer.problem(424, "out-of-tokens");
            let detail = format!("the call ran out of its {most} tokens");
            assert_eq!(problem["detail"], detail, "{problem}");
        }
    });
}

#[test]
fn waiting_costs() {
    let upstream = Upstream::start();
    let setup = Setup::default().allow(&upstream).waits();
    setup.run(async |host| {
        host.install_guests(&["http"]).await;
        let before = upstream.requests();
        let begin = Instant::now();
        let input = json!({"url": upstream.url("/never")});
        // More than one: a begun token is a whole one, whatever is charged.
        runs_out(&host, "http", &input, 3).await;
        let took = begin.elapsed().as_millis();
        assert!((2_000..20_000).contains(&took), "{took} ms for 3 tokens");
        assert_eq!(upstream.requests(), before + 1);
    });
}

#[test]
fn a_revoked_key_gets_no_budget_and_keeps_what_it_had() {
    Setup::default().run(async |host| {
        let (id, _) = identified(&host).await;
        let wanted = json!({"tenant": "default", "key": id, "span": "day", "tokens": 5});
        set(&host, wanted.clone()).await;
        let revoked = host.admin.delete(&format!("/v1/admin/keys/{id}")).await;
        revoked.expect(204);
        let refused = host.admin.put(BUDGETS, &wanted).await;
        let problem = refused.problem(404, "unknown-key");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with("that is not revoked"), "{detail}");
        let which = format!("tenant=default&key={id}&span=day");
        let history = host.admin.get(&format!("{BUDGETS}/history?{which}")).await;
        history.expect(200);
        let removed = host.admin.delete(&format!("{BUDGETS}?{which}")).await;
        removed.expect(204);
        // An empty key is not the whole tenant.
        let of_all = json!({"tenant": "default", "span": "day", "tokens": 5});
        set(&host, of_all).await;
        let empty = format!("{BUDGETS}?tenant=default&key=&span=day");
        host.admin.delete(&empty).await.problem(404, "unknown-key");
        assert_eq!(budgets(&host, "default").await.len(), 1);
    });
}

#[test]
fn budgets_that_cannot_be_set() {
    Setup::default().run(async |host| {
        let budget = |key: Value, session: Value, span: &str, tokens: Value| {
            let mut wanted =
                json!({"tenant": "default", "span": span, "tokens": tokens, "hard": true});
            for (name, value) in [("key", key), ("session", session)] {
                if !value.is_null() {
                    wanted[name] = value;
                }
            }
            wanted
        };
        let none = Value::Null;
        for (wanted, status, code) in [
            (
                budget(none.clone(), none.clone(), "day", json!("many")),
                400,
                "bad-request",
            ),
            (
                budget(none.clone(), none.clone(), "day", json!(-1)),
                400,
                "bad-request",
            ),
            (
                budget(none.clone(), none.clone(), "day", json!(1.5)),
                400,
                "bad-request",
            ),
            (
                budget(none.clone(), none.clone(), "week", json!(1)),
                400,
                "bad-request",
            ),
            (
                budget(none.clone(), json!("s1"), "day", json!(1)),
                400,
                "bad-request",
            ),
            (
                budget(json!("none"), none.clone(), "day", json!(1)),
                404,
                "unknown-key",
            ),
            (
                json!({"tenant": "none", "span": "day", "tokens": 1, "hard": true}),
                404,
                "unknown-tenant",
            ),
        ] {
            let answer = host.admin.put(BUDGETS, &wanted).await;
            answer.problem(status, code);
        }
        let acme = tenant(&host, "acme").await;
        let (id, _) = identified(&host).await;
        for key in ["none", "", "0000000000000000"] {
            let which = format!("tenant=default&key={key}&span=day");
            let history = host.admin.get(&format!("{BUDGETS}/history?{which}")).await;
            history.problem(404, "unknown-key");
            let removed = host.admin.delete(&format!("{BUDGETS}?{which}")).await;
            removed.problem(404, "unknown-key");
        }
        let others = json!({"tenant": "acme", "key": id, "span": "day", "tokens": 1, "hard": true});
        let answer = host.admin.put(BUDGETS, &others).await;
        answer.problem(404, "unknown-key");
        let path = format!("{BUDGETS}?tenant=default&span=day");
        host.admin
            .delete(&path)
            .await
            .problem(404, "unknown-budget");
        for tenant in ["default", "acme"] {
            assert_eq!(budgets(&host, tenant).await, Vec::<Value>::new());
        }
        let list = acme.get(&format!("{BUDGETS}?tenant=acme")).await;
        list.problem(403, "forbidden");
        let own = json!({"tenant": "acme", "span": "day", "tokens": 1, "hard": true});
        acme.put(BUDGETS, &own).await.problem(403, "forbidden");
        let admin = key(&host, json!({"tenant": "default", "scopes": ["admin"]})).await;
        admin.put(BUDGETS, &own).await.expect(200);
    });
}
