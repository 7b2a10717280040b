//! `soma new`: a project that builds, passes its own test and runs, unchanged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use soma_capability::CapsuleName;

use crate::carried;
use crate::failure::Failure;
use crate::screen::{Screen, strong};

/// Make a project for a new capsule
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  soma new hello\n  soma new acme/weather --path tools/weather")]
pub(crate) struct New {
    /// NAME, or NAMESPACE/NAME; the namespace is `local` where none is given
    name: String,

    /// The project's folder [default: NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

impl New {
    pub(crate) fn run(self, screen: Screen) -> Result<(), Failure> {
        let full = if self.name.contains('/') {
            self.name
        } else {
            format!("local/{}", self.name)
        };
        let name: CapsuleName = full.parse().map_err(Failure::usage)?;
        let folder = self.path.unwrap_or_else(|| PathBuf::from(name.name()));
        let sdk = carried::unpacked()?.join("sdk");
        make(&name, &sdk, &folder)?;
        let value = json!({"name": name, "path": folder});
        screen.show(&value, |out| {
            writeln!(
                out,
                "Made {} in {}. Next:",
                strong(&name.to_string()),
                folder.display()
            )?;
            writeln!(out, "  cd {}", folder.display())?;
            writeln!(out, "  cargo test")?;
            writeln!(out, "  soma run . hello '{{\"name\": \"Ada\"}}'")
        })
    }
}

fn make(name: &CapsuleName, sdk: &Path, folder: &Path) -> Result<(), Failure> {
    let cannot =
        |e: io::Error| Failure::failed(format_args!("cannot make {}: {e}", folder.display()));
    let occupied = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(cannot(error)),
    };
    if occupied {
        return Err(Failure::usage(format_args!(
            "{} is there already and not empty",
            folder.display()
        ))
        .hint("choose another folder with --path DIR"));
    }
    for (path, text) in carried::template() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(cannot)?;
        }
        fs::write(path, filled(text, name, sdk)).map_err(cannot)?;
    }
    Ok(())
}

/// The template's text with its blanks filled.
fn filled(text: &str, name: &CapsuleName, sdk: &Path) -> String {
    text.replace("{{namespace}}", name.namespace())
        .replace("{{name}}", name.name())
        .replace("{{sdk}}", &sdk.display().to_string())
}
