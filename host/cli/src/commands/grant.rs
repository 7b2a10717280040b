//! `soma grant`: what an operator gives to a capsule.

use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use soma_capability::{AddressRange, Capabilities, CapsuleName, CredentialName, Grant, HttpGrant};

use crate::client::{Body, Client, HostArgs, LocalKey, of_tenant};
use crate::clock::time;
use crate::failure::Failure;
use crate::passphrase;
use crate::screen::{Screen, faint, strong, visible};

#[derive(clap::Subcommand)]
pub(crate) enum GrantCommand {
    /// Show what a capsule asks for, and what of it is granted
    #[command(after_help = "Example:\n  soma grant show acme/weather")]
    Show(Target),
    Set(Set),
    /// Take back everything that is granted to a capsule
    #[command(after_help = "Example:\n  soma grant revoke acme/weather")]
    Revoke(Target),
    /// Show what is asked and not granted, and what is granted and not asked
    #[command(after_help = "Example:\n  soma grant diff acme/weather")]
    Diff(Target),
}

#[derive(clap::Args)]
pub(crate) struct Target {
    /// NAMESPACE/NAME of an installed capsule
    capsule: CapsuleName,

    /// The tenant whose capsule it is [default: the key's own]
    #[arg(long)]
    tenant: Option<String>,

    #[command(flatten)]
    host: HostArgs,
}

/// Grant this to a capsule, and nothing of what was granted before
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma grant set acme/weather --http 'GET https://api.example.com/v1/**'
  soma grant set acme/weather --all
  soma grant set acme/weather --file weather.toml --expires 2027-01-01T00:00:00Z

A capsule gets what it asks for and what is granted, both. `soma grant show` lists what it asks for.")]
pub(crate) struct Set {
    #[command(flatten)]
    target: Target,

    /// Requests: METHOD[,METHOD…] ORIGIN/PATH, with `{name}` for one segment and `**` for the rest;
    /// may be given more than once
    #[arg(long = "http", value_name = "REQUESTS", conflicts_with_all = ["all", "file"])]
    http: Vec<HttpGrant>,

    /// The credential that accompanies the requests of --http, where the capsule asks for it
    #[arg(long, value_name = "NAME", requires = "http", conflicts_with_all = ["all", "file"])]
    credential: Option<CredentialName>,

    /// An address or network in a range that is closed otherwise (loopback, private and the like),
    /// to which the hosts of --http may lead; may be given more than once
    #[arg(long = "address", value_name = "RANGE", requires = "http", conflicts_with_all = ["all", "file"])]
    addresses: Vec<AddressRange>,

    /// Everything that it asks for
    #[arg(long, conflicts_with = "file")]
    all: bool,

    /// What this TOML file says (docs/grants.md)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// When it ends, as in 2027-01-01T00:00:00Z (RFC 3339) [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<Timestamp>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What a capsule asks for, and what it got.
struct Standing {
    asked: Capabilities,
    granted: Option<Grant>,
    value: Value,
}

impl GrantCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Show(target) => show(target, screen).await,
            Self::Set(set) => set.run(screen).await,
            Self::Revoke(target) => revoke(target, screen).await,
            Self::Diff(target) => diff(target, screen).await,
        }
    }
}

impl Target {
    async fn send(&self, client: &Client, method: Method, body: Body) -> Result<Value, Failure> {
        send(client, &self.capsule, self.tenant.as_deref(), method, body).await
    }

    async fn standing(&self, client: &Client) -> Result<Standing, Failure> {
        Standing::read(self.send(client, Method::GET, Body::None).await?)
    }
}

async fn send(
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
    fn read(value: Value) -> Result<Self, Failure> {
        Ok(Self {
            asked: serde_json::from_value(value["asked"].clone()).map_err(Failure::damaged)?,
            granted: serde_json::from_value(value["granted"]["grant"].clone())
                .map_err(Failure::damaged)?,
            value,
        })
    }
}

/// Of what serves from now on: says what it asks for and has not got, and asks whether it should.
pub(super) async fn offer(
    client: &Client,
    capsule: &CapsuleName,
    tenant: Option<&str>,
    screen: Screen,
) -> Result<(), Failure> {
    let standing = send(client, capsule, tenant, Method::GET, Body::None).await;
    // Who may install need not be who grants.
    let Ok(standing) = standing.and_then(Standing::read) else {
        return Ok(());
    };
    let all = Grant::all_of(&standing.asked.http);
    let having = lines(&standing.granted.unwrap_or_default());
    if lines(&all).iter().all(|line| having.contains(line)) {
        return Ok(());
    }
    screen.aside(&format!(
        "{capsule} asks for more than it has been granted:"
    ));
    for sentence in standing.asked.sentences() {
        screen.aside(&format!("  {}", sentence.asks));
        if let Some(why) = sentence.why {
            screen.aside(&format!("    {why}"));
        }
    }
    let agreed = io::stdin().is_terminal()
        && passphrase::confirm(&format!("Grant all of it to {capsule}?"))?;
    if !agreed {
        screen.aside(&format!(
            "`soma grant set {capsule} --all` grants it, `soma grant set --help` less"
        ));
        return Ok(());
    }
    let body = Body::Json(json!({"grant": all}).to_string());
    send(client, capsule, tenant, Method::PUT, body).await?;
    screen.aside(&format!("granted: {capsule}"));
    Ok(())
}

async fn show(target: Target, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    let standing = target.standing(&client).await?;
    screen.show(&standing.value, |out| {
        writeln!(out, "{} asks for", strong(&target.capsule.to_string()))?;
        show_asked(&standing.asked, out)?;
        let granted = standing.granted.unwrap_or_default();
        writeln!(out, "{}", strong("granted"))?;
        if granted.is_empty() {
            writeln!(out, "  nothing")?;
        }
        for line in lines(&granted) {
            writeln!(out, "  {}", visible(&line))?;
        }
        match standing.value["granted"]["expires_at"].as_str() {
            Some(end) => writeln!(out, "  until {}", visible(end)),
            None => Ok(()),
        }
    })
}

/// What is asked, in words, each with its author's reason below it.
pub(super) fn show_asked(asked: &Capabilities, out: &mut dyn Write) -> io::Result<()> {
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

impl Set {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.target.host.clone(), LocalKey::Admin)?;
        let standing = self.target.standing(&client).await?;
        let grant = self.grant(&standing.asked)?;
        let vain = vain(&standing.asked, &grant);
        for line in &vain {
            screen.aside(&format!("not asked for, and so without effect: {line}"));
        }
        let capsule = &self.target.capsule;
        if !self.yes {
            screen.aside(&format!("{capsule} is to be given"));
            for line in lines(&grant) {
                screen.aside(&format!("  {line}"));
            }
            passphrase::agree(false, &format!("Grant this to {capsule}?"))?;
        }
        let wanted = json!({"grant": grant, "expires_at": self.expires});
        let body = Body::Json(wanted.to_string());
        let value = self.target.send(&client, Method::PUT, body).await?;
        screen.show(&value, |out| {
            writeln!(out, "granted: {capsule}")?;
            for line in lines(&grant) {
                writeln!(out, "  {}", visible(&line))?;
            }
            Ok(())
        })
    }

    fn grant(&self, asked: &Capabilities) -> Result<Grant, Failure> {
        if let Some(path) = &self.file {
            return read(path)?.ok_or_else(|| {
                Failure::usage(format_args!(
                    "cannot read {}: there is none",
                    path.display()
                ))
            });
        }
        if self.all {
            return Ok(Grant::all_of(&asked.http));
        }
        if self.http.is_empty() {
            return Err(Failure::usage("what is to be granted?").hint(
                "give --http REQUESTS, --all or --file; `soma grant revoke` takes all back",
            ));
        }
        let mut http = self.http.clone();
        for entry in &mut http {
            entry.credential.clone_from(&self.credential);
            entry.addresses.clone_from(&self.addresses);
        }
        Ok(Grant { http })
    }
}

/// A grant in a TOML file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Grant>, Failure> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|e| Failure::usage(format_args!("cannot read {shown}: {e}")))?,
    };
    let grant = toml::from_str(&text);
    let grant = grant.map_err(|e| Failure::usage(format_args!("{shown} is no grant: {e}")))?;
    Ok(Some(grant))
}

async fn revoke(target: Target, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    target.send(&client, Method::DELETE, Body::None).await?;
    let capsule = &target.capsule;
    screen.show(&json!({"revoked": capsule}), |out| {
        writeln!(out, "nothing is granted to {capsule} any more")
    })
}

async fn diff(target: Target, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    let standing = target.standing(&client).await?;
    let granted = standing.granted.unwrap_or_default();
    let wanting = lines(&Grant::all_of(&standing.asked.http));
    let having = lines(&granted);
    let missing: Vec<&String> = wanting.iter().filter(|it| !having.contains(it)).collect();
    let extra: Vec<&String> = having.iter().filter(|it| !wanting.contains(it)).collect();
    screen.show(&json!({"asked": missing, "granted": extra}), |out| {
        for line in &missing {
            writeln!(out, "- asked, not granted as such: {}", visible(line))?;
        }
        for line in &extra {
            writeln!(out, "+ granted, not asked as such: {}", visible(line))?;
        }
        if missing.is_empty() && extra.is_empty() {
            writeln!(out, "Exactly what is asked is granted.")?;
        }
        Ok(())
    })
}

/// One line for each thing that is granted.
fn lines(grant: &Grant) -> Vec<String> {
    let entry = |entry: &HttpGrant| {
        let credential = entry.credential.as_ref();
        let credential = credential.map_or_else(String::new, |it| format!(" with `{it}`"));
        let addresses: Vec<String> = entry.addresses.iter().map(ToString::to_string).collect();
        let addresses = match addresses.as_slice() {
            [] => String::new(),
            some => format!(" at {}", some.join(", ")),
        };
        let requests = entry.to_string();
        let line = move |requests: &str| format!("{requests}{credential}{addresses}");
        requests.lines().map(line).collect::<Vec<_>>()
    };
    grant.http.iter().flat_map(entry).collect()
}

/// What is granted although nothing asks for any of it.
fn vain(asked: &Capabilities, grant: &Grant) -> Vec<String> {
    let reaches = |entry: &HttpGrant| {
        asked.http.iter().any(|asked| {
            let origins = asked.origin.covers(&entry.origin) || entry.origin.covers(&asked.origin);
            origins && asked.methods.iter().any(|it| entry.methods.contains(it))
        })
    };
    let vain = grant.http.iter().filter(|entry| !reaches(entry));
    vain.map(ToString::to_string).collect()
}
