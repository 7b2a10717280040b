//! The commands, one a file.

mod build;
mod call;
pub(crate) mod compile_component;
mod completions;
mod inspect;
mod install;
mod key;
mod list;
mod marketplace;
mod new;
mod outdated;
mod pin;
mod run;
mod serve;
mod tenant;
mod uninstall;
mod update;

use crate::failure::Failure;
use crate::screen::Screen;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    New(new::New),
    Build(build::Build),
    Inspect(inspect::Inspect),
    Run(run::Run),
    Serve(Box<serve::Serve>),
    Install(install::Install),
    List(list::List),
    Outdated(outdated::Outdated),
    Update(update::Update),
    Uninstall(uninstall::Uninstall),
    Call(call::Call),
    /// Make, list, suspend and delete tenants
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Show and remove what ties a namespace to the log it was first installed from
    #[command(subcommand)]
    Pin(pin::PinCommand),
    /// Run a marketplace
    #[command(subcommand)]
    Marketplace(marketplace::MarketplaceCommand),
    Completions(completions::Completions),
    CompileComponent(compile_component::CompileComponent),
}

impl Command {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::New(command) => command.run(screen),
            Self::Build(command) => command.run(screen).await,
            Self::Inspect(command) => command.run(screen).await,
            Self::Run(command) => command.run(screen).await,
            Self::Serve(command) => command.run().await,
            Self::Install(command) => command.run(screen).await,
            Self::List(command) => command.run(screen).await,
            Self::Outdated(command) => command.run(screen).await,
            Self::Update(command) => command.run(screen).await,
            Self::Uninstall(command) => command.run(screen).await,
            Self::Call(command) => command.run(screen).await,
            Self::Tenant(command) => command.run(screen).await,
            Self::Key(command) => command.run(screen).await,
            Self::Pin(command) => command.run(screen).await,
            Self::Marketplace(command) => command.run().await,
            Self::Completions(command) => command.run(),
            // main runs it before anything else.
            Self::CompileComponent(_) => Ok(()),
        }
    }
}
