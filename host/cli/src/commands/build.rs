//! `soma build`: from a project to a capsule file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::failure::Failure;
use crate::named_file;
use crate::project::{Built, Project};
use crate::screen::{Screen, faint, strong};

/// Build a project into a capsule file
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma build
  soma build capsules/web --out web.wasm
  soma build . --component tool.component.wasm     built by another language's toolchain

cargo needs the wasm32-wasip2 target; it is added by rustup when it is missing.
SOMA_WASM_TOOLCHAIN=auto|rustup|debian says where it may come from.")]
pub(crate) struct Build {
    /// The project's folder, with its capsule.toml
    #[arg(default_value = ".")]
    path: PathBuf,

    /// The capsule file [default: target/capsule/NAME.wasm in the project]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Pack this component instead of building one
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

impl Build {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let project = Project::open(&self.path)?;
        if let Some(out) = &self.out {
            require_place(out)?;
        }
        let component = match self.component {
            Some(component) => component,
            None => project.compile(screen).await?,
        };
        let out = self.out.unwrap_or_else(|| project.default_output());
        if same_file(&component, &out) {
            return Err(Failure::usage("--out names the component itself")
                .hint("give the capsule file another name"));
        }
        let built = project.pack(&component, out, screen).await?;
        show(&built, screen)
    }
}

/// Whatever is there is replaced: a device or a pipe is not meant to be.
fn require_place(out: &Path) -> Result<(), Failure> {
    match named_file::require_regular(out) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::usage(format_args!(
            "cannot write {}: {error}",
            out.display()
        ))),
        _ => Ok(()),
    }
}

fn same_file(one: &PathBuf, other: &PathBuf) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

fn show(Built { path, package }: &Built, screen: Screen) -> Result<(), Failure> {
    let manifest = package.manifest();
    let tools: Vec<&str> = package
        .tools()
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    let size = package.bytes().len();
    let value = json!({
        "name": manifest.name,
        "version": manifest.version,
        "path": path,
        "size": size,
        "digest": package.digest(),
        "tools": tools,
    });
    screen.show(&value, |out| {
        let name = format!("{} {}", manifest.name, manifest.version);
        writeln!(
            out,
            "{} {}",
            strong(&name),
            faint(&format!("{} KiB", size.div_ceil(1024)))
        )?;
        writeln!(out, "  file    {}", path.display())?;
        writeln!(out, "  digest  {}", package.digest())?;
        writeln!(out, "  tools   {}", tools.join(", "))
    })
}
