//! `soma tenant`: who a host keeps apart.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::passphrase;
use crate::screen::{Screen, table};

#[derive(clap::Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant
    #[command(after_help = "Example:\n  soma tenant create acme")]
    Create(Named),
    /// List the tenants
    #[command(after_help = "Example:\n  soma tenant list")]
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Refuse everything to a tenant's keys, until it is resumed
    #[command(after_help = "Example:\n  soma tenant suspend acme")]
    Suspend(Named),
    /// Serve a suspended tenant again
    #[command(after_help = "Example:\n  soma tenant resume acme")]
    Resume(Named),
    /// Delete a tenant with its keys, capsules, grants and secrets
    #[command(after_help = "Example:\n  soma tenant delete acme")]
    Delete(Delete),
}

#[derive(clap::Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    named: Named,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(clap::Args)]
pub(crate) struct Named {
    /// The tenant
    name: String,

    #[command(flatten)]
    host: HostArgs,
}

const TENANTS: [&str; 2] = ["admin", "tenants"];

impl Tenant {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Create(named) => create(named, screen).await,
            Self::List { host } => list(host, screen).await,
            Self::Suspend(named) => {
                change(named, Method::POST, Some("suspend"), "suspended", screen).await
            }
            Self::Resume(named) => {
                change(named, Method::POST, Some("resume"), "resumed", screen).await
            }
            Self::Delete(Delete { named, yes }) => {
                let name = &named.name;
                let question =
                    format!("Delete the tenant {name} with its keys, capsules and secrets?");
                passphrase::agree(yes, &question)?;
                change(named, Method::DELETE, None, "deleted", screen).await
            }
        }
    }
}

async fn create(Named { name, host }: Named, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(host, LocalKey::Admin)?;
    let body = Body::Json(json!({"name": name}).to_string());
    let tenant = client.send(Method::POST, &TENANTS, body).await?;
    screen.show(&tenant, |out| {
        writeln!(out, "created: {name}")?;
        writeln!(out, "`soma key create --tenant {name}` makes a key for it.")
    })
}

async fn list(host: HostArgs, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(host, LocalKey::Admin)?;
    let list = client.get(&TENANTS, &[]).await?;
    let tenants = list["tenants"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = tenants
        .map(|tenant| {
            let state = if tenant["suspended_at"].is_null() {
                "active"
            } else {
                "suspended"
            };
            vec![
                text(&tenant["name"]),
                state.to_owned(),
                text(&tenant["created_at"]),
            ]
        })
        .collect();
    screen.show(&list, |out| {
        table(
            out,
            &["tenant", "state", "created"],
            rows,
            "There are no tenants.",
        )
    })
}

async fn change(
    Named { name, host }: Named,
    method: Method,
    action: Option<&str>,
    done: &str,
    screen: Screen,
) -> Result<(), Failure> {
    let client = Client::new(host, LocalKey::Admin)?;
    let mut path = vec![TENANTS[0], TENANTS[1], &name];
    path.extend(action);
    client.send(method, &path, Body::None).await?;
    screen.show(&json!({done: name}), |out| writeln!(out, "{done}: {name}"))
}
