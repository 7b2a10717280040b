//! Filters as people write them.
#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` by value reads better in a table of cases"
)]

use serde_json::{Value, json};
use soma_sdk::{Error, testing};

use super::jq;

fn run(input: Value) -> Result<Value, Error> {
    testing::call::<jq>(&input).map(|answer| answer.structured.unwrap())
}

fn outputs(filter: &str, input: Value) -> Value {
    run(json!({"filter": filter, "input": input})).unwrap()
}

fn refusal(filter: &str, input: Value) -> String {
    match run(json!({"filter": filter, "input": input})).unwrap_err() {
        Error::InvalidInput(message) => message,
        other => panic!("{filter}: {other:?}"),
    }
}

#[test]
fn picks_groups_and_counts() {
    let people = json!([
        {"name": "Ada", "city": "London", "born": 1815},
        {"name": "Grace", "city": "New York", "born": 1906},
        {"name": "Alan", "city": "London", "born": 1912}
    ]);
    assert_eq!(
        outputs(".[] | select(.born > 1900) | .name", people.clone()),
        json!(["Grace", "Alan"])
    );
    assert_eq!(
        outputs(
            "group_by(.city) | map({city: .[0].city, n: length})",
            people.clone()
        ),
        json!([[{"city": "London", "n": 2}, {"city": "New York", "n": 1}]])
    );
    assert_eq!(
        outputs("map(.born) | add / length | floor", people),
        json!([1877])
    );
}

#[test]
fn gives_all_outputs_or_none() {
    assert_eq!(outputs("empty", json!(1)), json!([]));
    assert_eq!(outputs(".., 1", json!([2])), json!([[2], 2, 1]));
    assert_eq!(outputs("1, halt, 2", json!(null)), json!([1]));
}

#[test]
fn numbers_keep_their_digits() {
    let big: Value = serde_json::from_str("12345678901234567").unwrap();
    assert_eq!(outputs(". * 10 + 1", big), json!([123456789012345671u64]));
    let text = r#"{"filter": ".", "input": 123456789012345678901234567890}"#;
    let reply = <jq as soma_sdk::Tool>::call(text).unwrap();
    assert_eq!(
        reply.structured.as_deref(),
        Some("[123456789012345678901234567890]")
    );
    assert_eq!(
        outputs("nan, 1.5, 3.0", json!(null)),
        json!([null, 1.5, 3.0])
    );
    assert_eq!(outputs("infinite", json!(null)), json!([f64::MAX]));
}

#[test]
fn the_standard_library_is_there() {
    assert_eq!(outputs("test(\"^a+$\")", json!("aaa")), json!([true]));
    assert_eq!(outputs("pow(2; 10), sqrt", json!(9)), json!([1024.0, 3.0]));
    assert_eq!(outputs("now > 1700000000", json!(null)), json!([true]));
    assert_eq!(
        outputs("@base64, @uri, @json, @html", json!("a <b")),
        json!(["YSA8Yg==", "a%20%3Cb", "\"a <b\"", "a &lt;b"])
    );
    assert_eq!(
        outputs("fromdate", json!("2015-03-05T23:51:47Z")),
        json!([1425599507])
    );
    assert_eq!(
        outputs("ltrimstr(\"a\") | ascii_upcase", json!("abc")),
        json!(["BC"])
    );
    assert_eq!(
        outputs("[limit(3; repeat(1))]", json!(null)),
        json!([[1, 1, 1]])
    );
    assert_eq!(
        outputs("to_entries", json!({"a": 1})),
        json!([[{"key": "a", "value": 1}]])
    );
    assert_eq!(
        outputs("$ENV, env, ($ARGS | keys)", json!(null))[0],
        json!({})
    );
}

#[test]
fn rows_of_tables() {
    let row = json!(["a \"b\"\t\\c", 1.5, null, true]);
    assert_eq!(
        outputs("@csv", row.clone()),
        json!(["\"a \"\"b\"\"\t\\c\",1.5,,true"])
    );
    assert_eq!(
        outputs("@tsv", row),
        json!(["a \"b\"\\t\\\\c\t1.5\t\ttrue"])
    );
    assert_eq!(
        refusal("@csv", json!({})),
        "the filter failed: object cannot be written as CSV, only an array can"
    );
    assert!(refusal("@tsv", json!([[1]])).contains("array cannot be part of a row of TSV"));
}

#[test]
fn reads_inputs_and_arguments() {
    let sum = json!({"filter": "[., inputs] | add + $more", "input": 1, "inputs": [2, 3], "args": {"more": 10}});
    assert_eq!(run(sum).unwrap(), json!([16]));
    let each = json!({"filter": ". + 1", "input": 1, "inputs": [2, 3]});
    assert_eq!(run(each).unwrap(), json!([2, 3, 4]));
    assert_eq!(run(json!({"filter": "."})).unwrap(), json!([null]));
    let named = json!({"filter": "$ARGS.named", "args": {"a": [1]}});
    assert_eq!(run(named).unwrap(), json!([{"a": [1]}]));
}

#[test]
fn a_wrong_filter_is_refused_with_its_place() {
    for (filter, message) in [
        (
            ".a |\n  @",
            "line 2, column 4: expected identifier, found the end",
        ),
        (
            "{a: 1",
            "line 1, column 6: expected closing brace, found the end",
        ),
        (
            "if . then 1",
            "line 1, column 12: expected else or end, found the end",
        ),
        (
            ". | foo(1)",
            "line 1, column 5: no filter is called `foo/1`",
        ),
        ("\"ä\" | $x", "line 1, column 7: no variable is called `$x`"),
        (
            "include \"a\"; .",
            "line 1, column 10: cannot load `a`: module loading not supported",
        ),
        ("", "line 1, column 1: expected term, found the end"),
    ] {
        let expected = format!("the filter is wrong: {message}");
        assert_eq!(refusal(filter, json!(null)), expected);
    }
}

#[test]
fn a_failing_filter_says_why() {
    assert_eq!(
        refusal(".a", json!([1])),
        "the filter failed: cannot index [1] with \"a\""
    );
    assert_eq!(
        refusal("1, 2, error(\"no\")", json!(null)),
        "the filter failed after 2 outputs: no"
    );
    assert!(refusal("error(\"x\" * 10000)", json!(null)).len() < 600);
    assert!(refusal("{(1): 2}", json!(null)).contains("key"));
    assert!(
        refusal(
            "[limit(600; repeat(1))] | reduce .[] as $x (0; [.])",
            json!(null)
        )
        .contains("deeper")
    );
    let name = run(json!({"filter": ".", "args": {"a-b": 1}})).unwrap_err();
    assert!(matches!(name, Error::InvalidInput(_)), "{name}");
}
