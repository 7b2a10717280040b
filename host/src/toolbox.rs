//! What capsules may call of each other: inner calls, each through [`invoke`](crate::invoke) like any
//! other, with grants of its own, and within what is left of the call that makes it.

use std::sync::Arc;

use async_trait::async_trait;
use soma_capability::{CapsuleName, Grant, Tool};
use soma_runtime::{Inner, InnerCall, Left, NoAnswer, Toolbox, Tools};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::AppState;
use crate::auth::Caller;
use crate::catalog::Installed;
use crate::db::grants::Granted;
use crate::error::Error;
use crate::invoke::{self, Ended, Invocation, Origin, Within};
use crate::problem::Kind;
use crate::terms::Terms;

/// Calls within calls: beyond them somebody calls in a circle.
const MOST_DEPTH: u32 = 8;

/// Places of an input that does not fit that the guest is told of.
const MOST_TOLD: usize = 8;

/// The tools of one call.
struct OfCall {
    app: AppState,
    origin: Origin,
    installed: Arc<Installed>,
    granted: Arc<Granted>,
}

/// What a call may call, where it may call anything.
pub(crate) fn of(
    app: &AppState,
    origin: &Origin,
    installed: &Arc<Installed>,
    granted: &Arc<Granted>,
) -> Option<Tools> {
    let asked = &installed.about.manifest.capabilities.tools;
    if asked.is_empty() || granted.grant.tools.is_empty() {
        return None;
    }
    Some(Tools::new(Arc::new(OfCall {
        app: app.clone(),
        origin: origin.clone(),
        installed: installed.clone(),
        granted: granted.clone(),
    })))
}

#[async_trait]
impl Toolbox for OfCall {
    async fn call(&self, call: InnerCall, left: Left) -> Inner {
        let capsule = match self.admit(&call) {
            Ok(capsule) => capsule,
            Err(why) => return Inner::not_begun(why),
        };
        // The key was looked at when the outer call came, which may be long ago.
        let caller = match self.app.keyring.again(&self.origin.caller).await {
            Ok(caller) => caller,
            Err(error) => return Inner::not_begun(why(&error)),
        };
        let invocation = self.invocation(caller, capsule, call, left);
        let app = self.app.clone();
        let run = async move {
            let place = app.admission.enter_within();
            invoke::run(&app, invocation, place).await
        };
        // In a task, since the guest that waits has a small stack.
        let ended = tokio::spawn(run.in_current_span()).await;
        match ended.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(ended) => told(ended),
            Err(error) => Inner::not_begun(why(&error)),
        }
    }
}

impl OfCall {
    /// Goes on where the tool is asked for, granted, and the key's to call.
    fn admit(&self, call: &InnerCall) -> Result<CapsuleName, NoAnswer> {
        let InnerCall { capsule, tool, .. } = call;
        let named = capsule.parse().ok().filter(|_| Tool::is_name(tool));
        let name: CapsuleName = named.ok_or_else(|| NoAnswer::Problem {
            code: Kind::BadRequest.code(),
            detail:
                "a capsule is named `namespace/name`, a tool by 1 to 64 characters of a-z, A-Z, \
                     0-9, `_` and `-`"
                    .to_owned(),
            retry_after_ms: None,
        })?;
        let manifest = &self.installed.about.manifest;
        let denied = |why: String, remedy: &str| {
            let (asks, wanted) = (&manifest.name, format_args!("{name}/{tool}"));
            tracing::warn!(capsule = %asks, tool = %wanted, remedy, "denied a tool");
            Err(NoAnswer::Denied(why))
        };
        if !manifest.capabilities.asks_tool(&name, tool) {
            let why = format!("the manifest does not ask for the tool {name}/{tool}");
            return denied(why, "the manifest must ask for it");
        }
        let grant: &Grant = &self.granted.grant;
        if !grant
            .tools
            .iter()
            .any(|granted| granted.covers(&name, tool))
        {
            let remedy = format!("`soma grant set {} --tool {name}/{tool}`", manifest.name);
            return denied(format!("no grant covers the tool {name}/{tool}"), &remedy);
        }
        let caller = &self.origin.caller;
        let narrowed = caller.narrowed(&manifest.name);
        let is_left = |own: &Grant| own.tools.iter().any(|it| it.covers(&name, tool));
        if !caller.may_call(&name, tool) || !narrowed.is_none_or(is_left) {
            let why = format!("the key that called may not call {name}/{tool}");
            return denied(why, "a key that is not limited to less");
        }
        if self.origin.depth() >= MOST_DEPTH {
            let why = format!("calls are within calls {MOST_DEPTH} deep here already");
            return denied(why, "nothing: capsules seem to call each other in a circle");
        }
        Ok(name)
    }

    fn invocation(
        &self,
        caller: Caller,
        capsule: CapsuleName,
        call: InnerCall,
        left: Left,
    ) -> Invocation {
        Invocation {
            origin: Origin {
                id: Uuid::now_v7(),
                caller,
                within: Some(Within {
                    outer: self.origin.id,
                    depth: self.origin.depth() + 1,
                    left,
                }),
            },
            capsule,
            tool: call.tool,
            input: call.input.into_bytes(),
            terms: Terms::default(),
            parent: None,
        }
    }
}

/// What the guest is told of a call that ran.
fn told(ended: Ended) -> Inner {
    let Ended {
        result,
        usage,
        has_effects,
        ..
    } = ended;
    let result = result
        .map(|output| output.get().to_owned())
        .map_err(|failure| {
            let usage = Box::new(usage);
            why(&Error::Call { failure, usage })
        });
    Inner {
        result,
        fuel: usage.fuel,
        cost: usage.cost,
        tokens: usage.tokens,
        has_effects,
    }
}

/// What the guest is told of an error: what somebody who called over HTTP would be.
fn why(error: &Error) -> NoAnswer {
    let problem = error.problem();
    if matches!(problem.kind, Kind::Internal | Kind::NotReady) {
        tracing::error!(code = problem.kind.code(), %error, "the host failed");
    }
    let details = problem.details;
    let title = || problem.kind.title().into();
    let mut detail = details.detail.unwrap_or_else(title).into_owned();
    let wrong = details.errors.iter().take(MOST_TOLD);
    detail.extend(wrong.map(|it| format!("; at `{}`: {}", it.pointer, it.detail)));
    NoAnswer::Problem {
        code: problem.kind.code(),
        detail,
        retry_after_ms: details.retry_after_ms,
    }
}
