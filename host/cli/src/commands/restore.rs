//! `soma restore`: a host from the file that `soma backup` made.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use soma_host::NoBackup;

use crate::answer::counted;
use crate::commands::backup::Place;
use crate::failure::Failure;
use crate::screen::Screen;

/// Make a host of a backup, in a data folder and a database that have nothing yet
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma restore /backups/soma.tar
  soma restore --data /var/lib/soma --database postgres://soma@db/soma /backups/soma.tar
  age -d soma.tar.age | soma restore -

What is torn or damaged is refused, and leaves nothing behind. The host takes no call after its start until
every log of its marketplaces was looked at: something may have been revoked since the backup.")]
pub(crate) struct Restore {
    /// The file; `-` is standard input
    file: PathBuf,

    #[command(flatten)]
    place: Place,
}

impl Restore {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let restored = if self.file == Path::new("-") {
            soma_host::restore(&settings, io::stdin().lock()).await
        } else {
            let file = File::open(&self.file);
            let file = file.map_err(|error| Failure::unreadable(&self.file, error))?;
            soma_host::restore(&settings, BufReader::new(file)).await
        };
        let restored = restored.map_err(|error| explained(error, &self.file))?;
        screen.show(&restored, |out| {
            writeln!(
                out,
                "restored to {}, as of {}: {}, {}, {} of the audit log",
                settings.data.display(),
                restored.taken_at,
                counted(restored.rows, "row"),
                counted(restored.capsules as u64, "capsule"),
                counted(restored.records, "record")
            )
        })
    }
}

/// Another file was named than was meant, most likely, where it is no backup at all.
fn explained(error: anyhow::Error, file: &Path) -> Failure {
    match error.downcast_ref::<NoBackup>() {
        None => error.into(),
        Some(why) if file == Path::new("-") => {
            Failure::usage(format_args!("standard input is no backup: {why}"))
        }
        Some(why) => Failure::usage(format_args!("{} is no backup: {why}", file.display())),
    }
}
