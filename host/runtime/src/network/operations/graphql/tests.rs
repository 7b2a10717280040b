//! Requests of every form that servers take, and such as are made to be read in two ways.

use http::Method;
use serde_json::{Value, json};
use soma_capability::Protocol;

use super::super::{Unread, read_texts};

fn sent(
    method: &Method,
    url: &str,
    fields: &[(&'static str, &str)],
    body: &str,
) -> Result<String, Unread> {
    read_texts(Protocol::Graphql, method, url, fields, body)
}

const JSON: (&str, &str) = ("content-type", "application/json");
const URL: &str = "https://a.test/graphql";

fn post(body: &str) -> Result<String, Unread> {
    sent(&Method::POST, URL, &[JSON], body)
}

fn document(text: &str) -> Result<String, Unread> {
    post(&json!({"query": text}).to_string())
}

fn get(parameters: &[(&str, &str)]) -> Result<String, Unread> {
    let url = url::Url::parse_with_params(URL, parameters).unwrap();
    sent(&Method::GET, url.as_str(), &[], "")
}

fn is_malformed(read: &Result<String, Unread>) -> bool {
    matches!(read, Err(Unread::Malformed(_)))
}

#[test]
fn root_fields_by_their_own_names() {
    for (text, found) in [
        ("{ issues { id } }", "query issues"),
        (
            "query Q($a: [Int!] = [1]) @d(x: {y: \"}\"}) { issues(first: $a) { id } }",
            "query issues",
        ),
        (
            "mutation { issueCreate(input: {title: \"{ x }\"}) { id } }",
            "mutation issueCreate",
        ),
        ("subscription S { added }", "subscription added"),
        // A string may have several lines where it says so, and an empty one may end one.
        ("{ a(x: \"\"\"\nb\"\"\", y: \"\"\n) }", "query a"),
        // An alias hides nothing, and neither do directives.
        ("{ issues: issueDelete(id: 1) { id } }", "query issueDelete"),
        (
            "mutation { a: x @skip(if: true) b: y @include(if: false) }",
            "mutation x, mutation y",
        ),
        (
            "{ ... on Query { a } ... { b } ... @include(if: true) { c } }",
            "query a, query b, query c",
        ),
        (
            "{ ...F } fragment F on Query { ...G x } fragment G on Query { y }",
            "query x, query y",
        ),
        (
            "mutation { ...F } { ...F } fragment F on T { x }",
            "query x, mutation x",
        ),
        ("{ a { ...F } } fragment F on T { hidden }", "query a"),
        ("{ ...F a } fragment F on Query { ...F }", "query a"),
        // Whichever the server is told to take.
        ("query A { a } mutation B { b }", "query a, mutation b"),
        ("{ a # } mutation { b }\n c }", "query a, query c"),
        ("{ a # } mutation { b }\r c }", "query a, query c"),
        (
            "{ a(s: \"\"\" } mutation { b } \\\"\"\" \"\"\") c }",
            "query a, query c",
        ),
        ("{ a(s: \"\\\" } mutation { b }\") }", "query a"),
        (
            "{ query, mutation, fragment, on, __schema { x } }",
            "query __schema, query fragment, query mutation, query on, query query",
        ),
    ] {
        assert_eq!(document(text).as_deref(), Ok(found), "{text}");
    }
}

#[test]
fn every_way_to_send_it() {
    let body = json!({
        "query": "query A { a }", "operationName": "A", "variables": {"query": [{"query": 1}]},
        "extensions": {"clientLibrary": {"name": "x"}},
    });
    assert_eq!(post(&body.to_string()).unwrap(), "query a");
    assert_eq!(
        post(r#"{"qu\u0065ry": "{ a }", "variables": null}"#).unwrap(),
        "query a"
    );
    let batch = json!([{"query": "{ a }"}, {"query": "mutation { b }"}]);
    assert_eq!(post(&batch.to_string()).unwrap(), "query a, mutation b");
    let utf8 = ("content-type", "Application/JSON; Charset=UTF-8");
    assert_eq!(
        sent(&Method::POST, URL, &[utf8], r#"{"query": "{ a }"}"#).unwrap(),
        "query a"
    );
    let text = ("content-type", "application/graphql");
    assert_eq!(
        sent(&Method::POST, URL, &[text], "mutation { b }").unwrap(),
        "mutation b"
    );
    let parameters = [
        ("query", "mutation M { b(x: \"a+b&c\") }"),
        ("operationName", "M"),
        ("variables", "{}"),
    ];
    assert_eq!(get(&parameters).unwrap(), "mutation b");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for body in [
        "",
        "null",
        "[]",
        "[[]]",
        r#"["{ a }"]"#,
        r#"[["{ a }"]]"#,
        r#""{ a }""#,
        "{}",
        r#"{"query": null}"#,
        r#"{"query": ["{ a }"]}"#,
        r#"{"query": "{ a }", "query": "mutation { b }"}"#,
        r#"{"query": "{ a }", "qu\u0065ry": "mutation { b }"}"#,
        r#"{"query": "{ a }", "variables": {}, "variables": {}}"#,
        r#"{"query": "{ a }", "Query": "mutation { b }"}"#,
        r#"{"query": "{ a }", "id": "b"}"#,
        r#"{"query": "{ a }", "documentId": "b"}"#,
        r#"{"query": "{ a }", "extensions": []}"#,
        r#"{"query": "{ a }"} {"query": "mutation { b }"}"#,
        r#"{"query": "{ a }"}x"#,
        r#"{"query": "{ a \ud800 }"}"#,
        "\u{feff}{\"query\": \"{ a }\"}",
        r#"[{"query": "{ a }"}, {"query": "mutation {"}]"#,
    ] {
        assert!(is_malformed(&post(body)), "{body}: {:?}", post(body));
    }
    let body = r#"{"query": "{ a }"}"#;
    let refused = |method, url: &str, fields: &[_], body: &str| {
        let read = sent(method, url, fields, body);
        assert!(is_malformed(&read), "{url} {fields:?} {body}: {read:?}");
    };
    let query = format!("{URL}?query=mutation%7Bb%7D");
    refused(&Method::POST, &query, &[JSON], body);
    refused(&Method::POST, &format!("{URL}?id=b"), &[JSON], body);
    for fields in [
        &[][..],
        &[JSON, JSON],
        &[JSON, ("content-encoding", "gzip")],
        &[JSON, ("content-encoding", "identity")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/json, text/plain")],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "text/plain")],
    ] {
        refused(&Method::POST, URL, fields, body);
    }
    refused(&Method::PUT, URL, &[JSON], body);
    refused(&Method::HEAD, &query, &[], "");
    refused(&Method::GET, &query, &[JSON], body);
    refused(&Method::GET, URL, &[], "");
    for more in [
        ("query", "mutation{b}"),
        ("Query", "x"),
        ("query[]", "x"),
        ("id", "b"),
        ("extensions", "x"),
    ] {
        let read = get(&[("query", "{a}"), more]);
        assert!(is_malformed(&read), "{more:?}: {read:?}");
    }
    refused(
        &Method::GET,
        &format!("{URL}?x=1;query=mutation%7Bb%7D&query=%7Ba%7D"),
        &[],
        "",
    );
    refused(
        &Method::GET,
        &format!("{URL}?query=%7Ba%23%85b%7D"),
        &[],
        "",
    );
}

#[test]
fn documents_that_are_none_are_refused() {
    let deep =
        |open: &str, close: &str| format!("{{ a{}{} }}", open.repeat(5_000), close.repeat(5_000));
    let long = format!("{{ {} }}", "a ".repeat(30_000));
    let many: String = (0..300).map(|n| format!("a{n} ")).collect();
    for text in [
        "",
        " ",
        "# nothing",
        "{}",
        "{ a",
        "{ a } }",
        "{ a } x",
        "a }",
        "query { a } type T { x: Int }",
        "extend type Query { b: Int } { a }",
        "fragment F on Query { a }",
        "{ ...F }",
        "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
        "{ ...F } fragment F on Query { a } fragment F on Query { b }",
        "query @ { a }",
        "{ a(x: \"unclosed) }",
        "{ a(x: \"\n\") }",
        "{ a(x: \"\r\") }",
        "{ a(x: \"\nb\") }",
        "{ a(x: \"b\nc\") }",
        "{ a(x: \"b\\\nc\") }",
        "{ a(x: \"\"\"unclosed\") }",
        "quеry { a }",
        "{ a #\u{2028} }\n b }",
        "{ a #\u{85} }\n b }",
        "{ a\u{0} b }",
        "{ a\u{feff}b }",
        "{ ä }",
        "{ a. }",
        "{ .. F }",
        &deep("{ a ", "}"),
        &deep("(x: [", "])"),
        &deep("(x: {y: ", "})"),
        &format!("query($x: {}) {{ a }}", "[".repeat(5_000)),
        &format!("{{ a(x: {}) }}", "[".repeat(5_000)),
        &format!("{{ {} }}", "a ".repeat(300_000)),
        &long,
        &format!("{{ {many} }}"),
        &format!("{{ {} }}", "x".repeat(200)),
    ] {
        let read = document(text);
        let short: String = text.chars().take(60).collect();
        assert!(is_malformed(&read), "{short}: {read:?}");
    }
    // The bound on tokens is of all documents together.
    let one = json!({"query": format!("{{ {} }}", "a ".repeat(5_000))});
    assert!(post(&json!([one]).to_string()).is_ok());
    assert!(is_malformed(&post(&json!([one, one, one]).to_string())));
}

#[test]
fn what_only_the_server_knows_is_unseen() {
    let unseen =
        |read: Result<String, Unread>| assert!(matches!(read, Err(Unread::Unseen(_))), "{read:?}");
    let by_hash = json!({"persistedQuery": {"version": 1, "sha256Hash": "0".repeat(64)}});
    unseen(post(&json!({"extensions": by_hash}).to_string()));
    // Some servers look for the hash first, and then the text is not what they run.
    unseen(post(
        &json!({"query": "{ a }", "extensions": by_hash}).to_string(),
    ));
    unseen(post(
        &json!([{"query": "{ a }"}, {"extensions": by_hash}]).to_string(),
    ));
    unseen(get(&[("extensions", &by_hash.to_string())]));
    let twice =
        r#"{"query": "{ a }", "extensions": {"persistedQuery": {}, "persistedQuery": null}}"#;
    unseen(post(twice));
}

/// xorshift64: the same choices on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Pieces of documents in any order: nothing panics, takes long, or is read as less than it is.
#[test]
fn pieces_in_any_order_are_read_or_refused() {
    const PIECES: [&str; 34] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "!",
        "$",
        "@",
        "...",
        "=",
        "|",
        "&",
        ",",
        " ",
        "\n",
        "\r",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        "a",
        "b1",
        "on",
        "query",
        "mutation",
        "subscription",
        "fragment",
        "F",
        "type",
        "1.5e3",
        "\"s\"",
        "ü",
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut read = 0;
    for _ in 0..30_000 {
        let length = random.below(24);
        let text: String = (0..length)
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        read += usize::from(document(&text).is_ok());
        let wrapped = format!("mutation {{ first {{ x }} {text} }}");
        if let Ok(found) = document(&wrapped) {
            assert!(found.contains("mutation first"), "{wrapped}: {found}");
            read += 1;
        }
    }
    assert!(read > 50, "{read}");
}

/// What a random document has is known, because it was made of that.
#[test]
fn nothing_of_a_document_is_overlooked() {
    let mut random = Random(0xdead_beef_cafe_f00d);
    for _ in 0..3_000 {
        let mut expected = std::collections::BTreeSet::new();
        let (mut text, mut fragments) = (String::new(), String::new());
        for operation in 0..=random.below(3) {
            let kind = ["query", "mutation", "subscription"][random.below(3)];
            text += &format!("{kind} O{operation} {{ ");
            for field in 0..=random.below(4) {
                let name = format!("f{}", random.below(6));
                expected.insert(format!("{kind} {name}"));
                text += &match random.below(5) {
                    0 => format!("{name} "),
                    1 => format!("alias: {name}(x: \"}} # {{\") {{ inner ... on T {{ deep }} }} "),
                    2 => format!("... on Root {{ {name} }} # }}\n"),
                    3 => format!("... @skip(if: true) {{ ... {{ {name}, }} }} "),
                    _ => {
                        let fragment = format!("F{operation}x{field}");
                        fragments +=
                            &format!("fragment {fragment} on Root {{ {name} {{ inner }} }} ");
                        format!("...{fragment} ")
                    }
                };
            }
            text += "} ";
        }
        let whole = format!("{text}{fragments}");
        let found = document(&whole).unwrap();
        let found: std::collections::BTreeSet<String> =
            found.split(", ").map(str::to_owned).collect();
        assert_eq!(found, expected, "{whole}");
        let as_value: Value = json!([{"query": whole}]);
        assert!(post(&as_value.to_string()).is_ok());
    }
}
