//! Where a host reads a value, in one word of the command line's.

use serde_json::{Value, json};
use soma_capability::CredentialName;

/// A place that a host reads for a tenant.
#[derive(Clone)]
pub(super) enum Place {
    /// The kind, and the name where it is not the credential's.
    Named(&'static str, Option<CredentialName>),
    VaultKv {
        path: String,
        field: String,
    },
    VaultDatabase {
        role: String,
    },
}

/// `env[:NAME]`, `file[:NAME]`, `vault:PATH[#FIELD]`, `vault-database:ROLE`.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let (kind, rest) = match text.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (text, None),
    };
    let name = || rest.map(str::parse).transpose();
    let name = || name().map_err(|error: soma_capability::AskedNameError| error.to_string());
    match (kind, rest) {
        ("env", _) => Ok(Place::Named("env", name()?)),
        ("file", _) => Ok(Place::Named("file", name()?)),
        ("vault", Some(rest)) => {
            let (path, field) = rest.split_once('#').unwrap_or((rest, "value"));
            let (path, field) = (path.to_owned(), field.to_owned());
            Ok(Place::VaultKv { path, field })
        }
        ("vault-database", Some(role)) => Ok(Place::VaultDatabase {
            role: role.to_owned(),
        }),
        _ => Err(
            "it is env[:NAME], file[:NAME], vault:PATH[#FIELD] or vault-database:ROLE".to_owned(),
        ),
    }
}

impl Place {
    /// Whether a user comes with it.
    pub(super) fn has_user(&self) -> bool {
        matches!(self, Self::VaultDatabase { .. })
    }

    /// As the host takes it, for the credential of this name.
    pub(super) fn wanted(&self, own: &CredentialName) -> Value {
        match self {
            Self::Named(kind, name) => json!({"kind": kind, "name": name.as_ref().unwrap_or(own)}),
            Self::VaultKv { path, field } => {
                json!({"kind": "vault-kv", "path": path, "field": field})
            }
            Self::VaultDatabase { role } => json!({"kind": "vault-database", "role": role}),
        }
    }
}

/// A host's word on where it reads one; none where it keeps the value itself.
pub(super) fn shown(source: &Value) -> Option<String> {
    let text = |member: &str| source[member].as_str().unwrap_or_default();
    Some(match source["kind"].as_str()? {
        "vault-kv" => format!("vault:{}#{}", text("path"), text("field")),
        "vault-database" => format!("vault-database:{}", text("role")),
        kind => format!("{kind}:{}", text("name")),
    })
}
