//! What a tool answers, in the shape that clients see: MCP's content items and field names.

use std::borrow::Cow;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::bindings::tools;
use crate::mask::Masking;

/// A tool's answer.
#[derive(Debug, Serialize)]
pub struct Output {
    /// One JSON text, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Box<RawValue>>,
    /// Items for models and people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Content>,
}

/// One content item. Bytes are in base64 (RFC 4648 §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum Content {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Base64.
        data: String,
        /// Such as `image/png`.
        mime_type: String,
    },
    /// Sound.
    Audio {
        /// Base64.
        data: String,
        /// Such as `audio/wav`.
        mime_type: String,
    },
    /// A document inside the answer.
    Resource {
        /// The document.
        resource: ResourceContents,
    },
}

/// A document: text or bytes, never both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents {
    /// What it is known by.
    pub uri: String,
    /// Its media type, where the tool says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Base64 of the bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

/// A tool's own refusal or failure. Every message is the guest's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The input has the right shape but not a usable value.
    #[error("invalid input: {0}")]
    InvalidInput(String),
    /// What the input names does not exist.
    #[error("not found: {0}")]
    NotFound(String),
    /// The upstream did not accept the credential.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The host or the upstream does not allow it.
    #[error("denied: {0}")]
    Denied(String),
    /// Too many requests upstream.
    #[error("rate limited: {message}")]
    RateLimited {
        /// The guest's text.
        message: String,
        /// How long to wait, where it is known.
        retry_after_ms: Option<u64>,
    },
    /// The upstream failed.
    #[error("upstream: {message}")]
    Upstream {
        /// The guest's text.
        message: String,
        /// The HTTP status it answered with, where it answered.
        status: Option<u16>,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Output {
    /// Bytes as clients get them: the structured answer, and the content with all that JSON and
    /// base64 add to it.
    pub(crate) fn size(&self) -> u64 {
        let structured = self.structured.as_ref().map_or(0, |text| text.get().len());
        let mut counter = Counter(structured as u64);
        if !self.content.is_empty() {
            // Neither strings nor a counter can fail.
            let counted = serde_json::to_writer(&mut counter, &self.content);
            debug_assert!(counted.is_ok());
        }
        counter.0
    }
}

impl Output {
    /// Masks the credentials in it.
    pub(crate) fn mask(&mut self, masking: &Masking) {
        if let Some(structured) = &mut self.structured
            && let Cow::Owned(masked) = masking.text(structured.get())
        {
            *structured = RawValue::from_string(masked)
                .or_else(|_| without_numbers(structured, masking))
                .unwrap_or_else(|_| RawValue::NULL.to_owned());
        }
        for text in self.content.iter_mut().flat_map(Content::texts) {
            masking.text_in(text);
        }
    }
}

/// A JSON text in which a credential is a number, which is null then.
fn without_numbers(text: &RawValue, masking: &Masking) -> serde_json::Result<Box<RawValue>> {
    fn mask(value: &mut Value, masking: &Masking) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| mask(item, masking)),
            Value::Object(members) => {
                let named = std::mem::take(members).into_iter();
                *members = named
                    .map(|(name, mut member)| {
                        mask(&mut member, masking);
                        (masking.text(&name).into_owned(), member)
                    })
                    .collect();
            }
            Value::String(text) => masking.text_in(text),
            Value::Number(number) => {
                if let Cow::Owned(_) = masking.text(&number.to_string()) {
                    *value = Value::Null;
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
    let mut value = serde_json::from_str(text.get())?;
    mask(&mut value, masking);
    to_raw_value(&value)
}

impl Content {
    /// Everything in it that a guest chose.
    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Text { text } => vec![text],
            Self::Image { data, mime_type } | Self::Audio { data, mime_type } => {
                vec![data, mime_type]
            }
            Self::Resource { resource } => {
                let ResourceContents {
                    uri,
                    mime_type,
                    text,
                    blob,
                } = resource;
                let some = [mime_type, text, blob].into_iter().flatten();
                some.chain([uri]).collect()
            }
        }
    }
}

/// Counts what is written to it.
struct Counter(u64);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TryFrom<tools::Output> for Output {
    type Error = serde_json::Error;

    /// Fails where the structured answer is not one JSON text.
    fn try_from(output: tools::Output) -> Result<Self, serde_json::Error> {
        Ok(Self {
            structured: output.structured.map(RawValue::from_string).transpose()?,
            content: output.content.into_iter().map(Content::from).collect(),
        })
    }
}

impl From<tools::Content> for Content {
    fn from(content: tools::Content) -> Self {
        match content {
            tools::Content::Text(text) => Self::Text { text },
            tools::Content::Image(tools::Media { mime_type, data }) => Self::Image {
                data: STANDARD.encode(data),
                mime_type,
            },
            tools::Content::Audio(tools::Media { mime_type, data }) => Self::Audio {
                data: STANDARD.encode(data),
                mime_type,
            },
            tools::Content::EmbeddedResource(resource) => {
                let (text, blob) = match resource.body {
                    tools::ResourceBody::Text(text) => (Some(text), None),
                    tools::ResourceBody::Blob(blob) => (None, Some(STANDARD.encode(blob))),
                };
                let tools::EmbeddedResource { uri, mime_type, .. } = resource;
                Self::Resource {
                    resource: ResourceContents {
                        uri,
                        mime_type,
                        text,
                        blob,
                    },
                }
            }
        }
    }
}

impl tools::ToolError {
    /// Bytes of the message, bounded like an answer's.
    pub(crate) fn size(&self) -> u64 {
        let message = match self {
            Self::InvalidInput(message)
            | Self::NotFound(message)
            | Self::Unauthorized(message)
            | Self::Denied(message)
            | Self::Failed(message)
            | Self::RateLimited(tools::RateLimit { message, .. })
            | Self::Upstream(tools::UpstreamFailure { message, .. }) => message,
        };
        message.len() as u64
    }
}

impl From<tools::ToolError> for ToolError {
    fn from(error: tools::ToolError) -> Self {
        match error {
            tools::ToolError::InvalidInput(message) => Self::InvalidInput(message),
            tools::ToolError::NotFound(message) => Self::NotFound(message),
            tools::ToolError::Unauthorized(message) => Self::Unauthorized(message),
            tools::ToolError::Denied(message) => Self::Denied(message),
            tools::ToolError::RateLimited(tools::RateLimit {
                message,
                retry_after_ms,
            }) => Self::RateLimited {
                message,
                retry_after_ms,
            },
            tools::ToolError::Upstream(tools::UpstreamFailure { message, status }) => {
                Self::Upstream { message, status }
            }
            tools::ToolError::Failed(message) => Self::Failed(message),
        }
    }
}

impl ToolError {
    /// Masks the credentials in it.
    pub(crate) fn mask(&mut self, masking: &Masking) {
        match self {
            Self::InvalidInput(message)
            | Self::NotFound(message)
            | Self::Unauthorized(message)
            | Self::Denied(message)
            | Self::RateLimited { message, .. }
            | Self::Upstream { message, .. }
            | Self::Failed(message) => masking.text_in(message),
        }
    }

    /// The guest's text.
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidInput(message)
            | Self::NotFound(message)
            | Self::Unauthorized(message)
            | Self::Denied(message)
            | Self::Failed(message)
            | Self::RateLimited { message, .. }
            | Self::Upstream { message, .. } => message,
        }
    }
}
