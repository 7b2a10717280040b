//! `soma keys`: the keys that publishers sign with.

mod rotate;

use secrecy::ExposeSecret as _;
use serde_json::json;
use soma_registry::SecretKey;

use crate::failure::Failure;
use crate::keyring::{self, Keyring};
use crate::passphrase;
use crate::screen::{Screen, table};
use crate::signer::DEFAULT_KEY;

#[derive(clap::Subcommand)]
pub(crate) enum Keys {
    /// Make a key to sign with, under a passphrase
    #[command(after_help = "Examples:
  soma keys new
  soma keys new work

The passphrase, of at least 8 characters, is asked for, or taken from SOMA_PASSPHRASE. Keys are in
$XDG_CONFIG_HOME/soma/keys or ~/.config/soma/keys; SOMA_KEYS names another folder. Keep a copy: who
loses the key has to have the account recovered.")]
    New(Named),
    /// List the keys, by their public halves
    #[command(after_help = "Example:\n  soma keys list")]
    List,
    Export(Export),
    Rotate(rotate::Rotate),
}

#[derive(clap::Args)]
pub(crate) struct Named {
    /// What to call it
    #[arg(default_value = DEFAULT_KEY)]
    name: String,
}

/// Print a key's public half, or the key itself
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma keys export
  soma keys export ci --secret --yes > ci.key")]
pub(crate) struct Export {
    #[command(flatten)]
    key: Named,

    /// The key itself, under no passphrase: for --key-file. Who has it can publish in your name
    #[arg(long)]
    secret: bool,

    /// Print the secret without asking
    #[arg(long, requires = "secret")]
    yes: bool,
}

impl Keys {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::New(Named { name }) => new(&name, screen),
            Self::List => list(screen),
            Self::Export(command) => export(&command, screen),
            Self::Rotate(command) => command.run(screen).await,
        }
    }
}

fn new(name: &str, screen: Screen) -> Result<(), Failure> {
    let keyring = Keyring::open()?;
    keyring.check_free(name)?;
    if name.ends_with(".next") {
        return Err(Failure::usage(
            "`.next` ends the names of keys that are being rotated in",
        ));
    }
    let key = generate()?;
    keyring.add(name, &key, passphrase::new(name)?)?;
    let public = key.public();
    screen.show(&json!({"name": name, "public": public}), |out| {
        writeln!(out, "{name}  {public}")
    })?;
    screen.aside(&format!(
        "It is in {}. Keep a copy of that and of its passphrase: nobody else has them.",
        keyring.path(name).display()
    ));
    Ok(())
}

fn generate() -> Result<SecretKey, Failure> {
    SecretKey::generate()
        .map_err(|e| Failure::failed(format_args!("the system gives no randomness: {e}")))
}

fn list(screen: Screen) -> Result<(), Failure> {
    let keys = Keyring::open()?.list()?;
    let values: Vec<_> = keys
        .iter()
        .map(|(name, public)| json!({"name": name, "public": public}))
        .collect();
    let rows = keys
        .iter()
        .map(|(name, public)| vec![name.clone(), public.to_string()])
        .collect();
    screen.show(&json!({"keys": values}), |out| {
        let nothing = "There are no keys; `soma keys new` makes one.";
        table(out, &["key", "public half"], rows, nothing)
    })
}

fn export(command: &Export, screen: Screen) -> Result<(), Failure> {
    let name = &command.key.name;
    let keyring = Keyring::open()?;
    let public = keyring.public(name)?;
    if !command.secret {
        return screen.show(&json!({"name": name, "public": public}), |out| {
            writeln!(out, "{public}")
        });
    }
    let question = format!("Print the key `{name}`, which anybody could then sign with?");
    passphrase::agree(command.yes, &question)?;
    let key = keyring.unlock(name, || passphrase::known(name))?;
    let text = keyring::secret_text(&key);
    let secret = text.expose_secret().trim_end();
    let value = json!({"name": name, "public": public, "secret": secret});
    screen.show(&value, |out| writeln!(out, "{secret}"))
}
