//! A registry that answers exactly what a test wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use soma_registry::Package;
use soma_registry::oci::{
    Artifact, BUNDLE_TYPE, Blob, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, Reference, Referrer,
    fallback_tag, index,
};

use super::{BUNDLE, reference};

/// Serves as long as the test's runtime.
pub(super) struct Fake {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

/// Status, headers and body for a path; 404 for every other.
#[derive(Clone, Default)]
pub(super) struct Answers(HashMap<String, Answer>);

#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answers {
    /// A capsule at `a:1`, with a bundle attached that the referrers API lists.
    pub(super) fn capsule(package: &Package) -> Self {
        let artifact = Artifact::of(package).expect("an artifact");
        let referrer = Referrer::of(&artifact, BUNDLE).expect("a referrer");
        let list = index(&[referrer.descriptor()]).expect("an index");
        let subject = artifact.manifest.digest;
        Self::default()
            .content("manifests/1", MANIFEST_TYPE, &artifact.manifest.bytes)
            .content(
                &format!("blobs/{}", package.digest()),
                LAYER_TYPE,
                package.bytes(),
            )
            .blob("blobs", &referrer.bundle)
            .blob("manifests", &referrer.manifest)
            .content(&format!("referrers/{subject}"), INDEX_TYPE, &list.bytes)
            // Where the API answers, nobody is to look here.
            .content(
                &format!("manifests/{}", fallback_tag(subject)),
                BUNDLE_TYPE,
                b"no index",
            )
    }

    fn blob(self, kind: &str, blob: &Blob) -> Self {
        let path = format!("{kind}/{}", blob.digest);
        self.content(&path, blob.media_type, &blob.bytes)
    }

    /// A good answer below the repository `a`.
    pub(super) fn content(self, path: &str, media_type: &str, body: &[u8]) -> Self {
        self.answer(
            &format!("/v2/a/{path}"),
            200,
            &[("content-type", media_type)],
            body,
        )
    }

    /// Any answer.
    pub(super) fn answer(
        mut self,
        path: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        let body = body.to_vec();
        let answer = Answer {
            status,
            headers,
            body,
        };
        self.0.insert(path.to_owned(), answer);
        self
    }

    pub(super) fn get(&self, path: &str) -> Response {
        let Some(answer) = self.0.get(path) else {
            let missing = Response::builder().status(404);
            return missing.body(Body::empty()).expect("an answer");
        };
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        let body = Body::from(answer.body.clone());
        response.body(body).expect("an answer")
    }
}

impl Fake {
    pub(super) async fn start(answers: Answers) -> Self {
        Self::start_with(move |request| answers.get(request.uri().path())).await
    }

    pub(super) async fn start_with(
        answer: impl Fn(&Request) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let log = seen.clone();
        let router = Router::new().fallback(async move |request: Request| {
            let authorization = request.headers().get("authorization");
            let authorization = authorization.map_or("", |value| value.to_str().expect("text"));
            let line = format!("{} {} {authorization}", request.method(), request.uri());
            log.lock().expect("no panics").push(line);
            answer(&request)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, seen }
    }

    /// `a:1` in it.
    pub(super) fn reference(&self) -> Reference {
        reference(&format!("oci://{}/a:1", self.address))
    }

    /// Method, address and `Authorization` of each request so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panics").clone()
    }
}
