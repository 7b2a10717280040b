//! `soma serve`: the host, in the foreground.

use std::io;

use crate::commands::compile_component;
use crate::failure::Failure;

/// Serve the installed capsules over HTTP until told to stop
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma serve
  soma serve --data /var/lib/soma --listen 127.0.0.1:7711 --allow-http https://api.github.com
  soma serve --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem --allowed-hosts tools.example.com

SIGHUP reads the configuration file again; SIGTERM and Ctrl-C finish the calls in flight, then stop.")]
pub(crate) struct Serve {
    #[command(flatten)]
    config: soma_host::Config,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let compiler = Some(compile_component::compiler()?);
        let config = soma_host::Config {
            compiler,
            ..self.config
        };
        settings(&config)?;
        let hint = "another host may run already: `soma list` asks it; --listen 127.0.0.1:0 takes a \
                    free port";
        let served = soma_host::serve(config).await;
        served.map_err(|error| unserved(error, hint))
    }
}

/// Why nothing is served, with a hint for where the address is somebody else's.
pub(super) fn unserved(error: anyhow::Error, hint: &str) -> Failure {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    let is_taken = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AddrInUse);
    let failure = Failure::from(error);
    if is_taken {
        return failure.hint(hint);
    }
    failure
}

/// The settings in force. What is wrong there is the command line's, or a file's that it names.
pub(crate) fn settings(config: &soma_host::Config) -> Result<soma_host::Settings, Failure> {
    let settings = config.settings();
    settings.map_err(|error| Failure::usage(format_args!("{error:#}")))
}
