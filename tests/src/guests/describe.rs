//! Guests whose `describe` misbehaves. It runs when a capsule is built, by whoever builds it.

use soma_capability::Tool;
use soma_runtime::{Compiler, DescribeError};

use crate::harness::{Setup, component, pack_guest, soma};

fn describe(guest: &str) -> Result<Vec<Tool>, DescribeError> {
    let compiler = Compiler::new(soma(), ["compile-component".into()]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(soma_runtime::describe(&component(guest), &compiler))
}

#[test]
fn an_honest_one() {
    let tools = describe("echo").unwrap();
    assert_eq!(tools.len(), 1);
    assert_eq!(
        (tools[0].name.as_str(), &tools[0].input_schema["type"]),
        ("run", &"object".into())
    );
}

#[test]
pub(super) fn describe_loop() {
    let error = describe("describe_loop").unwrap_err();
    assert!(error.to_string().contains("fuel"), "{error}");
}

#[test]
pub(super) fn describe_trap() {
    let error = describe("describe_trap").unwrap_err();
    assert!(error.to_string().contains("trapped"), "{error}");
}

/// What it learns is fixed, so it says the same every time, and reaches nothing.
#[test]
pub(super) fn describe_lies() {
    let tools = describe("describe_lies").unwrap();
    assert_eq!(describe("describe_lies").unwrap(), tools);
    assert!(
        tools[0].description.contains("Denied"),
        "{}",
        tools[0].description
    );

    // What clients see is the stored copy; `call` is what it is.
    Setup::default().run(async |host| {
        host.install_guests(&["describe_lies"]).await;
        let listed = host.invoke.get("/v1/tools").await.expect(200);
        assert_eq!(listed["tools"][0]["description"], "A guest of the tests.");
        let answer = host.call("describe_lies", &serde_json::json!({})).await;
        answer.problem(422, "tool-not-found");
    });
}

#[test]
pub(super) fn wrong_world() {
    let error = describe("wrong_world").unwrap_err();
    assert!(
        error.to_string().contains("soma:capsule/tools@0.1.0"),
        "{error}"
    );
    Setup::default().run(async |host| {
        let answer = host.admin.install(pack_guest("wrong_world").bytes()).await;
        let problem = answer.problem(422, "invalid-capsule");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("soma:capsule/tools"),
            "{problem}"
        );
        super::answers_the_next_call(&host).await;
    });
}
