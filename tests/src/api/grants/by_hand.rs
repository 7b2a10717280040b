//! `soma grant`.

use super::{ask, asking, install_asking};
use crate::cli::beside as soma;
use crate::harness::{Setup, Upstream, pack_with};

#[test]
fn an_operator_grants_by_the_command_line() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install_asking(&host, "http", &upstream).await;
        let hello = upstream.url("/hello");
        // Nobody is there to be asked, so what it asks for is said.
        let file = host.data().join("http.wasm");
        std::fs::write(&file, pack_with("http", &asking(&upstream)).bytes()).unwrap();
        let said = soma(&host, &["install", file.to_str().unwrap()]).await;
        let said = said.exits(0);
        assert!(said.err.contains("may send GET and PUT"), "{}", said.err);
        assert!(
            said.err.contains("grant set tests/http --all"),
            "{}",
            said.err
        );
        let shown = soma(&host, &["grant", "show", "tests/http"])
            .await
            .exits(0)
            .out;
        assert!(shown.contains("may send GET and PUT requests"), "{shown}");
        assert!(shown.contains("its author: \"A test.\""), "{shown}");
        let requests = format!("GET {hello}");
        let set = ["grant", "set", "tests/http", "--http", &requests];
        let said = soma(&host, &set).await.exits(2);
        assert!(said.err.contains("--yes"), "{}", said.err);
        let said = soma(&host, &[&set[..], &["--yes"]].concat()).await.exits(0);
        assert!(said.out.contains(&requests), "{}", said.out);
        assert_eq!(ask(&host, "http", "GET", &hello).await, 200);
        let diff = soma(&host, &["grant", "diff", "tests/http"])
            .await
            .exits(0)
            .out;
        assert!(diff.contains("asked, and not granted at all"), "{diff}");
        let part = format!("GET of GET,PUT {hello}");
        assert!(diff.contains(&part), "{diff}");
        let vain = [
            "grant",
            "set",
            "tests/http",
            "--http",
            "GET https://a.test/",
            "--yes",
        ];
        let said = soma(&host, &vain).await.exits(0);
        assert!(said.err.contains("without effect"), "{}", said.err);
        // What goes is said, by whichever way it goes.
        for line in [format!("- {requests}").as_str(), "+ GET https://a.test/"] {
            assert!(said.err.contains(line), "{}", said.err);
        }
        let diff = soma(&host, &["grant", "diff", "tests/http"]).await.exits(0);
        let vain = "granted without effect, since it is not asked\n  GET https://a.test/";
        assert!(diff.out.contains(vain), "{}", diff.out);
        let all = ["grant", "set", "tests/http", "--all", "--yes"];
        let end = ["--expires", "2099-01-01T00:00:00Z"];
        let said = soma(&host, &[&all[..], &end].concat()).await.exits(0);
        for line in ["- GET https://a.test/", "- without an end", "+ until 2099"] {
            assert!(said.err.contains(line), "{}", said.err);
        }
        let said = soma(&host, &all).await.exits(0);
        assert!(said.err.contains("- until 2099"), "{}", said.err);
        assert!(said.err.contains("+ without an end"), "{}", said.err);
        let said = soma(&host, &all).await.exits(0);
        assert_eq!(said.err, "", "nothing goes");
        let diff = soma(&host, &["grant", "diff", "tests/http"])
            .await
            .exits(0)
            .out;
        assert!(diff.contains("Exactly what is asked"), "{diff}");
        let file = host.data().join("grant.toml");
        let text = format!(
            "[[http]]\norigin = \"{}\"\nmethods = [\"GET\"]\npaths = [\"/echo\"]\n",
            upstream.origin()
        );
        std::fs::write(&file, text).unwrap();
        let set = [
            "grant",
            "set",
            "tests/http",
            "--file",
            file.to_str().unwrap(),
            "--yes",
        ];
        soma(&host, &set).await.exits(0);
        assert_eq!(ask(&host, "http", "GET", &hello).await, "denied");
        assert_eq!(ask(&host, "http", "GET", &upstream.url("/echo")).await, 200);
        let said = soma(&host, &["uninstall", "tests/http"]).await.exits(2);
        assert!(said.err.contains("ends: 1 entry"), "{}", said.err);
        let file = file.to_str().unwrap();
        let tls = [&set[..3], &["--http", &requests, "--ca", file]].concat();
        let said = soma(&host, &tls).await.exits(2);
        assert!(said.err.contains("every --http"), "{}", said.err);
        let said = soma(&host, &[&set[..3], &["--file", "/dev/zero"]].concat()).await;
        assert!(said.exits(2).err.contains("no regular file"));
        let learn = ["grant", "learn", "tests/http", "--for", "10x"];
        let said = soma(&host, &learn).await.exits(2);
        assert!(said.err.contains("90s, 10m or 2h30m"), "{}", said.err);
        soma(&host, &["grant", "revoke", "tests/http"])
            .await
            .exits(0);
        soma(&host, &["grant", "revoke", "tests/http"])
            .await
            .exits(5);
        soma(&host, &["grant", "show", "tests/none"]).await.exits(5);
        for wrong in ["GET", "get https://a/", "GET https://A/", "GET https://a/{"] {
            soma(&host, &["grant", "set", "tests/http", "--http", wrong])
                .await
                .exits(2);
        }
        soma(&host, &["grant", "set", "tests/http", "--yes"])
            .await
            .exits(2);
    });
}
