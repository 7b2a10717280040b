//! An HTTP answer, read whole.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a whole body"),
        }
    }

    /// A header's value; empty where it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.text))
    }

    #[track_caller]
    pub(crate) fn status_is(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
    }

    /// The JSON body of an answer that must be of this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        self.status_is(status);
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The structured output of a call that must have gone well.
    #[track_caller]
    pub(crate) fn structured(&self) -> Value {
        self.expect(200)["output"]["structured"].clone()
    }

    /// The problem, which must be of this status and code, whole and well formed.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let kind = problem["type"].as_str().unwrap_or_default();
        assert_eq!(kind.rsplit(':').next(), Some(code), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
        assert_eq!(
            problem["invocation"],
            self.header("soma-invocation"),
            "{problem}"
        );
        problem
    }
}
