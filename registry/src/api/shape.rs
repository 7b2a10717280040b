//! Shapes of what is defined elsewhere, for the OpenAPI document.

use utoipa::ToSchema;

/// A [DSSE](https://github.com/secure-systems-lab/dsse) envelope: a payload, and who signed it.
#[derive(ToSchema)]
#[schema(as = Envelope)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Envelope {
    /// What the payload is, such as `application/vnd.soma.change.v1+json`.
    #[schema(rename = "payloadType")]
    payload_type: String,
    /// In base64.
    #[schema(content_encoding = "base64")]
    payload: String,
    /// Ed25519, each over DSSE's encoding of type and payload.
    signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct EnvelopeSignature {
    /// The public key, as `soma keys list` shows it.
    keyid: Option<String>,
    /// In base64.
    #[schema(content_encoding = "base64")]
    sig: String,
}
