//! `soma config`: the settings of a capsule, which its operator gives values. They are a part of what
//! is granted to it, and end with that.

use reqwest::Method;
use serde_json::json;
use soma_capability::{Capabilities, ConfigKey, Grant, Setting};

use super::grant::Target;
use crate::client::{Client, LocalKey};
use crate::failure::{Exit, Failure};
use crate::screen::{Screen, table, visible};

#[derive(clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// List the settings that a capsule asks for, with their values
    #[command(after_help = "Example:\n  soma config list acme/weather")]
    List(Target),
    Set(Set),
    Unset(Unset),
}

/// Give settings their values; the next call has them
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma config set acme/weather region=eu-1 units=metric

Values are no secrets: the capsule sees them, and so do the log and the audit log. `soma secret` keeps
what must not be seen.")]
pub(crate) struct Set {
    #[command(flatten)]
    target: Target,

    /// KEY=VALUE of settings that it asks for
    #[arg(required = true, value_name = "SETTING")]
    settings: Vec<Setting>,
}

/// Take the values of settings away
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma config unset acme/weather units")]
pub(crate) struct Unset {
    #[command(flatten)]
    target: Target,

    /// Names of settings
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<ConfigKey>,
}

impl ConfigCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::List(target) => list(&target, screen).await,
            Self::Set(set) => set.run(screen).await,
            Self::Unset(unset) => unset.run(screen).await,
        }
    }
}

async fn list(target: &Target, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    let standing = target.standing(&client).await?;
    show(
        &standing.asked,
        &standing.granted.unwrap_or_default(),
        screen,
    )
}

impl Set {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let settings = self.settings;
        change(&self.target, screen, |asked, grant| {
            for setting in settings {
                require_asked(asked, &setting.key)?;
                grant.config.set(setting).map_err(Failure::usage)?;
            }
            Ok(())
        })
        .await
    }
}

impl Unset {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let keys = self.keys;
        change(&self.target, screen, |_, grant| {
            for key in keys {
                if !grant.config.unset(&key) {
                    let words = format_args!("the setting `{key}` has no value");
                    return Err(Failure::new(Exit::NotFound, words));
                }
            }
            Ok(())
        })
        .await
    }
}

fn require_asked(asked: &Capabilities, key: &ConfigKey) -> Result<(), Failure> {
    if asked.asks_setting(key) {
        return Ok(());
    }
    let known = asked.config.iter().map(|asked| format!("`{}`", asked.key));
    let known: Vec<String> = known.collect();
    let known = match known.as_slice() {
        [] => "it asks for none".to_owned(),
        some => format!("it asks for {}", some.join(", ")),
    };
    let words = format_args!("the capsule asks for no setting `{key}`");
    Err(Failure::new(Exit::NotFound, words).hint(known))
}

/// Changes what is granted in its settings alone.
async fn change(
    target: &Target,
    screen: Screen,
    change: impl FnOnce(&Capabilities, &mut Grant) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    let mut standing = target.standing(&client).await?;
    let mut grant = standing.granted.take().unwrap_or_default();
    change(&standing.asked, &mut grant)?;
    if let Some(why) = standing.why_ended() {
        let capsule = &target.capsule;
        screen.aside(&format!(
            "what was granted to {capsule} holds no more ({why}): from now on it has these settings \
             and nothing else"
        ));
    }
    let body = standing.changed(&grant, standing.end);
    target.send(&client, Method::PUT, body).await?;
    show(&standing.asked, &grant, screen)
}

fn show(asked: &Capabilities, granted: &Grant, screen: Screen) -> Result<(), Failure> {
    let value = |key| granted.config.get(key);
    let rows = asked.config.iter().map(|asked| {
        vec![
            asked.key.to_string(),
            value(&asked.key).map_or("-".to_owned(), visible),
            visible(&asked.why),
        ]
    });
    let rows = rows.collect();
    let settings = asked
        .config
        .iter()
        .map(|asked| json!({"key": asked.key, "value": value(&asked.key), "why": asked.why}));
    let settings: Vec<_> = settings.collect();
    screen.show(&json!({"settings": settings}), |out| {
        table(
            out,
            &["setting", "value", "what for"],
            rows,
            "It asks for no settings.",
        )
    })
}
