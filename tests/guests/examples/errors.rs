//! Fails in the way that `error` names, or answers with every kind of content.

use soma_guests::tools::{
    Content, EmbeddedResource, Media, RateLimit, ResourceBody, UpstreamFailure,
};
use soma_guests::{Output, ToolError, parse};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let message = || "as asked".to_owned();
    Err(match parse(&input)["error"].as_str() {
        None => return Ok(every_content()),
        Some("invalid-input") => ToolError::InvalidInput(message()),
        Some("not-found") => ToolError::NotFound(message()),
        Some("unauthorized") => ToolError::Unauthorized(message()),
        Some("denied") => ToolError::Denied(message()),
        Some("rate-limited") => ToolError::RateLimited(RateLimit {
            message: message(),
            retry_after_ms: Some(1500),
        }),
        Some("upstream") => ToolError::Upstream(UpstreamFailure {
            message: message(),
            status: Some(502),
        }),
        Some(_) => ToolError::Failed(message()),
    })
}

fn every_content() -> Output {
    let media = |mime_type: &str| Media {
        mime_type: mime_type.to_owned(),
        data: vec![0, 1, 255],
    };
    let resource = |body| {
        Content::EmbeddedResource(EmbeddedResource {
            uri: "file:///a".to_owned(),
            mime_type: Some("text/plain".to_owned()),
            body,
        })
    };
    Output {
        structured: Some(r#"{"n":1}"#.to_owned()),
        content: vec![
            Content::Text("a text".to_owned()),
            Content::Image(media("image/png")),
            Content::Audio(media("audio/wav")),
            resource(ResourceBody::Text("a document".to_owned())),
            resource(ResourceBody::Blob(vec![7])),
        ],
    }
}
