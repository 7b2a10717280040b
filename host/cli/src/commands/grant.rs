//! `soma grant`: what an operator gives to a capsule.

mod compared;
mod learn;
mod standing;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use soma_capability::{
    AddressRange, Authorities, Capabilities, CapsuleName, CredentialName, Grant, HttpGrant,
    KvCapability, ToolCapability, ToolPattern,
};

use self::compared::{Compared, without_effect};
pub(crate) use self::standing::{Standing, Target};
use self::standing::{lines, say_unset, send, unset};
use crate::asked::{self, wishes};
use crate::client::{Body, Client, LocalKey};
use crate::clock::time;
use crate::failure::Failure;
use crate::named_file::{self, MAX_TEXT_BYTES};
use crate::passphrase;
use crate::screen::{Screen, strong, visible};

#[derive(clap::Subcommand)]
pub(crate) enum GrantCommand {
    /// Show what a capsule asks for, and what of it is granted
    #[command(after_help = "Example:\n  soma grant show acme/weather")]
    Show(Target),
    Set(Box<Set>),
    /// Take back everything that is granted to a capsule
    #[command(after_help = "Example:\n  soma grant revoke acme/weather")]
    Revoke(Target),
    /// Show what is asked and not granted, whole or in part, and what is granted and not asked
    #[command(after_help = "Example:\n  soma grant diff acme/weather")]
    Diff(Target),
    Learn(learn::Learn),
    Learned(learn::Learned),
}

/// Grant this to a capsule, and nothing of what was granted before
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma grant set acme/weather --http 'GET https://api.example.com/v1/**'
  soma grant set acme/issues --http 'POST https://api.example.com/graphql query issues'
  soma grant set acme/weather --all
  soma grant set acme/notes --kv 1024
  soma grant set acme/report --tool acme/notes/read --tool 'soma/jq/*'
  soma grant set acme/weather --file weather.toml --expires 2027-01-01T00:00:00Z

A capsule gets what it asks for and what is granted, both. `soma grant show` lists what it asks for.")]
pub(crate) struct Set {
    #[command(flatten)]
    target: Target,

    /// Requests: METHOD[,METHOD…] ORIGIN/PATH [OPERATION, …], with `{name}` for one segment and `**`
    /// for the rest, `query FIELD` or `mutation FIELD` for operations of GraphQL, and names for
    /// actions of AWS; may be given more than once
    #[arg(long = "http", value_name = "REQUESTS", conflicts_with_all = ["all", "file"])]
    http: Vec<HttpGrant>,

    /// The credential that accompanies the requests of --http, where the capsule asks for it
    #[arg(long, value_name = "NAME", requires = "http", conflicts_with_all = ["all", "file"])]
    credential: Option<CredentialName>,

    /// An address or network in a range that is closed otherwise (loopback, private and the like),
    /// to which the hosts of --http may lead; may be given more than once
    #[arg(long = "address", value_name = "RANGE", requires = "http", conflicts_with_all = ["all", "file"])]
    addresses: Vec<AddressRange>,

    /// A PEM file of the authorities that the servers of --http must be vouched for by, in the place of
    /// everybody's
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with_all = ["all", "file"])]
    ca: Option<PathBuf>,

    /// The secret whose certificate is shown to the servers of --http, where they ask for one (`soma
    /// secret set NAME --client-certificate`)
    #[arg(long, value_name = "NAME", requires = "http", conflicts_with_all = ["all", "file"])]
    client_certificate: Option<CredentialName>,

    /// A store of its own, of so many kibibytes, where it asks for one
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20),
          conflicts_with_all = ["all", "file"])]
    kv: Option<u64>,

    /// Another capsule's tool, NAMESPACE/NAME/TOOL or NAMESPACE/NAME/* for all of them, where it asks
    /// for it; may be given more than once
    #[arg(long = "tool", value_name = "TOOL", conflicts_with_all = ["all", "file"])]
    tools: Vec<ToolPattern>,

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

impl GrantCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Show(target) => show(target, screen).await,
            Self::Set(set) => set.run(screen).await,
            Self::Revoke(target) => revoke(target, screen).await,
            Self::Diff(target) => diff(target, screen).await,
            Self::Learn(learn) => learn.run(screen).await,
            Self::Learned(learned) => learned.run(screen).await,
        }
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
    let granted = standing.granted.clone().unwrap_or_default();
    let unset: Vec<String> = unset(&standing.asked, &granted)
        .map(|key| format!("{key}=…"))
        .collect();
    if !unset.is_empty() {
        let unset = unset.join(" ");
        screen.aside(&format!(
            "{capsule} has settings without a value: `soma config set {capsule} {unset}` gives them one"
        ));
    }
    let mut all = granted.clone();
    let asked = everything(&standing.asked);
    let missing = asked.http.into_iter();
    all.http
        .extend(missing.filter(|asked| !granted.http.iter().any(|it| is_same(it, asked))));
    let missing = asked.links.into_iter();
    all.links
        .extend(missing.filter(|asked| !granted.links.contains(asked)));
    let has_room = |asked| granted.kv.is_some_and(|granted| granted.covers(asked));
    if let Some(kv) = asked.kv.filter(|asked| !has_room(*asked)) {
        all.kv = Some(kv);
    }
    let missing = asked.tools.into_iter();
    all.tools
        .extend(missing.filter(|asked| !granted.tools.iter().any(|it| it.includes(asked))));
    if all == granted {
        return Ok(());
    }
    screen.aside(&format!(
        "{capsule} asks for more than it has been granted:"
    ));
    for wish in wishes(&standing.asked) {
        screen.aside(&format!("  {}", wish.asks));
        if let Some(why) = wish.why {
            screen.aside(&format!("    {why}"));
        }
    }
    let agreed = io::stdin().is_terminal()
        && passphrase::confirm(&format!("Grant all of it to {capsule}?"))?;
    if !agreed {
        screen.aside(&format!(
            "`soma grant set {capsule} --all --yes` grants it, `soma grant set --help` less"
        ));
        return Ok(());
    }
    let body = standing.changed(&all, standing.end);
    let value = send(client, capsule, tenant, Method::PUT, body).await?;
    screen.aside(&format!("granted: {capsule}"));
    say_unset(&value, tenant, screen);
    Ok(())
}

async fn show(target: Target, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    let standing = target.standing(&client).await?;
    screen.show(&standing.value, |out| {
        writeln!(out, "{} asks for", strong(&target.capsule.to_string()))?;
        asked::show(&standing.asked, out)?;
        let granted = standing.granted.clone().unwrap_or_default();
        writeln!(out, "{}", strong("granted"))?;
        if let Some(why) = standing.why_ended() {
            writeln!(out, "  nothing any more: {why}")?;
        } else if granted.is_empty() {
            writeln!(out, "  nothing")?;
        }
        for line in lines(&granted) {
            writeln!(out, "  {}", visible(&line))?;
        }
        match standing.end {
            Some(end) => writeln!(out, "  until {end}"),
            None => Ok(()),
        }
    })
}

impl Set {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        if self.expires.is_some_and(|end| end <= Timestamp::now()) {
            return Err(Failure::usage("--expires is in the past"));
        }
        let client = Client::new(self.target.host.clone(), LocalKey::Admin)?;
        let standing = self.target.standing(&client).await?;
        let grant = self.grant(&standing.asked, standing.granted.as_ref())?;
        for line in without_effect(&standing.asked, &grant) {
            screen.aside(&format!("not asked for, and so without effect: {line}"));
        }
        let capsule = &self.target.capsule;
        if self.all && grant.is_empty() {
            let words = format_args!(
                "{capsule} asks for no requests, no store and no tools: there is nothing to grant"
            );
            return Err(Failure::usage(words));
        }
        if !self.yes {
            screen.aside(&format!("{capsule} is to be given"));
            for line in lines(&grant) {
                screen.aside(&format!("  {line}"));
            }
        }
        let replaced = standing.replaced(&grant, self.expires);
        if !replaced.is_empty() {
            screen.aside(&format!("in the place of what {capsule} is granted now:"));
        }
        for line in replaced {
            screen.aside(&format!("  {line}"));
        }
        passphrase::agree(self.yes, &format!("Grant this to {capsule}?"))?;
        let body = standing.changed(&grant, self.expires);
        let value = self.target.put(&client, body, screen).await?;
        screen.show(&value, |out| {
            writeln!(out, "granted: {capsule}")?;
            for line in lines(&grant) {
                writeln!(out, "  {}", visible(&line))?;
            }
            Ok(())
        })
    }

    fn grant(&self, asked: &Capabilities, granted: Option<&Grant>) -> Result<Grant, Failure> {
        // What a setting is has nothing to do with what may be sent.
        let config = granted.map(|granted| granted.config.clone());
        let config = config.unwrap_or_default();
        if let Some(path) = &self.file {
            let mut grant = read(path)?.ok_or_else(|| {
                Failure::usage(format_args!(
                    "cannot read {}: there is none",
                    path.display()
                ))
            })?;
            if grant.config.is_empty() {
                grant.config = config;
            }
            return Ok(grant);
        }
        if self.all {
            return Ok(Grant {
                config,
                ..everything(asked)
            });
        }
        if self.http.is_empty() && self.kv.is_none() && self.tools.is_empty() {
            return Err(Failure::usage("what is to be granted?").hint(
                "give --http REQUESTS, --kv KIB, --tool TOOL, --all or --file; `soma grant revoke` \
                 takes all back",
            ));
        }
        self.check_tls()?;
        let ca = self.ca.as_deref().map(authorities).transpose()?;
        let mut http = self.http.clone();
        for entry in &mut http {
            entry.credential.clone_from(&self.credential);
            entry.addresses.clone_from(&self.addresses);
            entry.ca.clone_from(&ca);
            entry
                .client_certificate
                .clone_from(&self.client_certificate);
        }
        let kv = self.kv.map(|quota_kib| KvCapability { quota_kib });
        Ok(Grant {
            http,
            kv,
            tools: self.tools.clone(),
            config,
            ..Grant::default()
        })
    }

    /// What is said of connections is of all of them, and means something on those of TLS alone.
    fn check_tls(&self) -> Result<(), Failure> {
        let says = self.ca.is_some() || self.client_certificate.is_some();
        let is_plain = |entry: &&HttpGrant| entry.origin.scheme() != "https";
        match self.http.iter().find(is_plain) {
            Some(entry) if says => Err(Failure::usage(format_args!(
                "--ca and --client-certificate go with an origin of https, which {} is not",
                entry.origin
            ))
            .hint(
                "they are for every --http of the command: --file takes entries that differ in them",
            )),
            _ => Ok(()),
        }
    }
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<Authorities, Failure> {
    let shown = path.display();
    let text = named_file::text(path, MAX_TEXT_BYTES);
    let text = text.map_err(|e| Failure::usage(format_args!("cannot read {shown}: {e}")))?;
    text.parse()
        .map_err(|e| Failure::usage(format_args!("{shown}: {e}")))
}

/// Whether the same requests are granted, at whatever addresses and servers vouched for by whomever.
fn is_same(granted: &HttpGrant, asked: &HttpGrant) -> bool {
    let anywhere = HttpGrant {
        addresses: Vec::new(),
        ca: None,
        client_certificate: None,
        ..granted.clone()
    };
    anywhere == *asked
}

/// All that a capsule asks for but settings, which have no values until somebody gives them one.
fn everything(asked: &Capabilities) -> Grant {
    Grant {
        http: asked.http.iter().map(HttpGrant::from).collect(),
        links: asked.links.iter().map(HttpGrant::from).collect(),
        kv: asked.kv,
        tools: asked
            .tools
            .iter()
            .flat_map(ToolCapability::patterns)
            .collect(),
        ..Grant::default()
    }
}

/// A grant in a TOML file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Grant>, Failure> {
    let shown = path.display();
    let text = match named_file::text(path, MAX_TEXT_BYTES) {
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
    let compared = Compared::of(&standing.asked, &granted);
    screen.show(&compared, |out| {
        for (what, lines) in [
            ("asked, and not granted at all", &compared.not_granted),
            ("granted in part", &compared.in_part),
            (
                "granted without effect, since it is not asked",
                &compared.without_effect,
            ),
        ] {
            if !lines.is_empty() {
                writeln!(out, "{}", strong(what))?;
            }
            for line in lines {
                writeln!(out, "  {}", visible(line))?;
            }
        }
        if compared.is_empty() {
            writeln!(out, "Exactly what is asked is granted.")?;
        }
        Ok(())
    })
}
