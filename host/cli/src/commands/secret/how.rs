//! What is to become of a value: how it is shown to servers, or what it is exchanged for.

use clap::ArgGroup;
use reqwest::Url;
use serde_json::{Value, json};

/// Without any of these it is a bearer's token.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("how").args(["basic", "header", "query", "sigv4", "oauth", "google", "client_certificate"]))]
pub(super) struct How {
    /// Show it as HTTP Basic, with this user; the value is the password
    #[arg(long, value_name = "USER")]
    basic: Option<String>,

    /// Show it in this header field
    #[arg(long, value_name = "FIELD")]
    header: Option<String>,

    /// Show it in this parameter of the query, which servers and proxies log
    #[arg(long, value_name = "PARAMETER")]
    query: Option<String>,

    /// Sign requests with it as AWS wants it, for this access key; the value is the secret key, and on
    /// a second line the session's token, where there is one
    #[arg(
        long,
        value_name = "ACCESS_KEY_ID",
        requires = "region",
        requires = "service"
    )]
    sigv4: Option<String>,

    /// The region that --sigv4 is for, as in eu-central-1
    #[arg(long, requires = "sigv4")]
    region: Option<String>,

    /// The service that --sigv4 is for, as in s3
    #[arg(long, requires = "sigv4")]
    service: Option<String>,

    /// Exchange it at this address for a token (OAuth 2.0); the value is the client's secret
    #[arg(long, value_name = "TOKEN_URL", requires = "client_id")]
    oauth: Option<Url>,

    #[command(flatten)]
    client: OauthClient,

    /// With --oauth: the value is a refresh token, and on a second line the client's secret, where it
    /// has one
    #[arg(long, requires = "oauth")]
    refresh: bool,

    /// Exchange it for a token of a service account's; the value is its key, in JSON
    #[arg(long, requires = "scopes")]
    google: bool,

    /// Show it to servers that ask who connects, where a grant names it as its client certificate; the
    /// value is the certificate, those that vouch for it, and its key, in PEM
    #[arg(long)]
    client_certificate: bool,
}

/// A client that an authorization server knows.
#[derive(clap::Args)]
pub(super) struct OauthClient {
    /// The id of the OAuth client
    #[arg(long, value_name = "ID")]
    pub(super) client_id: Option<String>,

    /// A scope of the token; may be given more than once
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,

    /// Where the client's secret goes: as HTTP Basic, or in the request's body
    #[arg(long, value_name = "HOW", default_value = "basic", value_parser = ["basic", "body"])]
    pub(super) client_auth: String,
}

impl How {
    /// Where nobody says.
    pub(super) fn usual() -> Value {
        json!({"kind": "bearer"})
    }

    /// What was said, as the host takes it.
    pub(super) fn given(&self) -> Option<Value> {
        if let Some(user) = &self.basic {
            return Some(json!({"kind": "basic", "user": user}));
        }
        if let Some(name) = &self.header {
            return Some(json!({"kind": "header", "name": name.to_lowercase()}));
        }
        if let Some(name) = &self.query {
            return Some(json!({"kind": "query", "name": name}));
        }
        if let Some(id) = &self.sigv4 {
            let (region, service) = (&self.region, &self.service);
            return Some(json!({
                "kind": "sigv4", "access_key_id": id, "region": region, "service": service,
            }));
        }
        if let Some(url) = &self.oauth {
            let kind = if self.refresh {
                "oauth-refresh"
            } else {
                "oauth-client"
            };
            return Some(self.client.kind(kind, url));
        }
        if self.google {
            let scopes = &self.client.scopes;
            return Some(json!({"kind": "google-service-account", "scopes": scopes}));
        }
        self.client_certificate
            .then(|| json!({"kind": "client-certificate"}))
    }
}

impl OauthClient {
    /// As the host takes it.
    pub(super) fn kind(&self, kind: &str, token_url: &Url) -> Value {
        json!({
            "kind": kind,
            "token_url": token_url,
            "client_id": self.client_id,
            "scopes": self.scopes,
            "client_auth": self.client_auth,
        })
    }
}

/// A host's word on how one is shown, for people.
pub(super) fn shown(kind: &Value) -> String {
    let text = |member: &str| kind[member].as_str().unwrap_or_default();
    match text("kind") {
        "basic" if text("user").is_empty() => "basic".to_owned(),
        "basic" => format!("basic, user {}", text("user")),
        "header" => format!("the field {}", text("name")),
        "query" => format!("the parameter {}", text("name")),
        "sigv4" => format!(
            "AWS signature of {} for {} in {}",
            text("access_key_id"),
            text("service"),
            text("region")
        ),
        "oauth-client" => format!("token of the client {}", text("client_id")),
        "oauth-refresh" => format!("token of a login, client {}", text("client_id")),
        "google-service-account" => "token of a service account".to_owned(),
        "client-certificate" => "client certificate".to_owned(),
        kind => kind.to_owned(),
    }
}
