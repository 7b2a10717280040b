//! What calls took, summed up.

use serde_json::{Value, json};

use super::{identified, spend};
use crate::cli::beside as soma;
use crate::harness::{Client, Setup, until};

#[test]
fn usage_is_summed_up() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "spin"]).await;
        let (id, client) = identified(&host).await;
        for _ in 0..2 {
            spend(&client, &[]).await;
        }
        let most = [("soma-max-tokens", "5")];
        let stopped = client.call_with("spin", &json!({}), &most).await;
        stopped.problem(424, "out-of-tokens");

        let usage = async |client: &Client, query: &str| {
            let answer = client.get(&format!("/v1/usage{query}")).await.expect(200);
            let lines = answer["usage"].as_array().unwrap().clone();
            (answer, lines)
        };
        let by = "?by=day,capsule,tool,key";
        until(async || usage(&client, by).await.1.len() == 2).await;
        let (answer, lines) = usage(&client, by).await;
        let of = |capsule: &str| {
            let line = lines.iter().find(|line| line["capsule"] == capsule);
            line.unwrap_or_else(|| panic!("{capsule}: {answer}"))
        };
        let (echo, spin) = (of("tests/echo"), of("tests/spin"));
        for line in [echo, spin] {
            assert_eq!((&line["tool"], &line["key"]), (&json!("run"), &json!(id)));
            assert_eq!(line["day"], answer["to"]);
            assert_eq!(line["prices"].as_str().unwrap().len(), 12, "{line}");
            let engine = line["engine"].as_str().unwrap();
            assert!(engine.starts_with("wasmtime "), "{line}");
        }
        let counted = |line: &Value| ["calls", "failed", "tokens"].map(|it| line[it].as_u64());
        assert_eq!(counted(echo), [2, 0, 2].map(Some));
        assert_eq!(counted(spin), [1, 1, 5].map(Some));
        assert!(spin["fuel"].as_u64().unwrap() > 4_000_000, "{spin}");

        let (_, lines) = usage(&client, "?by=key").await;
        assert_eq!(counted(&lines[0]), [3, 1, 7].map(Some));
        assert!(lines[0].get("capsule").is_none(), "{}", lines[0]);
        let (_, lines) = usage(&client, "").await;
        assert!(lines[0].get("capsule").is_some(), "{}", lines[0]);
        assert!(lines[0].get("day").is_none(), "{}", lines[0]);
        let (_, past) = usage(&client, "?from=2020-01-01&to=2020-01-31").await;
        assert_eq!(past, Vec::<Value>::new());

        // A key is shown its own calls, and an administrator all of the tenant's.
        let (_, others) = usage(&host.invoke, by).await;
        assert_eq!(others, Vec::<Value>::new());
        let (_, others) = usage(&host.admin, by).await;
        assert_eq!(others, Vec::<Value>::new());
        let (_, lines) = usage(&host.admin, "?tenant=default&by=key").await;
        assert_eq!(lines[0]["key"], json!(id));
        let refused = client.get("/v1/usage?tenant=default").await;
        refused.problem(403, "forbidden");
        for bad in ["by=week", "from=2026-13-01", "to=today"] {
            let answer = client.get(&format!("/v1/usage?{bad}")).await;
            answer.problem(400, "bad-request");
        }
    });
}

#[test]
fn usage_on_the_command_line() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "compute"]).await;
        let computed = host
            .invoke
            .call_with("compute", &json!({"n": 1}), &[])
            .await;
        computed.expect(200);
        spend(&host.invoke, &[]).await;
        let lines = async |arguments: &[&str]| {
            let said = soma(&host, arguments).await.exits(0).json();
            said["usage"].as_array().unwrap().len()
        };
        until(async || lines(&["usage", "--json"]).await == 2).await;
        let all = ["usage", "--tenant", "default", "--by", "day,key", "--json"];
        assert_eq!(lines(&all).await, 1);
        let past = ["usage", "--from", "2020-01-01", "--to", "2020-01-31"];
        let said = soma(&host, &past).await.exits(0);
        assert!(said.out.contains("No call"), "{}", said.out);

        let said = soma(&host, &["usage"]).await.exits(0);
        for part in ["CAPSULE", "tests/echo", "tests/compute", "total"] {
            assert!(said.out.contains(part), "{part}: {}", said.out);
        }
        let csv = ["usage", "--csv", "--by", "capsule,tool"];
        let said = soma(&host, &csv).await.exits(0);
        let lines: Vec<&str> = said.out.split_terminator("\r\n").collect();
        assert_eq!(
            lines[0],
            "capsule,tool,calls,failed,tokens,fuel,time_ms,sent_bytes,received_bytes,prices,engine"
        );
        assert_eq!(lines.len(), 3, "{}", said.out);
        let echo = lines.iter().find(|it| it.starts_with("tests/echo,"));
        let echo = echo.unwrap_or_else(|| panic!("{}", said.out));
        assert!(echo.starts_with("tests/echo,run,1,0,1,"), "{echo}");
        assert_eq!(echo.split(',').count(), 11);

        // Without a last day it is today, and without a first one the month's first.
        let from = ["usage", "--from", "2020-01-01", "--json"];
        let from = soma(&host, &from).await.exits(0).json();
        assert_eq!(from["from"], "2020-01-01");
        assert!(!from["usage"].as_array().unwrap().is_empty(), "{from}");
        let to = ["usage", "--to", "2020-01-31", "--json"];
        let to = soma(&host, &to).await.exits(0).json();
        assert_eq!(to["from"], "2020-01-01");
        let far = soma(&host, &["usage", "--from", "9000-01-01"])
            .await
            .exits(2);
        assert!(
            far.err.contains("--from 9000-01-01 comes after"),
            "{}",
            far.err
        );
        assert!(
            far.err.contains("today, which is the last day"),
            "{}",
            far.err
        );

        for bad in [
            &["usage", "--from", "2026-13-01"][..],
            &["usage", "--to", "today"],
            &["usage", "--from", "2026-11-02", "--to", "2026-11-01"],
            &["usage", "--by", "week"],
            &["usage", "--by", "day,key,day"],
            &["usage", "--csv", "--json"],
        ] {
            soma(&host, bad).await.exits(2);
        }
    });
}
