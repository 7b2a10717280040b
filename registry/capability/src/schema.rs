//! How the types that are written as one text look in an OpenAPI document.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{CapsuleName, Digest, Name};

const PART: &str = "[a-z][a-z0-9]*(-[a-z0-9]+)*";

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        text("A namespace or an account.", "acme", format!("^{PART}$"))
    }
}

impl PartialSchema for CapsuleName {
    fn schema() -> RefOr<Schema> {
        let pattern = format!("^{PART}/{PART}$");
        text("Namespace and name.", "acme/weather", pattern)
    }
}

impl PartialSchema for Digest {
    fn schema() -> RefOr<Schema> {
        let example = Self::of(b"").to_string();
        text("A sha256.", &example, "^sha256:[0-9a-f]{64}$".to_owned())
    }
}

impl ToSchema for Name {}
impl ToSchema for CapsuleName {}
impl ToSchema for Digest {}

fn text(description: &str, example: &str, pattern: String) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .examples([example])
        .into()
}
