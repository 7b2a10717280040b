//! AWS Signature Version 4: the secret stays here, and what goes out is a signature of the request.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

/// Whose signature, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigV4 {
    /// As in `AKIDEXAMPLE`; not secret.
    pub access_key_id: String,
    /// As in `eu-central-1`.
    pub region: String,
    /// As in `s3`.
    pub service: String,
}

/// Fields that a guest does not set: they say who asks and when, or name another object than the path
/// that was matched.
const TAKEN: [&str; 7] = [
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-date",
    "x-amz-region-set",
    "x-amz-rename-source",
    "x-amz-s3session-token",
    "x-amz-security-token",
];

impl SigV4 {
    /// S3 has its own ways: it alone takes a body whose bytes nobody knows beforehand.
    pub(super) fn is_s3(&self) -> bool {
        self.service == "s3"
    }

    /// Whether a guest may not set this field: what is signed has the operator's rights.
    pub(crate) fn owns_field(name: &HeaderName) -> bool {
        let name = name.as_str();
        TAKEN.contains(&name) || name.starts_with("x-amz-copy-source-")
    }

    /// Whether it has this parameter for itself.
    pub(crate) fn owns_parameter(name: &str) -> bool {
        name.to_ascii_lowercase().starts_with("x-amz-")
    }

    /// Each part has 1 to 128 characters that can be in the field.
    pub(super) fn is_sound(&self) -> bool {
        let is_part = |text: &String| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=128).contains(&text.len()) && text.bytes().all(fits)
        };
        [&self.access_key_id, &self.region, &self.service]
            .into_iter()
            .all(is_part)
    }

    /// Signs a request as it is at this moment, but for a body that nobody knows yet. The value is the
    /// secret key, and on a second line the session's token, where there is one.
    pub(super) fn sign(
        &self,
        value: &SecretString,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        body: Option<&[u8]>,
    ) -> Result<(), String> {
        let said = headers.iter().filter_map(|(name, value)| {
            // What is no text is sent, and not signed.
            Some((name.as_str(), value.to_str().ok()?))
        });
        let body = body.map_or(SignableBody::UnsignedPayload, SignableBody::Bytes);
        let request = SignableRequest::new(method.as_str(), url.as_str(), said, body)
            .map_err(|error| error.to_string())?;
        let (fields, _) = self.signed(value, request, self.settings())?.into_parts();
        for field in fields {
            let mut value =
                HeaderValue::try_from(field.value()).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.insert(field.name(), value);
        }
        Ok(())
    }

    /// Makes a link of the URL, with the signature in its query.
    pub(super) fn presign(
        &self,
        value: &SecretString,
        method: &Method,
        url: &mut Url,
        age: Duration,
    ) -> Result<(), String> {
        if secrets(value.expose_secret()).1.is_some() {
            return Err("a link would show the token of the credential's session".to_owned());
        }
        let mut settings = self.settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(age);
        let text = url.to_string();
        let body = SignableBody::UnsignedPayload;
        let request = SignableRequest::new(method.as_str(), &text, std::iter::empty(), body)
            .map_err(|error| error.to_string())?;
        let (_, parameters) = self.signed(value, request, settings)?.into_parts();
        url.query_pairs_mut().extend_pairs(parameters);
        Ok(())
    }

    fn signed(
        &self,
        value: &SecretString,
        request: SignableRequest<'_>,
        settings: SigningSettings,
    ) -> Result<SigningInstructions, String> {
        let (secret, token) = secrets(value.expose_secret());
        let identity = Credentials::new(
            &self.access_key_id,
            secret,
            token.map(str::to_owned),
            None,
            "soma",
        )
        .into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?;
        let signed = sign(request, &params.into()).map_err(|error| error.to_string())?;
        Ok(signed.into_parts().0)
    }

    /// S3 takes the path as it is sent, and wants to be told the body's hash; the others encode the
    /// path once more.
    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        // What is on its way through proxies may change.
        settings.excluded_headers = Some(
            ["authorization", "user-agent", "accept-encoding", "te"]
                .map(Cow::Borrowed)
                .to_vec(),
        );
        if self.is_s3() {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

/// The secret key, and the session's token.
pub(super) fn secrets(value: &str) -> (&str, Option<&str>) {
    match value.split_once('\n') {
        Some((secret, token)) => (secret.trim_end_matches('\r'), Some(token.trim())),
        None => (value, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(service: &str, secret: &str) -> HeaderMap {
        let how = SigV4 {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            region: "eu-1".to_owned(),
            service: service.to_owned(),
        };
        let url = "https://s3.test/bucket/a%20b?x=1".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-a", "1".parse().unwrap());
        let secret = secret.to_owned().into();
        how.sign(&secret, &Method::PUT, &url, &mut headers, Some(b"body"))
            .unwrap();
        headers
    }

    #[test]
    fn what_is_said_is_signed_and_the_secret_is_not_in_it() {
        let headers = signed("s3", "a-secret");
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.contains("AKIDEXAMPLE/"), "{authorization}");
        for signed in ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a"] {
            assert!(authorization.contains(signed), "{authorization}");
        }
        assert!(!format!("{headers:?}").contains("a-secret"));
        assert!(!headers.contains_key("x-amz-security-token"));
        let headers = signed("sqs", "a-secret\na-token\n");
        assert_eq!(headers["x-amz-security-token"], "a-token");
        assert!(!headers.contains_key("x-amz-content-sha256"));
    }
}
