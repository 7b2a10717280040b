//! What `covers` promises, tried on many random pairs; and the whole read and written.

use serde_json::json;

use super::{Capabilities, HttpCapability, PathTemplate};

/// xorshift64: the same choices on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn some<'a>(&mut self, choices: &[&'a str]) -> Vec<&'a str> {
        let mut chosen: Vec<&str> = choices
            .iter()
            .filter(|_| self.below(3) == 0)
            .copied()
            .collect();
        if chosen.is_empty() {
            chosen.push(self.of(choices));
        }
        chosen
    }

    fn template(&mut self) -> String {
        let mut text = String::new();
        for at in 0..self.below(4) {
            let segment = self.of(&["a", "b", "{}", "{:encoded}"]);
            text = format!("{text}/{}", segment.replace('{', &format!("{{p{at}")));
        }
        let ends: &[&str] = if text.is_empty() {
            &["/", "/**"]
        } else {
            &["", "/", "/**"]
        };
        text + self.of(ends)
    }

    fn http(&mut self) -> HttpCapability {
        let mut paths: Vec<String> = (0..=self.below(2)).map(|_| self.template()).collect();
        paths.dedup();
        let mut value = json!({
            "origin": self.of(&["https://*.e.org", "https://a.e.org", "http://a.e.org", "https://a.e.org:1"]),
            "methods": self.some(&["GET", "POST", "PUT"]),
            "paths": paths,
            "why": "Random.",
        });
        if self.below(3) == 0 {
            value["operations"] = self.some(&["query a", "query *", "mutation a"]).into();
        }
        if self.below(3) == 0 {
            value["credential"] = self.of(&["one", "two"]).into();
        }
        serde_json::from_value(value).unwrap()
    }
}

/// Every path of one to five of these segments, with `/` at its end and without.
fn paths() -> Vec<String> {
    let mut all = vec!["/".to_owned()];
    let mut longest = vec![String::new()];
    for _ in 0..5 {
        longest = longest
            .iter()
            .flat_map(|path| ["a", "b", "c", "a%2Fb"].map(|segment| format!("{path}/{segment}")))
            .collect();
        all.extend(
            longest
                .iter()
                .flat_map(|path| [path.clone(), format!("{path}/")]),
        );
    }
    all
}

/// Sound: where one covers the other, no path shows the contrary. And on these templates exact:
/// where it does not, a path shows that.
#[test]
fn a_template_matches_what_it_covers() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let paths = paths();
    let (mut covered, mut not_covered) = (0, 0);
    for _ in 0..1_000 {
        let wide: PathTemplate = random.template().parse().unwrap();
        let narrow: PathTemplate = random.template().parse().unwrap();
        let outside = |path: &&String| narrow.matches(path) && !wide.matches(path);
        match paths.iter().find(outside) {
            Some(path) => assert!(!wide.covers(&narrow), "{wide} {narrow} {path}"),
            None => assert!(wide.covers(&narrow), "{wide} {narrow}"),
        }
        covered += usize::from(wide.covers(&narrow));
        not_covered += usize::from(!wide.covers(&narrow));
    }
    assert!(covered > 50 && not_covered > 50, "{covered} {not_covered}");
}

#[test]
fn capabilities_match_what_they_cover() {
    let mut random = Random(0xdead_beef_cafe_f00d);
    let paths = paths();
    let hosts = ["a.e.org", "b.e.org", "e.org", "a.b.e.org"];
    let (mut covered, mut matched) = (0, 0);
    for _ in 0..20_000 {
        let mine = Capabilities {
            http: (0..=random.below(3)).map(|_| random.http()).collect(),
            ..Capabilities::default()
        };
        let narrow = random.http();
        let theirs = Capabilities {
            http: vec![narrow.clone()],
            ..Capabilities::default()
        };
        let alone = mine.http.iter().any(|wide| wide.covers(&narrow));
        assert!(!alone || mine.covers(&theirs));
        if !mine.covers(&theirs) {
            continue;
        }
        covered += 1;
        for _ in 0..1_000 {
            let (method, scheme) = (
                random.of(&["GET", "POST", "PUT"]),
                random.of(&["https", "http"]),
            );
            let (host, port) = (random.of(&hosts), [443, 80, 1][random.below(3)]);
            let path = &paths[random.below(100)];
            let operations = [random.of(&["query a", "query b", "mutation a"])];
            let operations = operations.map(|text| text.parse().unwrap());
            let matches = |http: &HttpCapability| {
                http.matches(method, scheme, host, port, path) && http.allows(&operations)
            };
            if !matches(&narrow) {
                continue;
            }
            matched += 1;
            let with_credential = mine.http.iter().any(|wide| {
                matches(wide)
                    && (narrow.credential.is_none() || wide.credential == narrow.credential)
            });
            assert!(with_credential, "{mine:?} {narrow} {path}");
        }
    }
    assert!(covered > 200 && matched > 500, "{covered} {matched}");
}

#[test]
fn is_read_written_and_put_into_words() {
    let value = json!({
        "http": [{
            "origin": "https://api.github.com",
            "methods": ["GET", "POST"],
            "paths": ["/repos/{owner}/{repo}/issues/**", "/user"],
            "credential": "github",
            "why": "Reads and files issues.",
        }, {
            "origin": "https://api.github.com",
            "methods": ["POST"],
            "paths": ["/graphql"],
            "operations": ["query viewer", "mutation addStar"],
            "why": "Stars.",
        }, {
            "origin": "https://api.github.com",
            "methods": ["POST"],
            "paths": ["/graphql"],
            "credential": "github",
            "why": "Whatever.",
        }],
        "kv": {"quota-kib": 64},
        "config": [{"key": "region", "why": "Where to look."}],
        "tools": [{"capsule": "soma/jq", "tools": ["jq"]}, {"capsule": "soma/web"}],
    });
    let asked: Capabilities = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&asked).unwrap(), value);
    let sentences: Vec<String> = asked.sentences().into_iter().map(|s| s.asks).collect();
    assert_eq!(
        sentences,
        [
            "may send GET and POST requests to https://api.github.com/repos/{owner}/{repo}/issues/** and /user, with the credential `github`",
            "may send POST requests to https://api.github.com/graphql, for query viewer and mutation addStar alone",
            "may send POST requests to https://api.github.com/graphql, for every operation, with the credential `github`",
            "may keep up to 64 KiB of data from call to call",
            "may read the setting `region`",
            "may call the tool jq of soma/jq",
            "may call every tool of soma/web",
        ]
    );
    assert!(!asked.is_empty());
    assert_eq!(
        serde_json::to_string(&Capabilities::default()).unwrap(),
        "{}"
    );
}

#[test]
fn more_of_anything_is_not_covered() {
    let asked = |value| serde_json::from_value::<Capabilities>(value).unwrap();
    let base = asked(json!({
        "kv": {"quota-kib": 64},
        "config": [{"key": "region", "why": "One."}],
        "tools": [{"capsule": "soma/jq", "tools": ["jq"]}],
    }));
    assert!(base.covers(&Capabilities::default()));
    assert!(base.covers(&asked(
        json!({"config": [{"key": "region", "why": "Other."}]})
    )));
    for more in [
        json!({"kv": {"quota-kib": 65}}),
        json!({"config": [{"key": "zone", "why": "One."}]}),
        json!({"tools": [{"capsule": "soma/jq"}]}),
        json!({"tools": [{"capsule": "soma/jq", "tools": ["jq", "other"]}]}),
        json!({"tools": [{"capsule": "soma/web", "tools": ["jq"]}]}),
    ] {
        assert!(!base.covers(&asked(more.clone())), "{more}");
        assert!(!Capabilities::default().covers(&asked(more)));
    }
}

#[test]
fn refuses_what_is_not_well_formed() {
    let http = |change: fn(&mut serde_json::Value)| {
        let mut entry = json!({"origin": "https://a.example", "methods": ["GET"], "paths": ["/"], "why": "One."});
        change(&mut entry);
        json!({"http": [entry]})
    };
    let tool = json!({"capsule": "soma/jq"});
    for (value, part) in [
        (json!({"htpp": []}), "unknown field `htpp`"),
        (json!({"http": []}), "0 entries for `http`; 1 to 32"),
        (http(|e| e["path"] = "/".into()), "unknown field `path`"),
        (http(|e| e["methods"] = json!([])), "0 methods; 1 to 16"),
        (
            http(|e| e["methods"] = json!(["GET", "GET"])),
            "`GET` is there twice",
        ),
        (
            http(|e| e["methods"] = json!(["TRACE"])),
            "no capsule may send it",
        ),
        (
            http(|e| e["paths"] = json!(vec!["/"; 33])),
            "33 paths; 1 to 32",
        ),
        (
            http(|e| e["credential"] = "GitHub".into()),
            "`GitHub` is not a name",
        ),
        (
            http(|e| e["operations"] = json!([])),
            "0 operations; 1 to 128",
        ),
        (
            http(|e| e["operations"] = json!(["query a", "GetItem"])),
            "either GraphQL's or AWS's",
        ),
        (
            http(|e| e["operations"] = json!(["query a", "query a"])),
            "`query a` is there twice",
        ),
        (
            http(|e| e["operations"] = json!(["query a b"])),
            "`query a b` is no operation",
        ),
        (http(|e| e["why"] = " ".into()), "the reason is empty"),
        (
            http(|e| e["why"] = "a\nb".into()),
            "the reason has the control character U+000A",
        ),
        (
            http(|e| e["why"] = "ö".repeat(201).into()),
            "the reason has 201 characters; at most 200",
        ),
        (json!({"kv": {"quota-kib": 0}}), "between 1 and 1048576"),
        (
            json!({"config": [{"key": "a_b", "why": "One."}]}),
            "`a_b` is not a name",
        ),
        (json!({"tools": [tool, tool]}), "`soma/jq` is there twice"),
        (
            json!({"tools": [{"capsule": "soma/jq", "tools": []}]}),
            "0 tools; 1 to 64",
        ),
        (
            json!({"tools": [{"capsule": "soma/jq", "tools": ["a b"]}]}),
            "cannot name a tool",
        ),
    ] {
        let message = serde_json::from_value::<Capabilities>(value)
            .unwrap_err()
            .to_string();
        assert!(message.contains(part), "{message}");
    }
}
