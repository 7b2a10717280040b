//! Calling a tool.

use std::pin::pin;
use std::task::Poll;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::poll;

use crate::answers::{self, IdempotencyKey};
use crate::app::AppState;
use crate::auth::Caller;
use crate::body::{self, JSON};
use crate::edge::InvocationId;
use crate::error::Error;
use crate::invoke::{Answer, Invocation, Origin, invoke};
use crate::path::ToolPath;
use crate::terms::Terms;
use crate::trace::TraceParent;
use crate::usage;

pub(crate) async fn call(
    State(app): State<AppState>,
    Extension(InvocationId(id)): Extension<InvocationId>,
    mut caller: Caller,
    ToolPath { capsule, tool }: ToolPath,
    request: Request,
) -> Result<Response, Error> {
    // Before the body: whoever is turned away costs nothing.
    let place = app.admission.enter(caller.tenant_id())?;
    let parent = TraceParent::of(request.headers());
    let terms = Terms::of(request.headers())?;
    let key = IdempotencyKey::of(request.headers())?;
    let limit = app.live().settings.maximum_limits.input_bytes;
    let input = {
        let mut arrives = pin!(body::read(&app, request, JSON, limit));
        match poll!(arrives.as_mut()) {
            Poll::Ready(input) => input?,
            Poll::Pending => {
                let _receiving = app.admission.receive(caller.tenant_id())?;
                let input = arrives.await?;
                // What bounds the key may have changed.
                caller = app.keyring.again(&caller).await?;
                input
            }
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
        terms,
        parent,
    };
    match key {
        Some(key) => answers::once(app, key, invocation, place).await,
        None => Ok(invoke(&app, invocation, place).await?.into_response()),
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Json(&self).into_response();
        usage::say(&self.usage, response.headers_mut());
        response
    }
}
