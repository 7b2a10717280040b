//! `soma marketplace serve`: a marketplace, in the foreground.

use crate::commands::compile_component;
use crate::commands::serve::unserved;
use crate::failure::Failure;

/// Serve a marketplace over HTTP until told to stop
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma marketplace serve
  soma marketplace serve --origin capsules.example.com/log --listen 0.0.0.0:7712 --behind-proxy
  soma marketplace serve --database postgres://… --blobs s3://capsules

The log's key is made at the first start; its public half, which others pin, is in log.vkey in the
data folder. SIGTERM and Ctrl-C finish the requests in flight, then stop.")]
pub(crate) struct Serve {
    #[command(flatten)]
    config: soma_marketplace::Config,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let compiler = Some(compile_component::compiler()?);
        let config = soma_marketplace::Config {
            compiler,
            ..self.config
        };
        let hint = "--listen 127.0.0.1:0 takes a free port";
        let served = soma_marketplace::serve(config).await;
        served.map_err(|error| unserved(error, hint))
    }
}
