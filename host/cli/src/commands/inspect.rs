//! `soma inspect`: everything a capsule file says about itself.

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;
use soma_capability::{Annotations, LimitsAsked, Tool};
use soma_registry::Package;

use crate::asked;
use crate::failure::Failure;
use crate::project;
use crate::screen::{Screen, faint, json_text, strong, visible};

/// Show what a capsule file holds: manifest, digest, what it asks for, imports, tools
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma inspect target/capsule/hello.wasm")]
pub(crate) struct Inspect {
    /// A capsule file, or a project folder, which is built first
    file: PathBuf,

    /// Show its README instead
    #[arg(long)]
    readme: bool,
}

impl Inspect {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let package = project::open(&self.file, screen).await?.package;
        let value = json!({
            "manifest": package.manifest(),
            "digest": package.digest(),
            "size": package.bytes().len(),
            "imports": package.imports(),
            "imports_wasi": imports_wasi(&package),
            "tools": package.tools(),
        });
        if !self.readme {
            return screen.show(&value, |out| show(&package, out));
        }
        let readme = package.manifest().readme.as_deref().ok_or_else(|| {
            Failure::failed("this capsule has no README")
                .hint("its author names one in capsule.toml: readme = \"README.md\"")
        })?;
        screen.show(&json!({ "readme": readme }), |out| {
            writeln!(out, "{}", visible(readme.trim_end()))
        })
    }
}

fn imports_wasi(package: &Package) -> bool {
    package
        .imports()
        .iter()
        .any(|name| name.starts_with("wasi:"))
}

fn show(package: &Package, out: &mut dyn Write) -> io::Result<()> {
    let manifest = package.manifest();
    writeln!(
        out,
        "{}",
        strong(&format!("{} {}", manifest.name, manifest.version))
    )?;
    writeln!(out, "{}\n", visible(&manifest.description))?;
    let rows = [
        ("digest", Some(package.digest().to_string())),
        ("size", Some(format!("{} bytes", package.bytes().len()))),
        ("license", manifest.license.clone()),
        ("source", manifest.repository.clone()),
        (
            "keywords",
            Some(manifest.keywords.join(", ")).filter(|words| !words.is_empty()),
        ),
        (
            "readme",
            manifest
                .readme
                .as_ref()
                .map(|text| format!("{} bytes, shown by --readme", text.len())),
        ),
        ("limits", Some(limits(manifest.limits))),
        (
            "WASI",
            Some(
                if imports_wasi(package) {
                    "imported"
                } else {
                    "none"
                }
                .to_owned(),
            ),
        ),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            writeln!(out, "  {name:8}  {}", visible(&value))?;
        }
    }

    writeln!(out, "\n{}", strong("Asks for"))?;
    asked::show(&manifest.capabilities, out)?;
    writeln!(out, "\n{}", strong("Imports"))?;
    for name in package.imports() {
        writeln!(out, "  {}", visible(name))?;
    }
    writeln!(out, "\n{}", strong("Tools"))?;
    for tool in package.tools() {
        show_tool(tool, out)?;
    }
    Ok(())
}

fn limits(asked: LimitsAsked) -> String {
    let limits: Vec<String> = [
        ("fuel", asked.fuel),
        ("time-ms", asked.time_ms),
        ("memory-mib", asked.memory_mib),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name} {}", value?)))
    .collect();
    if limits.is_empty() {
        "the host's defaults".to_owned()
    } else {
        limits.join(", ")
    }
}

fn show_tool(tool: &Tool, out: &mut dyn Write) -> io::Result<()> {
    let title = tool.title.as_deref().unwrap_or_default();
    let claims = claims(tool.annotations);
    writeln!(
        out,
        "  {} {}",
        strong(&tool.name),
        faint(format!("{title} {claims}").trim_start())
    )?;
    for line in tool.description.lines() {
        writeln!(out, "    {}", visible(line))?;
    }
    let schemas = [
        ("input", Some(&tool.input_schema)),
        ("output", tool.output_schema.as_ref()),
    ];
    for (which, schema) in schemas {
        let Some(schema) = schema else { continue };
        let text = json_text(schema).map_err(|e| io::Error::other(e.message().to_owned()))?;
        writeln!(out, "    {which} {}", text.replace('\n', "\n    "))?;
    }
    Ok(())
}

/// The author's claims, in words.
fn claims(annotations: Annotations) -> String {
    let Annotations {
        read_only,
        destructive,
        idempotent,
        open_world,
    } = annotations;
    let claims: Vec<&str> = [
        (read_only, "read-only"),
        (destructive && !read_only, "destructive"),
        (idempotent, "idempotent"),
        (open_world, "open-world"),
    ]
    .into_iter()
    .filter_map(|(holds, word)| holds.then_some(word))
    .collect();
    if claims.is_empty() {
        String::new()
    } else {
        format!("({})", claims.join(", "))
    }
}
