//! Asking a component what tools it has, with every import refusing.

use soma_capability::{Annotations, Digest, Limits, Prices, Tool};

use crate::balance::Allowance;
use crate::bindings::tools;
use crate::capsule::{Capsule, LinkError};
use crate::clock::Surroundings;
use crate::compile::{CompileError, Compiler};
use crate::effects::Effects;
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::given::Given;
use crate::invocation::{bounded, open};
use crate::outcome::Failure;
use crate::state::InvocationState;

/// Describing is building a few texts. Fuel is what ends one that does not end, the same on every
/// machine; the time is for a guest that waits.
const LIMITS: Limits = Limits {
    fuel: 500_000_000,
    time_ms: 30_000,
    memory_bytes: 64 << 20,
    table_elements: 20_000,
    handles: 100,
    copy_bytes: 4 << 20,
    input_bytes: 0,
    output_bytes: 1 << 20,
    log_lines: 0,
    log_bytes: 0,
    host_calls: 10_000,
    response_bytes: 0,
};

/// Why a component's tools are not known.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// See [`CompileError`].
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// See [`LinkError`].
    #[error(transparent)]
    Link(#[from] LinkError),
    /// `describe` itself failed.
    #[error("`describe` failed: {0}")]
    Guest(#[from] Failure),
    /// A schema is not JSON.
    #[error("the {which} schema of the tool {tool:?} is not JSON: {source}")]
    Schema {
        /// The tool.
        tool: String,
        /// `input` or `output`.
        which: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Two runs gave two answers.
    #[error("`describe` answers differently from run to run: it must depend on nothing")]
    Unstable,
}

/// Runs `describe` twice, in fresh instances whose imports all refuse, with a fixed clock and
/// fixed randomness. The component is compiled for it in a child process.
pub async fn describe(component: &[u8], compiler: &Compiler) -> Result<Vec<Tool>, DescribeError> {
    let engine = Engine::new(&EngineConfig {
        instances: 1,
        ..EngineConfig::default()
    })?;
    let code = compiler.compile(component).await?;
    #[expect(unsafe_code, reason = "see Capsule::link")]
    // SAFETY: the code is what this host's compiler has just made.
    let capsule = unsafe { Capsule::link(&engine, Digest::of(component), &code) }?;

    let tools = ask(&capsule).await?;
    if tools != ask(&capsule).await? {
        return Err(DescribeError::Unstable);
    }
    Ok(tools)
}

async fn ask(capsule: &Capsule) -> Result<Vec<Tool>, DescribeError> {
    let state = InvocationState::new(
        &LIMITS,
        Allowance::unbounded(Prices::default()),
        Surroundings::Fixed,
        Given::default(),
        Effects::default(),
        None,
    );
    let mut store = open(capsule.pre(), state).map_err(|error| Failure::Host(error.to_string()))?;
    let tools = bounded(&mut store, async |store| {
        let instance = capsule.pre().instantiate_async(&mut *store).await?;
        instance.soma_capsule_tools().call_describe(store).await
    })
    .await?;
    tools.into_iter().map(Tool::try_from).collect()
}

impl TryFrom<tools::Tool> for Tool {
    type Error = DescribeError;

    fn try_from(tool: tools::Tool) -> Result<Self, DescribeError> {
        let schema = |which, text: &str| {
            serde_json::from_str(text).map_err(|source| DescribeError::Schema {
                tool: tool.name.chars().take(64).collect(),
                which,
                source,
            })
        };
        let input_schema = schema("input", &tool.input_schema)?;
        let output_schema = tool
            .output_schema
            .as_deref()
            .map(|text| schema("output", text))
            .transpose()?;
        let tools::Annotations {
            read_only,
            destructive,
            idempotent,
            open_world,
        } = tool.annotations;
        Ok(Self {
            name: tool.name,
            title: tool.title,
            description: tool.description,
            input_schema,
            output_schema,
            annotations: Annotations {
                read_only,
                destructive,
                idempotent,
                open_world,
            },
        })
    }
}
