//! `soma witness`: a witness of logs, in the foreground.

use crate::failure::Failure;

/// Cosign the checkpoints of logs, so that none can show two histories unseen
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma witness --name witness.example.com/w1 --log market.example+1f3a99c0+AYr…

The key is made at the first start; its public half, which hosts name under [trust] and marketplaces
with --witness KEY@URL, is in witness.vkey in the data folder. Keep that folder: a witness that
forgets what it saw is none. A proxy in front ends TLS.")]
pub(crate) struct Witness {
    #[command(flatten)]
    config: soma_marketplace::WitnessConfig,
}

impl Witness {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        Ok(soma_marketplace::serve_witness(self.config).await?)
    }
}
