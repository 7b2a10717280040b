//! A capsule's project folder: `capsule.toml` beside a `Cargo.toml`; and its way to a capsule
//! file.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use soma_capability::Tool;
use soma_registry::{MAX_FILE_BYTES, MAX_README_BYTES, Manifest, Package, check_component};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::carried;
use crate::commands::compile_component;
use crate::failure::Failure;
use crate::named_file;
use crate::screen::Screen;

/// The profile that capsules are built with: small first. Given on cargo's command line, so that
/// an author's Cargo.toml needs none.
const PROFILE: &[&str] = &[
    r#"profile.capsule.inherits="release""#,
    r#"profile.capsule.opt-level="s""#,
    "profile.capsule.lto=true",
    "profile.capsule.codegen-units=1",
    r#"profile.capsule.panic="abort""#,
    "profile.capsule.strip=true",
];

/// A folder with a manifest that makes sense.
pub(crate) struct Project {
    folder: PathBuf,
    manifest: Manifest,
}

/// A capsule file on disk.
pub(crate) struct Built {
    pub(crate) path: PathBuf,
    pub(crate) package: Package,
}

impl Project {
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let folder = folder
            .canonicalize()
            .map_err(|e| Failure::usage(format_args!("cannot open {}: {e}", folder.display())))?;
        let path = folder.join("capsule.toml");
        let text = fs::read_to_string(&path).map_err(|e| {
            Failure::unreadable(&path, e)
                .hint("a capsule's project has a capsule.toml; `soma new NAME` makes a project")
        })?;
        let manifest = Manifest::from_project(&text, |readme| read_readme(&folder.join(readme)))
            .map_err(|e| {
                Failure::usage(format_args!("{} is not a manifest: {e}", path.display()))
            })?;
        Ok(Self { folder, manifest })
    }

    /// Where the capsule file goes unless the author says otherwise.
    pub(crate) fn default_output(&self) -> PathBuf {
        let file = format!("{}.wasm", self.manifest.name.name());
        self.folder.join("target/capsule").join(file)
    }

    /// Compiles the project with cargo; gives back the component's path.
    pub(crate) async fn compile(&self, screen: Screen) -> Result<PathBuf, Failure> {
        let cargo_toml = self.folder.join("Cargo.toml");
        if !cargo_toml.is_file() {
            return Err(Failure::usage(format_args!("there is no {}", cargo_toml.display()))
                .hint("to pack a component that another toolchain has built, give it with --component"));
        }
        screen.step(
            "Building",
            &format!("{} for wasm32-wasip2", self.manifest.name),
        );
        let carried = carried::unpacked()?;
        let mut cargo = Command::new("bash");
        cargo
            .arg(carried.join("wasm-toolchain.sh"))
            .args(["build", "--lib", "--profile", "capsule"])
            .args(["--message-format", "json-render-diagnostics"])
            .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
            .arg("--config")
            .arg(rustflags(&self.remapped(&carried).await))
            .current_dir(&self.folder)
            // What comes out must not depend on whose environment it was built in.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        self.component_of(cargo, screen).await
    }

    /// Runs cargo and reads its JSON messages for the file that this package's library became.
    /// Its words for people go to standard error as they come; with `--json`, into the failure.
    async fn component_of(&self, mut cargo: Command, screen: Screen) -> Result<PathBuf, Failure> {
        let cannot = |e| Failure::failed(format_args!("cannot run cargo through bash: {e}"));
        let mut words = tempfile::tempfile()?;
        if screen.json {
            cargo.stderr(words.try_clone()?);
        }
        let mut child = cargo.spawn().map_err(cannot)?;
        let mut component = None;
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await? {
                let message: Value = serde_json::from_str(&line).unwrap_or_default();
                component = self.artifact(&message).or(component);
            }
        }
        let status = child.wait().await.map_err(cannot)?;
        if !status.success() {
            let name = &self.manifest.name;
            if !screen.json {
                let message = format_args!("{name} did not compile; the reason is above");
                return Err(Failure::failed(message));
            }
            let mut said = Vec::new();
            words.rewind()?;
            words.read_to_end(&mut said)?;
            let said = String::from_utf8_lossy(&said);
            return Err(Failure::failed(format_args!("{name} did not compile"))
                .details(said.lines().map(str::to_owned)));
        }
        component.ok_or_else(|| {
            Failure::usage("the build made no component")
                .hint("the library in Cargo.toml must have `crate-type = [\"cdylib\", \"rlib\"]`")
        })
    }

    fn artifact(&self, message: &Value) -> Option<PathBuf> {
        let is_ours = message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().map(Path::new)
                == Some(&self.folder.join("Cargo.toml"))
            && message["target"]["crate_types"]
                .as_array()?
                .iter()
                .any(|kind| kind == "cdylib");
        let files = message["filenames"]
            .as_array()?
            .iter()
            .filter_map(Value::as_str);
        files
            .filter(|_| is_ours)
            .map(PathBuf::from)
            .find(|file| file.extension().is_some_and(|e| e == "wasm"))
    }

    /// Folders whose paths would end up in the component, and what is written in their place.
    async fn remapped(&self, carried: &Path) -> Vec<(PathBuf, &'static str)> {
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        let mut folders = vec![
            (self.workspace().await, "/capsule"),
            (carried.to_owned(), "/soma"),
        ];
        folders.extend(cargo_home.map(|home| (home, "/cargo")));
        folders
    }

    /// The workspace that the project is in; the project itself, as a rule.
    async fn workspace(&self) -> PathBuf {
        let located = Command::new("cargo")
            .args(["locate-project", "--workspace", "--message-format", "plain"])
            .current_dir(&self.folder)
            .stderr(Stdio::null())
            .output()
            .await;
        // Where cargo cannot say it, the build is about to tell why.
        let text = located.map(|output| output.stdout).unwrap_or_default();
        let path = PathBuf::from(String::from_utf8_lossy(&text).trim_end());
        path.parent()
            .filter(|p| p.is_absolute())
            .unwrap_or(&self.folder)
            .to_owned()
    }

    /// Asks the component for its tools and packs it with them. Where `out` holds that already,
    /// there is nothing to do.
    pub(crate) async fn pack(
        self,
        component: &Path,
        out: PathBuf,
        screen: Screen,
    ) -> Result<Built, Failure> {
        let bytes = read_file(component)?;
        let unfit = |e| Failure::failed(format_args!("{}: {e}", component.display()));
        check_component(&bytes).map_err(unfit)?;
        if let Some(package) = self.up_to_date(&bytes, &out) {
            return Ok(Built { path: out, package });
        }
        screen.step("Describing", "its tools");
        let tools = self.describe(&bytes).await?;
        let package = Package::pack(&bytes, self.manifest, tools).map_err(unfit)?;
        screen.step("Packing", &out.display().to_string());
        write_whole(&out, package.bytes())?;
        Ok(Built { path: out, package })
    }

    async fn describe(&self, component: &[u8]) -> Result<Vec<Tool>, Failure> {
        let compiler = compile_component::compiler()?;
        soma_runtime::describe(component, &compiler)
            .await
            .map_err(|e| {
                Failure::failed(format_args!("{} cannot be packed: {e}", self.manifest.name))
            })
    }

    fn up_to_date(&self, component: &[u8], out: &Path) -> Option<Package> {
        let package = Package::read(fs::read(out).ok()?).ok()?;
        let same = package.bytes().starts_with(component) && *package.manifest() == self.manifest;
        same.then_some(package)
    }
}

/// A capsule begins with 1 MiB of heap. Without it the first allocation grows the memory, which
/// costs the host system calls that, under load, take more time than the rest of a small call.
const HEAP: &str = "-Clink-arg=--initial-heap=1048576";

/// cargo's setting for this target's compiler flags: it joins those of the author's own config.
fn rustflags(remapped: &[(PathBuf, &'static str)]) -> OsString {
    let mut flags: Vec<String> = remapped
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    flags.push(HEAP.to_owned());
    // A JSON list of strings is a TOML one.
    format!("target.wasm32-wasip2.rustflags={}", Value::from(flags)).into()
}

/// Written beside its place and renamed into it, so that nobody reads half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let cannot = |e| Failure::failed(format_args!("cannot write {}: {e}", path.display()));
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(cannot)?;
    let new = path.with_extension("wasm.new");
    fs::write(&new, bytes).map_err(cannot)?;
    fs::rename(&new, path).map_err(|error| {
        // Nothing to add where even that fails: it is half of what could not be written.
        let _ = fs::remove_file(&new);
        cannot(error)
    })
}

/// The capsule in `path`: a capsule file, or a project folder, which is built first.
pub(crate) async fn open(path: &Path, screen: Screen) -> Result<Built, Failure> {
    if path.is_dir() {
        let project = Project::open(path)?;
        let component = project.compile(screen).await?;
        let out = project.default_output();
        return project.pack(&component, out, screen).await;
    }
    let package = Package::read(read_file(path)?)
        .map_err(|e| Failure::usage(format_args!("{}: {e}", path.display())))?;
    Ok(Built {
        path: path.to_owned(),
        package,
    })
}

/// A README's bytes; of a larger one only enough to see that it is too large.
fn read_readme(path: &Path) -> io::Result<Vec<u8>> {
    named_file::beginning(path, MAX_README_BYTES)
}

/// A capsule's or component's bytes; of a larger file only enough to see that it is too large.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    named_file::beginning(path, MAX_FILE_BYTES).map_err(|e| Failure::unreadable(path, e))
}
