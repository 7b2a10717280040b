//! A witness: it cosigns the checkpoints of logs that it knows, each only where it continues the one
//! before, so that no log can show two histories unseen. <https://c2sp.org/tlog-witness>

mod seen;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum_server::Handle;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use soma_registry::log::{AddCheckpoint, LogKey, NoteSecret, WitnessRefusal};
use soma_registry::owner_only;
use tokio::sync::Mutex;

use crate::body;
use crate::config::data_folder;
use crate::db::now;
use crate::error::Error;
use crate::note_file;
use crate::serve::{GRACE, listen, log_to_stderr, told_to_stop};

use seen::SeenFolder;

/// The size of a log, as the specification has it said.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// What `soma witness` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct WitnessConfig {
    /// Folder of the witness's key, and of what it has seen
    /// [default: $XDG_DATA_HOME/soma-witness or ~/.local/share/soma-witness]
    #[arg(long, env = "SOMA_WITNESS_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "SOMA_WITNESS_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:7713"
    )]
    pub listen: SocketAddr,

    /// The witness's name, such as `witness.example.com/w1`: decided once, since every pinned key
    /// has it [default: the address listened on]
    #[arg(long, env = "SOMA_WITNESS_NAME", value_name = "NAME")]
    pub name: Option<String>,

    /// Key of a log to cosign for, as `soma marketplace serve` prints it; may be given more than
    /// once
    #[arg(
        long = "log",
        env = "SOMA_WITNESS_LOGS",
        value_name = "VKEY",
        value_delimiter = ',',
        required = true
    )]
    pub logs: Vec<LogKey>,
}

/// One witness.
struct Witness {
    secret: NoteSecret,
    /// By origin.
    logs: BTreeMap<String, LogKey>,
    /// One checkpoint is judged at a time: between judging and keeping nothing may come.
    seen: Mutex<SeenFolder>,
}

/// Runs a witness until it is told to stop (SIGTERM, SIGINT). Sets up the process's logging.
pub async fn serve_witness(config: WitnessConfig) -> anyhow::Result<()> {
    log_to_stderr();
    let told = told_to_stop()?;
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let data = data_folder(config.data.as_deref(), "soma-witness")?;
    owner_only::folder(&data).context("the data folder")?;
    let seen = SeenFolder::open(&data)?;
    let name = config.name.as_deref();
    let secret = note_file::open(
        &data.join("witness.key"),
        name,
        &format!("{address}/witness"),
    )?;
    note_file::publish(&data.join("witness.vkey"), &secret.witness_key())?;
    let witness = Arc::new(Witness {
        logs: by_origin(config.logs)?,
        seen: Mutex::new(seen),
        secret,
    });
    let handle = Handle::new();
    let server = listen(listener, &handle, routes(witness.clone())).await?;
    let url_file = data.join("witness.url");
    fs::write(&url_file, format!("http://{address}\n"))?;
    let key = witness.secret.witness_key();
    tracing::info!(url = %format_args!("http://{address}"), %key, "listening");
    told.await;
    handle.graceful_shutdown(Some(GRACE));
    server.await??;
    fs::remove_file(url_file)?;
    Ok(())
}

fn by_origin(keys: Vec<LogKey>) -> anyhow::Result<BTreeMap<String, LogKey>> {
    let mut logs = BTreeMap::new();
    for key in keys {
        let origin = key.origin().to_owned();
        if logs.insert(origin.clone(), key).is_some() {
            bail!("the log `{origin}` is given twice: a witness knows one key of each");
        }
    }
    Ok(logs)
}

fn routes(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/", get(about))
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/healthz", get(async || "ok\n"))
        .with_state(witness)
}

/// The key, to compare.
async fn about(State(witness): State<Arc<Witness>>) -> String {
    format!("{}\n", witness.secret.witness_key())
}

async fn add_checkpoint(
    State(witness): State<Arc<Witness>>,
    request: Request,
) -> Result<Response, Error> {
    let body = body::read(request.into_body()).await?;
    let asked = AddCheckpoint::read(&body).map_err(|error| Error::BadRequest(error.to_string()))?;
    let key = asked.origin().and_then(|origin| witness.logs.get(origin));
    let key =
        key.ok_or_else(|| Error::NotFound("such log among those cosigned here".to_owned()))?;
    let store = witness.seen.lock().await;
    let seen = store.get(key.origin()).map_err(Error::Seen)?;
    let (mut checkpoint, now_seen) = match asked.judge(key, seen.as_ref()) {
        Ok(judged) => judged,
        Err(WitnessRefusal::Behind { size, .. }) => {
            let headers = [(CONTENT_TYPE, SIZE_TYPE)];
            return Ok((StatusCode::CONFLICT, headers, format!("{size}\n")).into_response());
        }
        Err(refusal) => {
            if let WitnessRefusal::Forked { .. } | WitnessRefusal::Proof(_) = &refusal {
                let note = String::from_utf8_lossy(&asked.note);
                tracing::error!(%refusal, %note, "a log's key signed what does not fit");
            }
            return Err(Error::Witness(refusal));
        }
    };
    store.put(&now_seen).map_err(Error::Seen)?;
    let line = checkpoint.cosign(&witness.secret, now())?;
    let (log, size) = (key.origin(), now_seen.size);
    tracing::info!(log, size, "cosigned");
    Ok(line.to_bytes().into_response())
}
