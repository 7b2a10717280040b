//! Vault's documented exchanges, as far as a host makes them, and strict about each: for what no Vault
//! that can be had here does. Tokens and leases last for seconds, and what has ended opens nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};

/// What is asked of a role: the id and the secret id that open it.
pub(crate) const ROLE_ID: &str = "role-of-the-tests";

/// A Vault of the documentation's. Ends with this value.
pub(crate) struct DocumentedVault {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    server: tokio::task::JoinHandle<()>,
}

/// What it holds, and how it behaves.
pub(crate) struct State {
    /// By the path below the mount, in both versions of the engine.
    pub(crate) secrets: HashMap<String, BTreeMap<String, Value>>,
    pub(crate) secret_id: String,
    pub(crate) sealed: bool,
    /// Seconds of a token and of a lease, and how long either can be renewed.
    pub(crate) ttl: u64,
    pub(crate) max_ttl: u64,
    /// Every request: its method and path.
    pub(crate) asked: Vec<String>,
    /// What no page of the documentation has.
    pub(crate) wrong: Vec<String>,
    tokens: HashMap<String, Term>,
    leases: HashMap<String, Account>,
}

struct Term {
    began: Instant,
    ends: Instant,
}

struct Account {
    term: Term,
    token: String,
    username: String,
    password: String,
}

impl Term {
    fn new(ttl: u64) -> Self {
        let began = Instant::now();
        let ends = began + Duration::from_secs(ttl);
        Self { began, ends }
    }

    fn is_alive(&self) -> bool {
        Instant::now() < self.ends
    }

    /// Seconds that it has from now.
    fn renew(&mut self, ttl: u64, max_ttl: u64) -> u64 {
        let last = self.began + Duration::from_secs(max_ttl);
        self.ends = last.min(Instant::now() + Duration::from_secs(ttl));
        self.left()
    }

    fn left(&self) -> u64 {
        let left = self.ends.saturating_duration_since(Instant::now());
        left.as_millis().div_ceil(1000).try_into().unwrap()
    }
}

impl DocumentedVault {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            secrets: HashMap::new(),
            secret_id: "secret-id-of-the-tests".to_owned(),
            sealed: false,
            ttl: 3600,
            max_ttl: 7200,
            asked: Vec::new(),
            wrong: Vec::new(),
            tokens: HashMap::new(),
            leases: HashMap::new(),
        }));
        let answering = state.clone();
        let router = Router::new().fallback(
            async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                answer(&answering, &method, &uri, &headers, &body)
            },
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, server }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Gives this field a value.
    pub(crate) fn keep(&self, path: &str, field: &str, value: impl Into<Value>) {
        let mut state = self.state();
        let secret = state.secrets.entry(path.to_owned()).or_default();
        secret.insert(field.to_owned(), value.into());
    }

    /// Makes a token that somebody else hands out.
    pub(crate) fn token(&self) -> String {
        let mut state = self.state();
        let ttl = state.ttl;
        state.new_token(ttl)
    }

    /// Takes all tokens back, and so what was leased with them.
    pub(crate) fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// How often this was asked.
    pub(crate) fn times(&self, what: &str) -> usize {
        let state = self.state();
        state.asked.iter().filter(|asked| *asked == what).count()
    }

    /// Whether a database lets this user in now.
    pub(crate) fn is_user(&self, username: &str, password: &str) -> bool {
        let state = self.state();
        state.leases.values().any(|account| {
            account.username == username
                && account.password == password
                && account.term.is_alive()
                && state.is_token(&account.token)
        })
    }
}

impl Drop for DocumentedVault {
    fn drop(&mut self) {
        self.server.abort();
        if !std::thread::panicking() {
            assert_eq!(self.state().wrong, Vec::<String>::new());
        }
    }
}

impl State {
    fn new_token(&mut self, ttl: u64) -> String {
        let token = format!("hvs.{}", uuid::Uuid::now_v7().simple());
        self.tokens.insert(token.clone(), Term::new(ttl));
        token
    }

    fn is_token(&self, token: &str) -> bool {
        self.tokens.get(token).is_some_and(Term::is_alive)
    }

    /// Remembers a request that no Vault answers.
    fn wrong(&mut self, what: String) -> Response {
        self.wrong.push(what);
        errors(StatusCode::BAD_REQUEST, &["unsupported"])
    }

    fn log_in(&mut self, body: &Value) -> Response {
        if *body != json!({"role_id": ROLE_ID, "secret_id": self.secret_id}) {
            return errors(StatusCode::BAD_REQUEST, &["invalid role or secret ID"]);
        }
        let ttl = self.ttl;
        let token = self.new_token(ttl);
        auth(&token, ttl)
    }

    fn renew_token(&mut self, token: &str) -> Response {
        let (ttl, max_ttl) = (self.ttl, self.max_ttl);
        let term = self.tokens.get_mut(token).expect("it was looked for");
        auth(token, term.renew(ttl, max_ttl))
    }

    fn lease(&mut self, token: &str, role: &str) -> Response {
        if role != "default.reader" {
            let words = format!("unknown role: {role}");
            return errors(StatusCode::BAD_REQUEST, &[&words]);
        }
        let id = uuid::Uuid::now_v7().simple().to_string();
        let lease_id = format!("database/creds/{role}/{id}");
        let account = Account {
            term: Term::new(self.ttl),
            token: token.to_owned(),
            username: format!("v-{id}"),
            password: format!("password-of-{id}"),
        };
        let data = json!({"username": account.username, "password": account.password});
        let answer = secret(&lease_id, self.ttl, true, &data);
        self.leases.insert(lease_id, account);
        answer
    }

    fn renew_lease(&mut self, body: &Value) -> Response {
        let (ttl, max_ttl) = (self.ttl, self.max_ttl);
        let id = body["lease_id"].as_str().unwrap_or_default();
        let is_form = body["increment"].is_u64() && body.as_object().unwrap().len() == 2;
        let account = self.leases.get_mut(id).filter(|it| it.term.is_alive());
        match account {
            Some(account) if is_form => {
                secret(id, account.term.renew(ttl, max_ttl), true, &Value::Null)
            }
            _ => errors(StatusCode::BAD_REQUEST, &["lease not found"]),
        }
    }

    fn kv(&self, path: &str, is_second: bool) -> Response {
        let Some(fields) = self.secrets.get(path) else {
            return errors(StatusCode::NOT_FOUND, &[]);
        };
        if !is_second {
            return secret("", 2_764_800, false, &json!(fields));
        }
        let metadata = json!({
            "created_time": "2026-03-22T02:24:06.945319214Z", "custom_metadata": null,
            "deletion_time": "", "destroyed": false, "version": 2,
        });
        let data = json!({"data": fields, "metadata": metadata});
        secret("", 0, false, &data)
    }
}

fn answer(
    state: &Mutex<State>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let mut state = state.lock().unwrap();
    let what = format!("{method} {uri}");
    state.asked.push(what.clone());
    if state.sealed {
        return errors(StatusCode::SERVICE_UNAVAILABLE, &["Vault is sealed"]);
    }
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if field("x-vault-request") != Some("true") {
        return state.wrong(what);
    }
    let body = match (body.is_empty(), field("content-type")) {
        (true, _) => Value::Null,
        (false, Some("application/json")) => serde_json::from_slice(body).unwrap(),
        _ => return state.wrong(what),
    };
    let token = field("x-vault-token").map(str::to_owned);
    if what == "POST /v1/auth/approle/login" {
        return match token {
            None => state.log_in(&body),
            Some(_) => state.wrong(what),
        };
    }
    let Some(token) = token.filter(|token| state.is_token(token)) else {
        return errors(StatusCode::FORBIDDEN, &["permission denied"]);
    };
    match what.split_once(" /v1/").unwrap() {
        ("GET", "auth/token/lookup-self") => {
            let ttl = state.tokens[&token].left();
            secret(
                "",
                0,
                false,
                &json!({"id": token, "ttl": ttl, "renewable": true}),
            )
        }
        ("POST", "auth/token/renew-self") if body == json!({}) => state.renew_token(&token),
        ("PUT", "sys/leases/renew") => state.renew_lease(&body),
        ("GET", path) => match path.split_once('/') {
            Some(("database", path)) => match path.strip_prefix("creds/") {
                Some(role) => state.lease(&token, role),
                None => state.wrong(what),
            },
            Some(("kv", path)) => state.kv(path, false),
            Some(("secret", "data/soma/default/endless")) => Body::from_stream(stream::repeat(
                Ok::<_, std::convert::Infallible>(Bytes::from_static(b"{\"data\":          ")),
            ))
            .into_response(),
            Some(("secret", "data/soma/default/moved")) => {
                let to = "/v1/secret/data/soma/default/ci/github";
                (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response()
            }
            Some(("secret", "data/soma/default/silent")) => {
                Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
                    .into_response()
            }
            Some(("secret", path)) if path.starts_with("data/") => {
                state.kv(&path["data/".len()..], true)
            }
            _ => state.wrong(what),
        },
        _ => state.wrong(what),
    }
}

fn auth(token: &str, seconds: u64) -> Response {
    axum::Json(json!({
        "request_id": "1", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": null, "wrap_info": null, "warnings": null,
        "auth": {
            "client_token": token, "accessor": "a", "policies": ["default", "soma"],
            "token_policies": ["default", "soma"], "metadata": {}, "lease_duration": seconds,
            "renewable": true, "entity_id": "e", "token_type": "service", "orphan": true,
        },
    }))
    .into_response()
}

fn secret(lease_id: &str, seconds: u64, renewable: bool, data: &Value) -> Response {
    axum::Json(json!({
        "request_id": "1", "lease_id": lease_id, "renewable": renewable,
        "lease_duration": seconds, "data": data, "wrap_info": null, "warnings": null,
        "auth": null,
    }))
    .into_response()
}

fn errors(status: StatusCode, words: &[&str]) -> Response {
    (status, axum::Json(json!({ "errors": words }))).into_response()
}
