//! `soma restore`: a host from the file that `soma backup` made.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

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
            soma_host::restore(&settings, io::stdin().lock()).await?
        } else {
            let file = File::open(&self.file);
            let file = file.map_err(|error| Failure::unreadable(&self.file, error))?;
            soma_host::restore(&settings, BufReader::new(file)).await?
        };
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
