//! `soma restore`: a host from the file that `soma backup` made.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use soma_host::{NoBackup, Stop};

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

What is torn or damaged is refused, and leaves nothing behind; nor does what is interrupted. The host
takes no call after its start until every log of its marketplaces was looked at: something may have been
revoked since the backup.")]
pub(crate) struct Restore {
    /// The file; `-` is standard input
    file: PathBuf,

    #[command(flatten)]
    place: Place,
}

impl Restore {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let archive: Box<dyn Read + Send> = if self.file == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(&self.file);
            Box::new(file.map_err(|error| Failure::unreadable(&self.file, error))?)
        };
        // Only now: there is nothing to clean up while a pipe waits to be opened.
        let stop = Stop::on_signals()?;
        let restored = soma_host::restore(&settings, archive, &stop).await;
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
