//! Settings: what a capsule asks to be told, and what its operator says.

use reqwest::Method;
use serde_json::{Value, json};

use super::grants::{asking, grant, of, path};
use crate::cli::beside as soma;
use crate::harness::{Setup, Upstream, pack_with, send};

pub(crate) const SETTINGS: &str = "[[capabilities.config]]\nkey = \"region\"\nwhy = \"Where.\"\n\
                        [[capabilities.config]]\nkey = \"units\"\nwhy = \"Which.\"\n";

#[test]
fn settings_are_set_on_the_command_line() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let lines = format!("{}{SETTINGS}", asking(&upstream));
        host.install(&pack_with("settings", &lines)).await;
        let name = "tests/settings";
        let said = soma(&host, &["config", "list", name]).await.exits(0);
        assert!(
            said.out.contains("region") && said.out.contains("Where."),
            "{}",
            said.out
        );
        soma(&host, &["grant", "set", name, "--all", "--yes"])
            .await
            .exits(0);
        let said = soma(&host, &["grant", "diff", name]).await.exits(0);
        assert!(said.out.contains("setting `units`"), "{}", said.out);
        let set = ["config", "set", name, "region=eu-1", "units=metric"];
        soma(&host, &set).await.exits(0);
        let said = soma(&host, &["config", "set", name, "zone=1"])
            .await
            .exits(5);
        assert!(
            said.err.contains("it asks for `region`, `units`"),
            "{}",
            said.err
        );
        soma(&host, &["config", "set", name, "zone"]).await.exits(2);
        let said = soma(&host, &["grant", "show", name]).await.exits(0);
        assert!(said.out.contains("setting `region`: eu-1"), "{}", said.out);
        assert!(
            said.out.contains("/items/{id}"),
            "requests are granted still: {}",
            said.out
        );
        // Granting other requests leaves settings as they are.
        let less = format!("GET {}/hello", upstream.origin());
        soma(&host, &["grant", "set", name, "--http", &less, "--yes"])
            .await
            .exits(0);
        soma(&host, &["config", "unset", name, "units"])
            .await
            .exits(0);
        soma(&host, &["config", "unset", name, "units"])
            .await
            .exits(5);
        let input = json!({"keys": ["region", "units"]});
        let answer = host.call("settings", &input).await.structured();
        assert_eq!(answer, json!({"region": "eu-1", "units": null}));
        let said = soma(&host, &["grant", "show", name, "--json"])
            .await
            .exits(0)
            .json();
        assert_eq!(
            said["granted"]["grant"]["http"][0]["paths"],
            json!(["/hello"])
        );
    });
}

#[test]
fn a_change_of_what_was_read_is_made_to_nothing_else() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let lines = format!("{}{SETTINGS}", asking(&upstream));
        host.install(&pack_with("settings", &lines)).await;
        let path = path("settings");
        let there = async || host.admin.get(&path).await.expect(200)["revision"].clone();
        let put = async |replaces: &Value, region: &str| {
            let wanted = json!({"grant": {"config": {"region": region}}, "replaces": replaces});
            send(host.admin.request(Method::PUT, &path).json(&wanted)).await
        };
        assert_eq!(there().await, Value::Null);
        put(&json!("some"), "a").await.problem(409, "conflict");
        put(&Value::Null, "b").await.expect(200);
        put(&Value::Null, "c").await.problem(409, "conflict");
        let first = there().await;
        put(&first, "d").await.expect(200);
        put(&first, "e").await.problem(409, "conflict");
        // What was taken back meanwhile does not come back.
        let second = there().await;
        host.admin.delete(&path).await.expect(204);
        put(&second, "f").await.problem(409, "conflict");
        let answer = host.call("settings", &json!({"keys": ["region"]})).await;
        assert_eq!(answer.structured(), json!({"region": null}));
        // Of eight who found nothing there, one was first.
        let regions = ["1", "2", "3", "4", "5", "6", "7", "8"];
        let all = regions.map(|region| put(&Value::Null, region));
        let all = futures::future::join_all(all).await;
        let made = all.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(made, 1);
        // Whoever does not say replaces whatever is there.
        grant(&host, "settings", &of(&upstream, &["GET"], &["/hello"]))
            .await
            .expect(200);
    });
}

#[test]
fn a_file_of_requests_leaves_settings_as_they_are() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let lines = format!("{}{SETTINGS}", asking(&upstream));
        host.install(&pack_with("settings", &lines)).await;
        let name = "tests/settings";
        soma(&host, &["config", "set", name, "region=eu-1"])
            .await
            .exits(0);
        let file = host.data().join("grant.toml");
        let requests = format!(
            "[[http]]\norigin = \"{}\"\nmethods = [\"GET\"]\npaths = [\"/hello\"]\n",
            upstream.origin()
        );
        let set = [
            "grant",
            "set",
            name,
            "--yes",
            "--file",
            file.to_str().unwrap(),
        ];
        for (more, region) in [("", "eu-1"), ("[config]\nregion = \"us-2\"\n", "us-2")] {
            std::fs::write(&file, format!("{requests}{more}")).unwrap();
            soma(&host, &set).await.exits(0);
            let answer = host.call("settings", &json!({"keys": ["region"]})).await;
            assert_eq!(answer.structured(), json!({"region": region}));
        }
    });
}
