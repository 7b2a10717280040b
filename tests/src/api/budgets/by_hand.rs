//! `soma budget`.

use serde_json::json;

use super::{budgets, identified, set, spend};
use crate::cli::beside as soma;
use crate::harness::{Setup, until};

#[test]
fn budgets_are_set_on_the_command_line() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let (id, client) = identified(&host).await;
        let said = soma(&host, &["budget", "show"]).await.exits(0);
        assert!(said.out.contains("No budget is set"), "{}", said.out);
        let said = soma(&host, &["budget", "set", "10k", "--per", "day"]).await;
        let said = said.exits(0);
        assert!(
            said.out.contains("10_000 tokens per day, hard"),
            "{}",
            said.out
        );
        let soft = ["budget", "set", "1_000_000", "--per", "month", "--soft"];
        soma(&host, &soft).await.exits(0);
        let narrow = ["budget", "set", "2", "--per", "lifetime", "--key", &id];
        soma(&host, &narrow).await.exits(0);
        let session = [&narrow[..], &["--session", "s1", "--json"]].concat();
        let set = soma(&host, &session).await.exits(0).json();
        assert_eq!(
            (&set["level"], &set["session"]),
            (&json!("session"), &json!("s1"))
        );

        spend(&client, &[]).await;
        let of_key = async || {
            let all = budgets(&host, "default").await;
            let found = all.into_iter().find(|it| it["level"] == "key");
            found.unwrap()["used"].clone()
        };
        until(async || of_key().await == 1).await;
        let said = soma(&host, &["budget", "show"]).await.exits(0);
        let line = |part: &str| {
            let line = said.out.lines().find(|line| line.contains(part));
            line.unwrap_or_else(|| panic!("{part}: {}", said.out))
                .to_owned()
        };
        assert!(line("10_000").contains("hard"), "{}", said.out);
        assert!(line("1_000_000").contains("soft"), "{}", said.out);
        assert!(line("session s1 of key").contains("never"), "{}", said.out);
        assert!(!said.out.contains('\u{1b}'), "{}", said.out);

        let said = soma(&host, &["budget", "top"]).await.exits(0);
        let first = said.out.lines().nth(1).unwrap();
        assert!(first.starts_with(&format!("key {id}")), "{}", said.out);
        assert!(first.ends_with("█████░░░░░  50.0 %"), "{}", said.out);
        assert!(said.out.contains("LEASED"), "{}", said.out);

        // What is used stays used, and is as much as the new limit.
        let lower = ["budget", "set", "1", "--per", "lifetime", "--key", &id];
        let said = soma(&host, &lower).await.exits(0);
        let words = "1 are used already: ";
        assert!(said.err.starts_with(words), "{}", said.err);
        assert!(
            said.err.ends_with("calls are refused for good\n"),
            "{}",
            said.err
        );
        let soft = [&lower[..], &["--soft"]].concat();
        assert_eq!(soma(&host, &soft).await.exits(0).err, "");
        assert_eq!(soma(&host, &narrow).await.exits(0).err, "");
        let top = ["budget", "top", "--json"];
        let top = soma(&host, &top).await.exits(0).json();
        assert_eq!(top["budgets"][0]["key"], json!(id), "{top}");
        assert_eq!(top["budgets"].as_array().unwrap().len(), 4);

        let history = ["budget", "history", "--per", "lifetime", "--key", &id];
        let said = soma(&host, &history).await.exits(0);
        assert!(said.out.contains("USED"), "{}", said.out);
        let history = [&history[..], &["--json"]].concat();
        let history = soma(&host, &history).await.exits(0).json();
        assert_eq!(history["windows"][0]["used"], 1, "{history}");

        let rm = ["budget", "rm", "--per", "lifetime", "--key", &id];
        soma(&host, &rm).await.exits(0);
        let said = soma(&host, &rm).await.exits(5);
        assert!(said.err.contains("soma budget show"), "{}", said.err);
        assert_eq!(budgets(&host, "default").await.len(), 3);
        let no_key = "0000000000000000";
        let nobody = ["budget", "history", "--per", "day", "--key", no_key];
        let said = soma(&host, &nobody).await.exits(5);
        assert!(said.err.contains("there is no key"), "{}", said.err);
    });
}

#[test]
fn the_first_ten_of_many() {
    Setup::default().run(async |host| {
        let (id, _) = identified(&host).await;
        for span in ["minute", "day", "month", "lifetime"] {
            let mut wanted = json!({"tenant": "default", "span": span, "tokens": 9, "hard": true});
            set(&host, wanted.clone()).await;
            wanted["key"] = json!(id);
            set(&host, wanted.clone()).await;
            wanted["session"] = json!("s1");
            set(&host, wanted).await;
        }
        for (arguments, many) in [
            (&["budget", "top", "--json"][..], 10),
            (&["budget", "top", "--all", "--json"], 12),
        ] {
            let top = soma(&host, arguments).await.exits(0).json();
            assert_eq!(top["budgets"].as_array().unwrap().len(), many);
        }
        let said = soma(&host, &["budget", "top"]).await.exits(0);
        assert!(said.err.contains("2 more"), "{}", said.err);
    });
}

#[test]
fn what_cannot_be_set_by_hand() {
    Setup::default().run(async |host| {
        for (arguments, code) in [
            (&["set", "many", "--per", "day"][..], 2),
            (&["set", "1"], 2),
            (&["set", "1", "--per", "week"], 2),
            (&["set", "1", "--per", "day", "--session", "s1"], 2),
            (&["set", "1", "--per", "day", "--key", "none"], 2),
            (
                &["set", "1", "--per", "day", "--key", "0000000000000000"],
                5,
            ),
            (&["rm", "--per", "day", "--key", ""], 2),
            (&["set", "1", "--per", "day", "--tenant", "none"], 5),
            (&["show", "--tenant", "none"], 5),
            (&["rm", "--per", "day"], 5),
        ] {
            let whole = [&["budget"][..], arguments].concat();
            soma(&host, &whole).await.exits(code);
        }
    });
}
