//! The OpenAPI document, and whether what is answered is what it says.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use soma_registry::api::{TokenRequest, TokenScope};

use crate::harness::{Author, TestMarketplace, echo};

/// Checks answers against what a document says of them.
struct Judge {
    base: String,
    document: Value,
    /// Operations that were asked, as `get /path`.
    asked: BTreeSet<String>,
}

impl Judge {
    async fn of(market: &TestMarketplace) -> Self {
        let url = format!("{}/v1/openapi.json", market.url);
        let document = reqwest::get(url).await.unwrap().json().await.unwrap();
        Self {
            base: market.url.clone(),
            document,
            asked: BTreeSet::new(),
        }
    }

    /// Sends the request to a documented path with these segments in it; gives the answer, which is
    /// of a status and a shape that the document names.
    async fn ask(
        &mut self,
        method: &Method,
        path: &str,
        segments: &[(&str, &str)],
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let name = format!("{} {path}", method.as_str().to_lowercase());
        let operation = &self.document["paths"][path][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{name} is not documented");
        let mut url = path.to_owned();
        for (name, value) in segments {
            url = url.replace(&format!("{{{name}}}"), value);
        }
        let request = reqwest::Client::new().request(method.clone(), format!("{}{url}", self.base));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let media = response.headers().get("content-type");
        let media = media.map_or("", |media| media.to_str().unwrap());
        let media = media.split(';').next().unwrap_or_default().to_owned();
        let bytes = response.bytes().await.unwrap();
        let documented = &operation["responses"][status.to_string()];
        let documented = match documented {
            Value::Null if status >= 400 => &operation["responses"]["default"],
            documented => documented,
        };
        assert!(documented.is_object(), "{name} answered {status}");
        self.asked.insert(name.clone());
        if status == 204 {
            assert!(
                documented["content"].is_null() && bytes.is_empty(),
                "{name}"
            );
            return (status, Value::Null);
        }
        let schema = &documented["content"][&media]["schema"];
        assert!(schema.is_object(), "{name} answered {status} as `{media}`");
        let Ok(answer) = serde_json::from_slice::<Value>(&bytes) else {
            assert!(!media.ends_with("json"), "{name}");
            return (status, Value::Null);
        };
        self.check(schema, &answer, &name);
        (status, answer)
    }

    fn check(&self, schema: &Value, answer: &Value, name: &str) {
        let schema = json!({
            "allOf": [schema],
            "components": self.document["components"],
        });
        let schema = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?} in {answer}");
    }
}

#[test]
fn answers_are_as_documented() {
    TestMarketplace::run_operated(&[], async |market, root| {
        let ada = market.publisher("ada").await;
        let package = echo("ada/echo", "1.0.0").await;
        ada.publish(&package).await.unwrap();
        let mut judge = Judge::of(&market).await;
        let version = [("namespace", "ada"), ("name", "echo"), ("version", "1.0.0")];
        for path in [
            "/v1",
            "/healthz",
            "/readyz",
            "/metrics",
            "/v1/namespaces/{namespace}",
            "/v1/packages",
            "/v1/packages/{namespace}/{name}",
            "/v1/packages/{namespace}/{name}/{version}",
            "/v1/packages/{namespace}/{name}/{version}/capsule",
            "/v1/packages/{namespace}/{name}/{version}/bundle",
            "/log/checkpoint",
        ] {
            let (status, _) = judge.ask(&Method::GET, path, &version, None, None).await;
            assert_eq!(status, 200, "{path}");
            let missing = [("namespace", "No"), ("name", "no"), ("version", "?")];
            let (status, _) = judge.ask(&Method::GET, path, &missing, None, None).await;
            assert_eq!(status == 200, !path.contains('{'), "{path}");
        }
        let tile = [("path", "entries/000.p/2")];
        let path = "/log/tile/{path}";
        let (status, _) = judge.ask(&Method::GET, path, &tile, None, None).await;
        assert_eq!(status, 200);
        judge.tokens(&ada).await;
        judge.operator(&root).await;
        let challenge = "/v1/login/challenge";
        judge.ask(&Method::POST, challenge, &[], None, None).await;

        // What is signed is sent by the client, whose every answer is read into these shapes.
        let elsewhere = [
            "post /v1/login",
            "post /v1/publish",
            "post /v1/changes",
            "get /v1/invitations",
            "post /v1/invitations",
            "get /v1/invitations/{id}",
            "delete /v1/invitations/{id}",
            "get /v1/operator/reviews/{id}/capsule",
            "post /v1/operator/reviews/{id}/approve",
            "post /v1/operator/reviews/{id}/refuse",
        ];
        let documented = operations(&judge.document);
        let mut known: BTreeSet<String> = judge.asked.clone();
        known.extend(elsewhere.map(str::to_owned));
        assert_eq!(documented, known);
        judge.other_methods().await;
    });
}

impl Judge {
    /// A path that is asked in a way it does not know says which it knows.
    async fn other_methods(&self) {
        for (path, item) in self.document["paths"].as_object().unwrap() {
            let url = format!("{}{}", self.base, path.replace(['{', '}'], ""));
            let request = reqwest::Client::new().patch(url);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 405, "{path}");
            let allow = answer.headers()["allow"].to_str().unwrap();
            let allow: BTreeSet<String> = allow.split(',').map(str::to_lowercase).collect();
            let mut documented: BTreeSet<String> =
                item.as_object().unwrap().keys().cloned().collect();
            if documented.contains("get") {
                documented.insert("head".to_owned());
            }
            assert_eq!(allow, documented, "{path}");
        }
    }

    async fn tokens(&mut self, ada: &Author) {
        let request = TokenRequest {
            name: "all".to_owned(),
            scopes: vec![TokenScope::PublishUpdate],
            namespaces: Some(vec![ada.account.clone()]),
            lifetime: 60,
        };
        let token = ada.token.as_str();
        let body = serde_json::to_value(&request).unwrap();
        let (path, some) = ("/v1/tokens", Some(token));
        let made = self.ask(&Method::POST, path, &[], some, Some(body)).await;
        assert_eq!(made.0, 201);
        let (status, _) = self.ask(&Method::GET, path, &[], some, None).await;
        assert_eq!(status, 200);
        let (status, _) = self.ask(&Method::GET, path, &[], None, None).await;
        assert_eq!(status, 401);
        let path = "/v1/account";
        let (status, whose) = self.ask(&Method::GET, path, &[], some, None).await;
        assert_eq!((status, &whose["account"]), (200, &json!("ada")));
        let id = made.1["id"].as_str().unwrap();
        let path = "/v1/tokens/{id}";
        let one = [("id", id)];
        let (status, _) = self.ask(&Method::DELETE, path, &one, some, None).await;
        assert_eq!(status, 204);
    }

    async fn operator(&mut self, root: &Author) {
        let token = Some(root.token.as_str());
        let path = "/v1/operator/reviews";
        let (status, _) = self.ask(&Method::GET, path, &[], token, None).await;
        assert_eq!(status, 200);
        let revoke = json!({
            "kind": "revoke", "capsule": "ada/echo", "version": "1.0.0", "reason": "A test.",
        });
        let path = "/v1/operator/changes";
        let (status, _) = self
            .ask(&Method::POST, path, &[], token, Some(revoke))
            .await;
        assert_eq!(status, 201);
        let path = "/v1/packages/{namespace}/{name}/{version}";
        let version = [("namespace", "ada"), ("name", "echo"), ("version", "1.0.0")];
        let (_, release) = self.ask(&Method::GET, path, &version, None, None).await;
        assert!(
            release["release"]["standing"]["revoked"].is_object(),
            "{release}"
        );
    }
}

/// Every operation, as `get /path`; each has an id of its own, by which generated clients call it.
fn operations(document: &Value) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{method} {path}"))
    });
    all.collect()
}
