//! `soma grant`: what an operator gives to a capsule.

mod compared;
mod learn;
mod set;
mod standing;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use reqwest::Method;
use serde_json::json;
use soma_capability::{Capabilities, CapsuleName, Grant, HttpGrant, ToolCapability};

use self::compared::Compared;
pub(crate) use self::standing::{Standing, Target};
use self::standing::{lines, say_unset, send, unset};
use crate::asked::{self, wishes};
use crate::client::{Body, Client, LocalKey};
use crate::failure::Failure;
use crate::named_file::{self, MAX_TEXT_BYTES};
use crate::passphrase;
use crate::screen::{Screen, strong, visible};

#[derive(clap::Subcommand)]
pub(crate) enum GrantCommand {
    /// Show what a capsule asks for, and what of it is granted
    #[command(after_help = "Example:\n  soma grant show acme/weather")]
    Show(Target),
    Set(Box<set::Set>),
    /// Take back everything that is granted to a capsule
    #[command(after_help = "Example:\n  soma grant revoke acme/weather")]
    Revoke(Target),
    /// Show what is asked and not granted, whole or in part, and what is granted and not asked
    #[command(after_help = "Example:\n  soma grant diff acme/weather")]
    Diff(Target),
    Learn(learn::Learn),
    Learned(learn::Learned),
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
        text => text.map_err(|e| Failure::unreadable(path, e))?,
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
