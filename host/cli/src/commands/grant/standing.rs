//! What a capsule asks for and what it got, as an administrator reads and changes it.

use jiff::Timestamp;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use soma_capability::{Capabilities, CapsuleName, ConfigKey, Grant, HttpGrant, KvCapability};

use crate::client::{Body, Client, HostArgs, of_tenant};
use crate::failure::Failure;
use crate::screen::Screen;

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
    /// When what was granted ended, where it has.
    expired: Option<Timestamp>,
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

    /// Grants what is asked for in this, and says what it still takes to be of use.
    pub(super) async fn put(
        &self,
        client: &Client,
        body: Body,
        screen: Screen,
    ) -> Result<Value, Failure> {
        let value = self.send(client, Method::PUT, body).await?;
        say_unset(&value, self.tenant.as_deref(), screen);
        Ok(value)
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
            expired: read(&value["expired_at"])?,
            value,
        })
    }

    /// Why the grant that is there does not hold, where it does not.
    pub(crate) fn why_ended(&self) -> Option<String> {
        let is_there = self.value["revision"].is_string();
        let has_ended = is_there && self.value["granted"].is_null();
        has_ended.then(|| match self.expired {
            Some(end) => format!("it ended at {end}"),
            None => "it is another publisher's".to_owned(),
        })
    }

    /// What of it goes where this is granted in its place, and what comes for it, a line each; nothing
    /// where nothing goes.
    pub(super) fn replaced(&self, grant: &Grant, end: Option<Timestamp>) -> Vec<String> {
        let Some(granted) = self.granted.as_ref().filter(|it| !it.is_empty()) else {
            return Vec::new();
        };
        let whole = |grant: &Grant, end: Option<Timestamp>| {
            let mut all = lines(grant);
            all.push(match end {
                Some(end) => format!("until {end}"),
                None => "without an end".to_owned(),
            });
            all
        };
        let (old, new) = (whole(granted, self.end), whole(grant, end));
        let marked = |mark: char, these: &[String], others: &[String]| -> Vec<String> {
            let these = these.iter().filter(|it| !others.contains(it));
            // A value of a setting can have several lines, and begins none here.
            let line = |it: &String| format!("{mark} {}", it.replace('\n', "\\n"));
            these.map(line).collect()
        };
        let gone = marked('-', &old, &new);
        if gone.is_empty() {
            return gone;
        }
        [gone, marked('+', &new, &old)].concat()
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

/// Says which credentials of what was granted just now have no value.
pub(super) fn say_unset(answer: &Value, tenant: Option<&str>, screen: Screen) {
    let names = answer["unset_credentials"].as_array();
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    let of_tenant = tenant.map(|name| format!(" --tenant {name}"));
    let of_tenant = of_tenant.unwrap_or_default();
    for name in names {
        screen.aside(&format!(
            "no credential `{name}` is set: requests that need it are denied; `soma secret set \
             {name}{of_tenant}` sets it"
        ));
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(Failure::damaged)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_comes_for_it() {
        let standing = |grant: Value, end: Value| {
            let granted = json!({"grant": grant, "expires_at": end});
            Standing::read(json!({"asked": {}, "granted": granted, "revision": "r"})).unwrap()
        };
        let http = |methods: &[&str]| json!({"origin": "https://a.test", "methods": methods, "paths": ["/a", "/b"]});
        let grant = |value: Value| serde_json::from_value::<Grant>(value).unwrap();
        let end = "2026-12-01T00:00:00Z";
        let there = json!({"http": [http(&["GET"])], "kv": {"quota-kib": 16},
                           "config": {"x": "1\n+ 2"}});
        let there = standing(there, json!(end));
        let new = grant(json!({"http": [http(&["GET"])], "tools": ["soma/jq/*"]}));
        assert_eq!(
            there.replaced(&new, None),
            [
                "- a store of 16 KiB",
                "- setting `x`: 1\\n+ 2",
                "- until 2026-12-01T00:00:00Z",
                "+ the tool soma/jq/*",
                "+ without an end",
            ]
        );
        let there = standing(json!({"http": [http(&["GET"])]}), Value::Null);
        assert_eq!(there.replaced(&new, None), [""; 0]);
        let ending = there.replaced(&new, Some(end.parse().unwrap()));
        assert_eq!(ending[0], "- without an end");
        let none = json!({"asked": {}, "granted": null, "revision": null});
        let none = Standing::read(none).unwrap();
        assert_eq!(none.replaced(&new, None), [""; 0]);
    }
}
