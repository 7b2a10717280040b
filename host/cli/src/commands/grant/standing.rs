//! What a capsule asks for and what it got, as an administrator reads and changes it.

use std::io::{self, Write};

use jiff::Timestamp;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use soma_capability::{
    Capabilities, CapsuleName, ConfigKey, Grant, HttpCapability, HttpGrant, KvCapability,
    ToolCapability, ToolPattern,
};

use crate::client::{Body, Client, HostArgs, of_tenant};
use crate::failure::Failure;
use crate::screen::{faint, visible};

#[derive(clap::Args)]
pub(crate) struct Target {
    /// NAMESPACE/NAME of an installed capsule
    pub(crate) capsule: CapsuleName,

    /// The tenant whose capsule it is [default: the key's own]
    #[arg(long)]
    tenant: Option<String>,

    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// What a capsule asks for, and what it got.
pub(crate) struct Standing {
    pub(crate) asked: Capabilities,
    pub(crate) granted: Option<Grant>,
    /// When what is granted ends.
    pub(crate) end: Option<Timestamp>,
    pub(crate) value: Value,
}

impl Target {
    pub(crate) async fn send(
        &self,
        client: &Client,
        method: Method,
        body: Body,
    ) -> Result<Value, Failure> {
        send(client, &self.capsule, self.tenant.as_deref(), method, body).await
    }

    /// What names the tenant in a request.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        of_tenant(self.tenant.as_deref())
    }

    pub(crate) async fn standing(&self, client: &Client) -> Result<Standing, Failure> {
        Standing::read(self.send(client, Method::GET, Body::None).await?)
    }
}

pub(super) async fn send(
    client: &Client,
    capsule: &CapsuleName,
    tenant: Option<&str>,
    method: Method,
    body: Body,
) -> Result<Value, Failure> {
    let path = ["admin", "grants", capsule.namespace(), capsule.name()];
    client
        .send_with(method, &path, &of_tenant(tenant), body)
        .await
}

impl Standing {
    pub(crate) fn read(value: Value) -> Result<Self, Failure> {
        let granted = &value["granted"];
        Ok(Self {
            asked: read(&value["asked"])?,
            granted: read(&granted["grant"])?,
            end: read(&granted["expires_at"])?,
            value,
        })
    }

    /// Whether there is a grant that does not hold any more.
    pub(super) fn has_ended(&self) -> bool {
        self.value["granted"].is_null() && self.value["revision"].is_string()
    }

    /// Asks for this in the place of what was read; not if somebody changed that meanwhile, settings
    /// above all.
    pub(crate) fn changed(&self, grant: &Grant, end: Option<Timestamp>) -> Body {
        let wanted = json!({
            "grant": grant,
            "expires_at": end,
            "replaces": self.value["revision"],
        });
        Body::Json(wanted.to_string())
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(Failure::damaged)
}

/// What is asked, in words, each with its author's reason below it.
pub(crate) fn show_asked(asked: &Capabilities, out: &mut dyn Write) -> io::Result<()> {
    let sentences = asked.sentences();
    if sentences.is_empty() {
        writeln!(out, "  nothing")?;
    }
    for sentence in sentences {
        writeln!(out, "  {}", visible(&sentence.asks))?;
        if let Some(why) = sentence.why {
            writeln!(out, "    {}", faint(why))?;
        }
    }
    Ok(())
}

/// The settings that are asked for and have no value.
pub(super) fn unset<'a>(
    asked: &'a Capabilities,
    granted: &'a Grant,
) -> impl Iterator<Item = &'a ConfigKey> {
    let asked = asked.config.iter().map(|asked| &asked.key);
    asked.filter(|key| granted.config.get(key).is_none())
}

/// One line for each thing that is granted.
pub(super) fn lines(grant: &Grant) -> Vec<String> {
    let entry = |entry: &HttpGrant| {
        let credential = entry.credential.as_ref();
        let credential = credential.map_or_else(String::new, |it| format!(" with `{it}`"));
        let addresses: Vec<String> = entry.addresses.iter().map(ToString::to_string).collect();
        let addresses = match addresses.as_slice() {
            [] => String::new(),
            some => format!(" at {}", some.join(", ")),
        };
        let mut tls = String::new();
        if let Some(name) = &entry.client_certificate {
            tls = format!(", as the client of the certificate `{name}`");
        }
        if let Some(ca) = &entry.ca {
            let all: Vec<String> = ca.fingerprints().map(|it| format!("sha256:{it}")).collect();
            tls = format!("{tls}, vouched for by {}", all.join(" or "));
        }
        let requests = entry.to_string();
        let every = match entry.hides_operations() {
            true => ", every operation",
            false => "",
        };
        let line = move |requests: &str| format!("{requests}{every}{credential}{addresses}{tls}");
        requests.lines().map(line).collect::<Vec<_>>()
    };
    let store = |kv: &KvCapability| format!("a store of {} KiB", kv.quota_kib);
    let store = grant.kv.iter().map(store);
    let tools = grant.tools.iter().map(|tool| format!("the tool {tool}"));
    let setting = |(key, value)| format!("setting `{key}`: {value}");
    let settings = grant.config.iter().map(setting);
    let http = grant.http.iter().flat_map(entry);
    let links = grant.links.iter().flat_map(entry);
    let links = links.map(|line| format!("links to {line}"));
    http.chain(links)
        .chain(store)
        .chain(tools)
        .chain(settings)
        .collect()
}

/// What is granted although nothing asks for any of it.
pub(super) fn vain(asked: &Capabilities, grant: &Grant) -> Vec<String> {
    let reaches = |asked: &[HttpCapability], entry: &HttpGrant| {
        asked.iter().any(|asked| {
            let origins = asked.origin.covers(&entry.origin) || entry.origin.covers(&asked.origin);
            origins && asked.methods.iter().any(|it| entry.methods.contains(it))
        })
    };
    let vain = grant
        .http
        .iter()
        .filter(|entry| !reaches(&asked.http, entry));
    let links = grant.links.iter();
    let links = links.filter(|entry| !reaches(&asked.links, entry));
    let links = links.map(|entry| format!("links to {entry}"));
    let vain = vain.map(ToString::to_string).chain(links);
    let store = grant.kv.filter(|_| asked.kv.is_none());
    let vain = vain.chain(store.map(|_| "a store".to_owned()));
    let wanted: Vec<ToolPattern> = asked
        .tools
        .iter()
        .flat_map(ToolCapability::patterns)
        .collect();
    let tools = grant.tools.iter();
    let tools = tools.filter(|tool| !wanted.iter().any(|wanted| wanted.meets(tool)));
    let vain = vain.chain(tools.map(|tool| format!("the tool {tool}")));
    let settings = grant.config.iter().map(|(key, _)| key);
    let settings = settings.filter(|key| !asked.asks_setting(key));
    vain.chain(settings.map(|key| format!("setting `{key}`")))
        .collect()
}
