//! A client of one host with one key.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::answer::Answer;
use super::host::TestHost;

/// Sends requests under one key; clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, base: &str, key: &str) -> Self {
        Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        }
    }

    /// The key that it shows.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The same client under another key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// The same client over other connections, such as ones that trust a test's certificate.
    pub(crate) fn over(&self, http: reqwest::Client) -> Self {
        Self {
            http,
            ..self.clone()
        }
    }

    /// A request that the test goes on building.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.key.is_empty() {
            request
        } else {
            request.bearer_auth(&self.key)
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PUT, path).json(body)).await
    }

    /// A request that may find nobody there.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let response = self.request(Method::POST, path).json(body).send().await?;
        Ok(Answer::read(response).await)
    }

    /// Calls a tool: `namespace/name`, the tool, its input.
    pub(crate) async fn call(&self, capsule: &str, tool: &str, input: &Value) -> Answer {
        self.post(&format!("/v1/capsules/{capsule}/tools/{tool}"), input)
            .await
    }

    /// Calls the tool of a guest with these headers.
    pub(crate) async fn call_with(
        &self,
        guest: &str,
        input: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = format!("/v1/capsules/{}/tools/run", TestHost::capsule(guest));
        let mut request = self.request(Method::POST, &path).json(input);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    }

    /// Uploads a capsule file.
    pub(crate) async fn install(&self, file: &[u8]) -> Answer {
        let request = self
            .request(Method::POST, "/v1/capsules")
            .header("content-type", "application/wasm")
            .body(file.to_owned());
        send(request).await
    }
}

/// Sends a request and reads the answer whole.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("an answer")).await
}
