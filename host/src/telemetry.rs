//! Log lines on standard error, and spans to an OpenTelemetry collector where one is configured.

use std::io::{self, BufWriter, IsTerminal as _};
use std::panic;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};
use url::Url;

use crate::config::LogFormat;
use crate::settings::Settings;

/// The process's logging, once it is set up.
pub(crate) struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    spans: Option<SdkTracerProvider>,
    /// Dropping it writes what has not been written.
    _lines: WorkerGuard,
}

/// What the operator wants, but not what a guest can make a library say at will: it is told what a
/// server could not prove.
fn filter(wanted: &str) -> anyhow::Result<EnvFilter> {
    let filter = format!("rustls_platform_verifier=off,{wanted}");
    Ok(EnvFilter::try_new(filter)?)
}

impl Telemetry {
    /// Sets up logging for the whole process; once in its life.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let (filter, handle) = reload::Layer::new(filter(&settings.live.log)?);
        // A thread of its own writes, many lines at once under load: a call does not wait for the
        // terminal. It does wait once the queue is full, since a line lost is worse.
        let (queue, written) = NonBlockingBuilder::default()
            .lossy(false)
            .finish(BufWriter::new(io::stderr()));
        let lines = fmt::layer().with_writer(queue);
        let lines = match settings.log_format {
            LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .boxed(),
        };
        let endpoint = settings.otlp_endpoint.as_ref();
        let spans = endpoint.map(spans_to).transpose()?;
        let exported = spans.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(provider.tracer("soma-host"))
        });
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .with(exported)
            .try_init()?;
        // Like every other line, and in the same form.
        panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(tracing::field::display);
            let words = panic.payload_as_str().unwrap_or("no words");
            tracing::error!(at, ?words, "a task panicked");
        }));
        Ok(Self {
            filter: handle,
            spans,
            _lines: written,
        })
    }

    /// Another filter from now on.
    pub(crate) fn set_filter(&self, wanted: &str) -> anyhow::Result<()> {
        Ok(self.filter.reload(filter(wanted)?)?)
    }

    /// Sends what has not been sent.
    pub(crate) async fn stop(self) {
        let Some(spans) = self.spans else { return };
        // It blocks until the exporter, which lives on this runtime, is done.
        let stop = tokio::task::spawn_blocking(move || {
            spans.shutdown_with_timeout(Duration::from_secs(5))
        });
        match stop.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not exported"),
            Err(panic) => tracing::warn!(error = %panic, "the last spans were not exported"),
        }
    }
}

fn spans_to(endpoint: &Url) -> anyhow::Result<SdkTracerProvider> {
    let mut endpoint = endpoint.clone();
    if endpoint.path() == "/" {
        // The path that OTLP over HTTP gives to traces.
        endpoint.set_path("/v1/traces");
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Exporter::new()?)
        .with_endpoint(endpoint.to_string())
        .build()
        .context("the OTLP exporter")?;
    let resource = Resource::builder()
        .with_service_name("soma")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// Sends batches on the host's own runtime: the thread that collects them has none.
#[derive(Debug)]
struct Exporter {
    client: reqwest::Client,
    runtime: Handle,
}

impl Exporter {
    fn new() -> anyhow::Result<Self> {
        crate::tls::install_provider();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()
            .context("an HTTP client for the OTLP exporter")?;
        Ok(Self {
            client,
            runtime: Handle::try_current()?,
        })
    }
}

#[async_trait]
impl HttpClient for Exporter {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = self.runtime.spawn(async move {
            let response = client.execute(request.try_into()?).await?;
            let mut answer = Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.extend(response.headers().clone());
            }
            Ok(answer.body(response.bytes().await?)?)
        });
        exchange.await?
    }
}
