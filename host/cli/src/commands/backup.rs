//! `soma backup`: everything that a host keeps, in one file.

use std::io;
use std::path::{Path, PathBuf};

use soma_host::{Config, Settings, Stop, Taken};

use crate::answer::counted;
use crate::commands::serve::settings;
use crate::failure::Failure;
use crate::screen::Screen;

/// Write everything that a host keeps into one file, while it runs
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma backup /backups/soma.tar
  soma backup --data /var/lib/soma --database postgres://soma@db/soma /backups/soma.tar
  soma backup - | age -r age1… > soma.tar.age

Run it on the host's machine, as its user, with those of these settings that `soma serve` has. Whoever
has the file has all that the host has: keys, credentials, stores. `soma restore` makes a host of it
again. What is interrupted leaves no file.")]
pub(crate) struct Backup {
    /// The file, which must not be there; `-` is standard output
    file: PathBuf,

    #[command(flatten)]
    place: Place,
}

/// Where a host keeps what it has: all that matters of its settings where it does not serve.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The configuration file of the host, which may have the others
    #[arg(long, env = "SOMA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Folder of everything the host keeps [default: $XDG_DATA_HOME/soma or ~/.local/share/soma]
    #[arg(long, env = "SOMA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Database: `sqlite://PATH` or `postgres://…` [default: soma.db in the data folder]
    #[arg(
        long,
        env = "SOMA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,

    /// Key under which credentials are kept, a file [default: secrets.key in the data folder]
    #[arg(long, env = "SOMA_SECRETS_KEY", value_name = "FILE")]
    secrets_key: Option<PathBuf>,
}

impl Place {
    pub(crate) fn settings(self) -> Result<Settings, Failure> {
        settings(&Config {
            config: self.config,
            data: self.data,
            database: self.database,
            secrets_key: self.secrets_key,
            // Nothing listens: the file may have an address whose certificate is named elsewhere.
            behind_proxy: Some(true),
            ..Config::default()
        })
    }
}

impl Backup {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        if self.file == Path::new("-") {
            let stop = Stop::on_signals()?;
            let backup = soma_host::backup(&settings, None, &stop).await?;
            let said = said(&backup.taken);
            // Whoever read it and ended has no backup, which is not as in `soma list | head`.
            backup.copy_to(io::stdout(), &stop).await?;
            screen.aside(&said);
            return Ok(());
        }
        check(&self.file)?;
        let stop = Stop::on_signals()?;
        let backup = soma_host::backup(&settings, Some(&self.file), &stop).await?;
        let taken = backup.taken.clone();
        backup.keep(&self.file)?;
        screen.show(&taken, |out| {
            writeln!(out, "{}: {}", self.file.display(), said(&taken))
        })
    }
}

/// Whether a file of this name can come to be: it is seen before anything is read.
fn check(file: &Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::usage(format_args!(
            "{} is there already: name a file that is not there yet",
            file.display()
        )));
    }
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => Err(Failure::usage(format_args!(
            "there is no folder {}: make it, or name a file in one that is there",
            folder.display()
        ))),
    }
}

fn said(taken: &Taken) -> String {
    let Taken {
        tables,
        rows,
        capsules,
        records,
        bytes,
        ..
    } = taken;
    let key = if taken.has_secrets_key {
        ""
    } else {
        "; the key of --secrets-key is not in it"
    };
    format!(
        "{} of {}, {}, {} of the audit log, {}{key}",
        counted(*rows, "row"),
        counted(*tables as u64, "table"),
        counted(*capsules as u64, "capsule"),
        counted(*records, "record"),
        counted(*bytes, "byte"),
    )
}
