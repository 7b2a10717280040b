//! What a tool gives back: any serialisable value, or an [`Output`] with content for models and
//! people.
//!
//! ```
//! use soma_sdk::{Error, Output, tool};
//!
//! /// Draws a red dot.
//! #[tool(read_only)]
//! fn dot() -> Result<Output, Error> {
//!     let svg = r#"<svg xmlns="http://www.w3.org/2000/svg"><circle r="9" fill="red"/></svg>"#;
//!     Ok(Output::text("A red dot.").with_image("image/svg+xml", svg))
//! }
//! assert_eq!(dot().unwrap().content.len(), 2);
//! ```
//!
//! ```
//! # use soma_sdk::{Error, Output, serde, schemars, tool};
//! #[derive(Debug, serde::Serialize, schemars::JsonSchema)]
//! struct Page {
//!     title: String,
//! }
//!
//! /// Structured data for programs, and the same as text for models.
//! #[tool]
//! fn page(number: u32) -> Result<Output<Page>, Error> {
//!     if number != 1 {
//!         return Err(Error::not_found(format!("there is no page {number}")));
//!     }
//!     Ok(Output::new(Page { title: "One".into() }).with_text("# One"))
//! }
//! assert!(page(2).is_err());
//! ```

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::bindings::exports::soma::capsule::tools;

/// Structured data, content items, or both. `T` is the structured data, and gives the tool its
/// output schema; `Output` alone has content only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<T = ContentOnly> {
    /// Data for programs, described by the tool's output schema.
    pub structured: T,
    /// Content for models and people.
    pub content: Vec<Content>,
}

/// In the place of structured data: there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentOnly;

/// One item of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text, such as Markdown.
    Text(String),
    /// A picture.
    Image {
        /// Its media type (RFC 9110 §8.3.1), such as `image/png`.
        mime_type: String,
        /// The file's bytes.
        data: Vec<u8>,
    },
    /// Sound.
    Audio {
        /// Its media type, such as `audio/ogg`.
        mime_type: String,
        /// The file's bytes.
        data: Vec<u8>,
    },
    /// A document carried inside the answer.
    Resource(Resource),
}

/// A document carried inside the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What names it.
    pub uri: String,
    /// Its media type, where it is known.
    pub mime_type: Option<String>,
    /// What it says.
    pub body: ResourceBody,
}

/// The content of a [`Resource`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceBody {
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Output {
    /// One text and no structured data.
    pub fn text(text: impl Into<String>) -> Self {
        Output::new(ContentOnly).with_text(text)
    }

    /// One picture and no structured data.
    pub fn image(mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Output::new(ContentOnly).with_image(mime_type, data)
    }
}

impl<T> Output<T> {
    /// Structured data, and no content yet.
    pub fn new(structured: T) -> Self {
        Self {
            structured,
            content: Vec::new(),
        }
    }

    /// With one more text.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        self.with(Content::Text(text.into()))
    }

    /// With one more picture: its media type, such as `image/png`, and its bytes.
    #[must_use]
    pub fn with_image(self, mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.with(Content::Image {
            mime_type: mime_type.into(),
            data: data.into(),
        })
    }

    /// With one more sound: its media type, such as `audio/ogg`, and its bytes.
    #[must_use]
    pub fn with_audio(self, mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.with(Content::Audio {
            mime_type: mime_type.into(),
            data: data.into(),
        })
    }

    /// With one more document.
    #[must_use]
    pub fn with_resource(self, resource: Resource) -> Self {
        self.with(Content::Resource(resource))
    }

    fn with(mut self, content: Content) -> Self {
        self.content.push(content);
        self
    }
}

/// An answer as it leaves the guest.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// One JSON text.
    pub structured: Option<String>,
    /// The content items.
    pub content: Vec<Content>,
}

/// What a tool may return inside its `Result`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a tool cannot give back `{Self}`",
    label = "neither `Serialize` and `JsonSchema`, nor `soma_sdk::Output`",
    note = "derive `serde::Serialize` and `schemars::JsonSchema` for it, or return `soma_sdk::Output`"
)]
pub trait Answer {
    /// JSON Schema of the structured data.
    fn schema() -> Option<Value>;
    /// The answer as it leaves the guest.
    fn reply(self) -> Result<Reply, Error>;
}

impl<T: Serialize + JsonSchema> Answer for T {
    fn schema() -> Option<Value> {
        Output::<T>::schema()
    }

    fn reply(self) -> Result<Reply, Error> {
        Output::new(self).reply()
    }
}

impl<T: Serialize + JsonSchema> Answer for Output<T> {
    fn schema() -> Option<Value> {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        Some(schema::<T>(settings))
    }

    fn reply(self) -> Result<Reply, Error> {
        let structured = serde_json::to_string(&self.structured)
            .map_err(|why| Error::failed(format!("the answer cannot be written as JSON: {why}")))?;
        Ok(Reply {
            structured: Some(structured),
            content: self.content,
        })
    }
}

impl Answer for Output {
    fn schema() -> Option<Value> {
        None
    }

    fn reply(self) -> Result<Reply, Error> {
        Ok(Reply {
            structured: None,
            content: self.content,
        })
    }
}

/// JSON Schema 2020-12 of a type, without the two members that tell a model nothing: the dialect
/// (always this one) and the Rust type's name.
pub(crate) fn schema<T: JsonSchema>(mut settings: SchemaSettings) -> Value {
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.to_value()
}

impl From<Reply> for tools::Output {
    fn from(reply: Reply) -> Self {
        Self {
            structured: reply.structured,
            content: reply.content.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Content> for tools::Content {
    fn from(content: Content) -> Self {
        match content {
            Content::Text(text) => Self::Text(text),
            Content::Image { mime_type, data } => Self::Image(tools::Media { mime_type, data }),
            Content::Audio { mime_type, data } => Self::Audio(tools::Media { mime_type, data }),
            Content::Resource(resource) => Self::EmbeddedResource(tools::EmbeddedResource {
                uri: resource.uri,
                mime_type: resource.mime_type,
                body: match resource.body {
                    ResourceBody::Text(text) => tools::ResourceBody::Text(text),
                    ResourceBody::Blob(data) => tools::ResourceBody::Blob(data),
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_structured_and_described() {
        assert_eq!(String::schema(), Some(json!({"type": "string"})));
        let reply = vec![1, 2].reply().unwrap();
        assert_eq!(reply.structured.as_deref(), Some("[1,2]"));
        assert!(reply.content.is_empty());
    }

    #[test]
    fn content_only_has_no_schema() {
        assert_eq!(Output::<ContentOnly>::schema(), None);
        let reply = Output::text("a")
            .with_audio("audio/ogg", [1])
            .reply()
            .unwrap();
        assert_eq!(reply.structured, None);
        assert_eq!(reply.content.len(), 2);
    }

    #[test]
    fn what_json_cannot_hold_is_an_error() {
        let pairs = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = Output::new(Unwritable(pairs)).reply().unwrap_err();
        assert!(
            error.message().contains("cannot be written as JSON"),
            "{error}"
        );
    }

    #[derive(Serialize)]
    struct Unwritable(std::collections::BTreeMap<(u8, u8), u8>);

    impl JsonSchema for Unwritable {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Unwritable".into()
        }

        fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
            true.into()
        }
    }
}
