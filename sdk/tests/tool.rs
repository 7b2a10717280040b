//! What `#[tool]` makes of functions: names, schemas, calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use soma_sdk::{Error, Output, Tool, http, testing, tool};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Book {
    /// As on the cover.
    title: String,
    year: Option<u16>,
}

mod shelf {
    use super::*;

    fn ten() -> u8 {
        10
    }

    /// Finds books.
    ///
    ///   All words must occur.
    #[tool(title = "Find books", read_only, idempotent, open_world)]
    pub(crate) fn find(
        /// What to look for.
        words: Vec<String>,
        /// At most this many.
        #[serde(default = "ten")]
        #[schemars(range(min = 1, max = 100))]
        mut limit: u8,
        r#type: Option<String>,
    ) -> Result<Vec<Book>, Error> {
        limit += u8::from(r#type.is_some());
        Ok(words
            .into_iter()
            .take(limit.into())
            .map(|title| Book { title, year: None })
            .collect())
    }
}

/// Takes nothing and gives nothing.
#[tool(name = "no-op", destructive)]
fn no_op() -> Result<(), http::Error> {
    Ok(())
}

/// Shows a book.
#[tool]
fn show(book: Book) -> Result<Output<Book>, Error> {
    let text = format!("# {}", book.title);
    Ok(Output::new(book).with_text(text))
}

/// Says it.
#[tool]
fn say(what: Value) -> Result<Output, std::fmt::Error> {
    Ok(Output::text(what.to_string()))
}

/// Fetches a page and fails as that fails.
#[tool]
fn fetch(url: String) -> Result<String, Error> {
    Ok(http::get(url).send()?.error_for_status()?.text())
}

soma_sdk::capsule![shelf::find, no_op, show, say, fetch];

#[test]
fn the_function_describes_the_tool() {
    use shelf::find;
    assert_eq!(find::NAME, "find");
    assert_eq!(find::TITLE, Some("Find books"));
    assert_eq!(find::DESCRIPTION, "Finds books.\n\n  All words must occur.");
    let claims = soma_sdk::Annotations {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: true,
    };
    assert_eq!(find::ANNOTATIONS, claims);
    assert_eq!(
        find::input_schema(),
        json!({
            "type": "object",
            "properties": {
                "words": {"description": "What to look for.", "type": "array", "items": {"type": "string"}},
                "limit": {"description": "At most this many.", "type": "integer", "format": "uint8",
                          "minimum": 1, "maximum": 100, "default": 10},
                "type": {"type": ["string", "null"]}
            },
            "required": ["words"],
            "additionalProperties": false
        })
    );
    assert_eq!(
        find::output_schema(),
        Some(json!({
            "type": "array",
            "items": {"$ref": "#/$defs/Book"},
            "$defs": {"Book": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "description": "As on the cover."},
                    "year": {"type": ["integer", "null"], "format": "uint16", "minimum": 0, "maximum": 65535}
                },
                "required": ["title", "year"]
            }}
        }))
    );
}

#[test]
fn a_tool_without_parameters_takes_an_empty_object() {
    assert_eq!(no_op::NAME, "no-op");
    assert_eq!(
        no_op::input_schema(),
        json!({"type": "object", "properties": {}, "additionalProperties": false})
    );
    assert_eq!(
        testing::call::<no_op>(&json!({})).unwrap().structured,
        Some(Value::Null)
    );
    assert!(testing::call::<no_op>(&json!({"a": 1})).is_err());
}

#[test]
fn input_is_read_into_the_parameters() {
    use shelf::find;
    let answer = testing::call::<find>(&json!({"words": ["a", "b"], "limit": 1})).unwrap();
    assert_eq!(
        answer.structured,
        Some(json!([{"title": "a", "year": null}]))
    );
    let defaulted = testing::call::<find>(&json!({"words": ["a", "b"]})).unwrap();
    assert_eq!(defaulted.structured.unwrap().as_array().unwrap().len(), 2);
    for bad in [
        json!({}),
        json!({"words": "a"}),
        json!({"words": [], "more": 1}),
        json!([]),
    ] {
        let error = testing::call::<find>(&bad).unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{bad}: {error}");
    }
}

#[test]
fn output_has_data_and_content() {
    let answer = testing::call::<show>(&json!({"book": {"title": "Emma", "year": 1815}})).unwrap();
    assert_eq!(
        answer.structured,
        Some(json!({"title": "Emma", "year": 1815}))
    );
    assert_eq!(answer.content, [soma_sdk::Content::Text("# Emma".into())]);
    assert_eq!(say::output_schema(), None);
    assert_eq!(
        testing::call::<say>(&json!({"what": [1]}))
            .unwrap()
            .structured,
        None
    );
}

#[test]
fn a_failed_exchange_is_the_error_that_fits() {
    let _net = testing::Http::new().on_get("https://a.test/", testing::reply(401));
    let error = testing::call::<fetch>(&json!({"url": "https://a.test/"})).unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
    let error = fetch("https://b.test/".into()).unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
}
