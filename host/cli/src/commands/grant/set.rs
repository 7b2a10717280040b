//! `soma grant set`: all that a capsule is granted, anew.

use std::path::{Path, PathBuf};

use clap::builder::RangedI64ValueParser;
use jiff::Timestamp;
use soma_capability::{
    AddressRange, Authorities, Capabilities, CredentialName, Grant, HttpGrant, KvCapability,
    ToolPattern,
};

use super::compared::without_effect;
use super::{Target, everything, lines, read};
use crate::client::{Client, LocalKey};
use crate::clock::time;
use crate::failure::Failure;
use crate::named_file::{self, MAX_TEXT_BYTES};
use crate::passphrase;
use crate::screen::{Screen, visible};

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
    #[arg(long, value_name = "KIB", value_parser = RangedI64ValueParser::<u64>::from(1..=1 << 20),
          allow_negative_numbers = true, conflicts_with_all = ["all", "file"])]
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

impl Set {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
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
            let grant = read(path)?;
            let mut grant = grant.ok_or_else(|| Failure::unreadable(path, "there is none"))?;
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
    let text = text.map_err(|e| Failure::unreadable(path, e))?;
    text.parse()
        .map_err(|e| Failure::usage(format_args!("{shown}: {e}")))
}
