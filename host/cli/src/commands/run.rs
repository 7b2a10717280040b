//! `soma run`: one tool of a capsule file, in this process, without a host.

mod learning;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::builder::RangedI64ValueParser;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use soma_capability::{KvCapability, Limits, LimitsAsked, Origin, Prices, Setting, Settings, Tool};
use soma_host::InvalidInput;
use soma_registry::{Package, Schema};
use soma_runtime::{
    Allowance, Call, Capsule, Engine, EngineConfig, Failure as CallFailure, Given, Kv, Loader,
    MemoryKv, Network, Progress, Rules,
};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

use self::learning::LearningFile;
use crate::answer;
use crate::carried;
use crate::commands::compile_component;
use crate::failure::{Exit, Failure};
use crate::problem::at_pointer;
use crate::project;
use crate::screen::Screen;

/// Run a tool of a capsule file here, without a host
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma run target/capsule/hello.wasm hello '{\"name\": \"Ada\"}'
  soma run . read @input.json --allow-http https://doc.rust-lang.org
  soma run . read @input.json --learn grant.toml

What --learn writes is the smallest grant that would have allowed what the capsule sent: to be read,
and then asked for in capsule.toml and granted with `soma grant set`.")]
pub(crate) struct Run {
    /// A capsule file, or a project folder, which is built first
    file: PathBuf,

    /// The tool's name
    tool: String,

    /// The input: JSON, `-` for standard input, or @FILE
    #[arg(default_value = "{}")]
    input: String,

    /// Exact origin that it may send requests to; may be given more than once [default: none]
    #[arg(long, value_name = "ORIGIN")]
    allow_http: Vec<Origin>,

    /// Let it send requests to anywhere but special addresses, and add to this file what it sent,
    /// as a grant; addresses of this machine or its network need --allow-http too
    #[arg(long, value_name = "FILE")]
    learn: Option<PathBuf>,

    /// KEY=VALUE of a setting that it asks for; may be given more than once
    #[arg(long, value_name = "SETTING")]
    config: Vec<Setting>,

    /// Units of fuel, about one an instruction [default: what the manifest asks, or 10^10]
    #[arg(long, value_parser = limit, allow_negative_numbers = true)]
    fuel: Option<u64>,

    /// Milliseconds on the wall clock [default: what the manifest asks, or 30000]
    #[arg(long, value_parser = limit, allow_negative_numbers = true)]
    time_ms: Option<u64>,

    /// Mebibytes of memory [default: what the manifest asks, or 64]
    #[arg(long, value_parser = RangedI64ValueParser::<u64>::from(1..=4096), allow_negative_numbers = true)]
    memory_mib: Option<u64>,

    /// Which of the capsule's log lines are shown, as in `debug` or `warn`
    #[arg(long, env = "SOMA_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

impl Run {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let input = answer::input(&self.input)?;
        let package = project::open(&self.file, screen).await?.package;
        let input = check_input(find_tool(&package, &self.tool)?, input)?;
        show_log(&self.log, screen)?;

        let limits = self.limits(&package);
        let capsule = load(&package, &limits).await?;
        let lesson = self.learn.map(LearningFile::read).transpose()?;
        let network = Network::new(Rules {
            open: self.allow_http,
            learned: lesson.as_ref().map(|file| file.learned.clone()),
            ..Rules::default()
        });
        let mut settings = Settings::default();
        for setting in self.config {
            settings.set(setting).map_err(Failure::usage)?;
        }
        let asked = &package.manifest().capabilities;
        for (key, _) in settings.iter() {
            if !asked.asks_setting(key) {
                screen.aside(&format!("not asked for, and so without effect: `{key}`"));
            }
        }
        let (progress, reports) = mpsc::channel(16);
        let call = Call {
            tool: self.tool,
            input,
            limits,
            allowance: Allowance::unbounded(Prices::default()),
            given: Given {
                network: network.map_err(Failure::failed)?,
                settings: settings.asked(&asked.config),
                kv: asked.kv.map(in_memory).unwrap_or_default(),
                ..Given::default()
            },
            herald: None,
            progress: Some(progress),
        };
        let (outcome, ()) = tokio::join!(capsule.call(call), show_progress(reports, screen));

        // Of a call that failed too: it is half of what there is to learn.
        if let Some(file) = lesson {
            file.write(screen)?;
        }
        let usage = json!(outcome.usage);
        let output = outcome.result.map_err(|failure| {
            answer::show_usage(None, Some(&usage), screen);
            refusal(&failure, &usage)
        })?;
        let output = to_raw_value(&output).map_err(Failure::failed)?;
        screen.show(&json!({"output": output, "usage": usage}), |out| {
            answer::show(&output, out)
        })?;
        answer::show_usage(None, Some(&usage), screen);
        Ok(())
    }

    /// What the manifest asks, and over it what the command line says.
    fn limits(&self, package: &Package) -> Limits {
        let asked = package.manifest().limits;
        let asked = LimitsAsked {
            fuel: self.fuel.or(asked.fuel),
            time_ms: self.time_ms.or(asked.time_ms),
            memory_mib: self.memory_mib.or(asked.memory_mib),
        };
        // The author's own machine: nothing but the engine's own bounds stands above.
        let unbounded = Limits {
            fuel: u64::MAX,
            time_ms: u64::MAX,
            memory_bytes: 4 << 30,
            ..Limits::default()
        };
        Limits::default().asked(&asked, &unbounded)
    }
}

/// Reads a limit on the command line.
fn limit(text: &str) -> anyhow::Result<u64> {
    text.parse()
        .context("a limit is a whole number, such as 30000")
}

/// The store of a run begins empty, and ends with it.
fn in_memory(asked: KvCapability) -> Kv {
    Kv::new(Arc::new(MemoryKv::new(asked.quota_bytes())))
}

fn find_tool<'a>(package: &'a Package, name: &str) -> Result<&'a Tool, Failure> {
    let tools = package.tools();
    tools.iter().find(|tool| tool.name == name).ok_or_else(|| {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        Failure::new(
            Exit::NotFound,
            format_args!("{} has no tool `{name}`", package.manifest().name),
        )
        .hint(format_args!("it has {}", names.join(", ")))
    })
}

/// As a host does, before the guest runs.
fn check_input(tool: &Tool, input: String) -> Result<String, Failure> {
    let schema = Schema::compile(&tool.input_schema).map_err(Failure::failed)?;
    soma_host::check_input(input.into_bytes(), &schema).map_err(|invalid| match invalid {
        InvalidInput::Json(_) | InvalidInput::TooMany => Failure::new(Exit::InvalidInput, invalid),
        InvalidInput::Schema { errors, .. } => {
            let name = &tool.name;
            let message = format_args!("the input does not fit the input schema of `{name}`");
            Failure::new(Exit::InvalidInput, message)
                .details(errors.iter().map(|e| at_pointer(&e.pointer, &e.detail)))
                .hint("`soma inspect FILE` shows the schema")
        }
    })
}

async fn load(package: &Package, limits: &Limits) -> Result<Arc<Capsule>, Failure> {
    let default = EngineConfig::default();
    let engine = Engine::new(&EngineConfig {
        instances: 1,
        max_memory_bytes: limits.memory_bytes.max(default.max_memory_bytes),
        ..default
    })
    .map_err(Failure::failed)?;
    let cache = carried::cache_folder()?.join("code");
    let loader =
        Loader::new(engine, &cache, compile_component::compiler()?).map_err(Failure::failed)?;
    let bytes = package.bytes().to_vec();
    loader
        .load(&package.digest(), || Ok(bytes))
        .await
        .map_err(Failure::failed)
}

/// The capsule's log lines go to standard error as they come; with `--json` each is an object on
/// a line of its own.
fn show_log(filter: &str, screen: Screen) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|e| Failure::usage(format_args!("--log {filter:?} is not a filter: {e}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time();
    if screen.json {
        lines.json().try_init()
    } else {
        lines.try_init()
    }
    .map_err(Failure::failed)
}

async fn show_progress(mut reports: mpsc::Receiver<Progress>, screen: Screen) {
    while let Some(Progress {
        done,
        total,
        message,
    }) = reports.recv().await
    {
        let of = total
            .map(|total| format!(" of {total}"))
            .unwrap_or_default();
        let words = message
            .map(|message| format!(": {message}"))
            .unwrap_or_default();
        screen.step("Progress", &format!("{done}{of}{words}"));
    }
}

fn refusal(failure: &CallFailure, usage: &Value) -> Failure {
    let refused = Failure::failed(failure).data(json!({"usage": usage}));
    match failure {
        CallFailure::OutOfFuel => refused.hint("--fuel N gives it more"),
        CallFailure::OutOfTime => refused.hint("--time-ms N gives it more"),
        CallFailure::OutOfMemory => refused.hint("--memory-mib N gives it more"),
        _ => refused,
    }
}
