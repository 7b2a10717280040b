//! W3C trace context: a client's `traceparent` becomes the parent of the call's span.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{TraceContextExt as _, TraceId};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A client's span, from `traceparent` and `tracestate`.
#[derive(Clone)]
pub(crate) struct TraceParent(Context);

impl TraceParent {
    /// A header that is malformed counts as none, as the specification wants.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key("traceparent") {
            return None;
        }
        let propagator = TraceContextPropagator::new();
        let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        context
            .span()
            .span_context()
            .is_valid()
            .then_some(Self(context))
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.0.span().span_context().trace_id()
    }

    /// Makes `span` a child of the client's.
    pub(crate) fn adopt(self, span: &Span) {
        if let Err(error) = span.set_parent(self.0) {
            // Without an exporter nobody keeps spans; the log still says the trace.
            tracing::trace!(%error, "no span to put under the client's");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_parents() {
        let parent = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", value.parse().unwrap());
            TraceParent::of(&headers).map(|parent| parent.trace_id().to_string())
        };
        assert_eq!(
            parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parent(bad), None);
        }
    }
}
