//! Calling a tool.

use std::pin::pin;
use std::task::Poll;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures::poll;

use crate::app::AppState;
use crate::auth::Caller;
use crate::body::{self, JSON};
use crate::edge::InvocationId;
use crate::error::Error;
use crate::invoke::{Invocation, Origin, invoke};
use crate::path::ToolPath;
use crate::trace::TraceParent;

pub(crate) async fn call(
    State(app): State<AppState>,
    Extension(InvocationId(id)): Extension<InvocationId>,
    caller: Caller,
    ToolPath { capsule, tool }: ToolPath,
    request: Request,
) -> Result<Response, Error> {
    // Before the body: whoever is turned away costs nothing.
    let place = app.admission.enter()?;
    let parent = TraceParent::of(request.headers());
    let limit = app.live().settings.maximum_limits.input_bytes;
    let mut input = pin!(body::read(request, JSON, limit));
    let input = match poll!(input.as_mut()) {
        Poll::Ready(input) => input?,
        Poll::Pending => {
            let _receiving = app.admission.receive(caller.tenant_id())?;
            input.await?
        }
    };
    let invocation = Invocation {
        origin: Origin {
            id,
            caller,
            within: None,
        },
        capsule,
        tool,
        input,
        parent,
    };
    Ok(Json(invoke(&app, invocation, place).await?).into_response())
}
