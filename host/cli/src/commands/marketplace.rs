//! `soma marketplace`: run one.

mod serve;

use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum MarketplaceCommand {
    Serve(Box<serve::Serve>),
}

impl MarketplaceCommand {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(command) => command.run().await,
        }
    }
}
