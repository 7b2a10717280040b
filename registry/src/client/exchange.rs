//! One request and its answer, both within bounds.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{ClientError, Marketplace};
use crate::api::Problem;

/// How long a look-up may take as a whole.
const LOOK_UP: Duration = Duration::from_secs(30);
/// The same for what sends or fetches a file, or has one examined.
pub(super) const TRANSFER: Duration = Duration::from_secs(10 * 60);
/// The most bytes of a JSON answer: a version's tools may have a mebibyte.
const MAX_JSON_BYTES: usize = 8 << 20;
const MAX_PROBLEM_BYTES: usize = 64 << 10;

impl Marketplace {
    /// The address of `/…/…`, each part a segment of its own.
    pub(super) fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // An address that cannot have a path was refused at the start.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ClientError> {
        self.get_from(self.at(path)).await
    }

    pub(super) async fn get_from<T: DeserializeOwned>(&self, url: Url) -> Result<T, ClientError> {
        let response = self.send(self.request(Method::GET, url)).await?;
        self.json(response).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, self.at(path)).json(body);
        let response = self.send(request).await?;
        self.json(response).await
    }

    /// A request whose answer says nothing but that it was done.
    pub(super) async fn order(&self, method: Method, path: &[&str]) -> Result<(), ClientError> {
        let request = self.request(method, self.at(path));
        self.send(request).await.map(drop)
    }

    /// The bytes of a file, at most so many.
    pub(super) async fn bytes(
        &self,
        path: &[&str],
        limit: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let request = self.request(Method::GET, self.at(path)).timeout(patience);
        let response = self.send(request).await?;
        self.body(response, limit).await
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url).timeout(LOOK_UP);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// The answer, where it is one; else what it says instead.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let sent = request.send().await;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = response.url().to_string();
        let body = self.body(response, MAX_PROBLEM_BYTES).await;
        let problem = body
            .ok()
            .and_then(|body| serde_json::from_slice(&body).ok());
        let mut problem: Problem = problem.ok_or(ClientError::Status { url, status })?;
        problem.status = status.as_u16();
        Err(ClientError::Problem(Box::new(problem)))
    }

    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<T, ClientError> {
        let what = response.url().to_string();
        let body = self.body(response, MAX_JSON_BYTES).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Malformed {
            what,
            error: error.to_string(),
        })
    }

    /// The whole body, piece by piece: nobody makes us hold more than the bound.
    async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
        let too_large = |response: &Response| ClientError::TooLarge {
            what: response.url().to_string(),
            limit,
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_large(&response));
        }
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if body.len() + piece.len() > limit {
                return Err(too_large(&response));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let (what, cause) = if error.is_timeout() {
            ("takes too long to answer", String::new())
        } else if error.is_connect() {
            ("cannot be reached", format!(": {cause}"))
        } else {
            ("broke the connection off", format!(": {cause}"))
        };
        ClientError::Unreachable {
            url: self.base.to_string(),
            what,
            cause,
        }
    }
}
