//! Sending a capsule, with its signatures, in one request.

use bytes::Bytes;
use dsse::Envelope;
use futures::stream;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};

use super::exchange::TRANSFER;
use super::{ClientError, Marketplace};
use crate::api::Published;

/// Bytes that are handed to the network at once: what a progress bar moves by.
const PIECE: usize = 64 << 10;

impl Marketplace {
    /// Publishes a version: what its author signed about it, the signed change, the file. `sent`
    /// is told how many bytes of the file are under way, each time some more are.
    pub async fn publish(
        &self,
        statement: &Envelope,
        change: &Envelope,
        capsule: Vec<u8>,
        sent: impl FnMut(u64) + Send + 'static,
    ) -> Result<Published, ClientError> {
        let length = capsule.len() as u64;
        let file = Part::stream_with_length(in_pieces(capsule.into(), sent), length)
            .file_name("capsule.wasm")
            .mime_str("application/wasm")
            .map_err(ClientError::Http)?;
        let form = Form::new()
            .part("statement", json_part(statement)?)
            .part("change", json_part(change)?)
            .part("capsule", file);
        let request = self
            .request(Method::POST, self.at(&["v1", "publish"]))
            .timeout(TRANSFER)
            .multipart(form);
        let response = self.send(request).await?;
        self.json(response).await
    }
}

fn json_part(envelope: &Envelope) -> Result<Part, ClientError> {
    let text = serde_json::to_string(envelope).map_err(|error| ClientError::Malformed {
        what: "the envelope".to_owned(),
        error: error.to_string(),
    })?;
    Part::text(text)
        .mime_str("application/json")
        .map_err(ClientError::Http)
}

fn in_pieces(capsule: Bytes, mut sent: impl FnMut(u64) + Send + 'static) -> Body {
    let pieces = (0..capsule.len()).step_by(PIECE).map(move |from| {
        let to = (from + PIECE).min(capsule.len());
        sent(to as u64);
        Ok::<_, std::convert::Infallible>(capsule.slice(from..to))
    });
    Body::wrap_stream(stream::iter(pieces))
}
