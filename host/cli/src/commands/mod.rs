//! The commands, one a file.

mod approve;
mod audit;
mod backup;
mod budget;
mod build;
mod call;
pub(crate) mod compile_component;
mod completions;
mod config;
mod grant;
mod info;
mod inspect;
mod install;
mod key;
mod keys;
mod list;
mod log;
mod login;
mod logout;
mod marketplace;
mod namespace;
mod new;
mod outdated;
mod owner;
mod pin;
mod publish;
mod receipt;
mod restore;
mod rollback;
mod run;
mod search;
mod secret;
mod serve;
mod store;
mod tenant;
mod token;
mod uninstall;
mod update;
mod usage;
mod verify;
mod witness;
mod yank;

use crate::failure::Failure;
use crate::screen::Screen;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    New(new::New),
    Build(build::Build),
    Inspect(inspect::Inspect),
    Run(run::Run),
    Serve(Box<serve::Serve>),
    Backup(Box<backup::Backup>),
    Restore(Box<restore::Restore>),
    Install(install::Install),
    List(list::List),
    Outdated(outdated::Outdated),
    Update(update::Update),
    Approve(approve::Approve),
    Rollback(rollback::Rollback),
    Uninstall(uninstall::Uninstall),
    Call(call::Call),
    Search(search::Search),
    Info(info::Info),
    Verify(Box<verify::Verify>),
    Publish(Box<publish::Publish>),
    /// Take a version out of what is chosen anew; who has it keeps it
    #[command(after_help = "Example:\n  soma yank acme/weather@1.2.0")]
    Yank(Box<yank::Target>),
    /// Let a yanked version be chosen again
    #[command(after_help = "Example:\n  soma unyank acme/weather@1.2.0")]
    Unyank(Box<yank::Target>),
    Revoke(Box<yank::Revoke>),
    /// Take names to publish under
    #[command(subcommand)]
    Namespace(namespace::Namespace),
    /// Say who may publish under a name: owners, their keys, invitations, recoveries
    #[command(subcommand)]
    Owner(Box<owner::Owner>),
    /// Make, list, print and rotate the keys that you sign with
    #[command(subcommand)]
    Keys(keys::Keys),
    Login(login::Login),
    Logout(logout::Logout),
    /// Make, list and revoke tokens for a marketplace
    #[command(subcommand)]
    Token(token::Token),
    /// Run a marketplace, and pin marketplaces to the keys of their logs
    #[command(subcommand)]
    Marketplace(marketplace::Marketplace),
    Witness(witness::Witness),
    /// Audit the log of a marketplace
    #[command(subcommand)]
    Log(log::Log),
    /// Make, list, suspend and delete tenants
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Make, list, rotate and revoke API keys of a host
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Say what capsules may do beyond computing
    #[command(subcommand)]
    Grant(Box<grant::GrantCommand>),
    /// Give capsules' settings their values
    #[command(subcommand)]
    Config(Box<config::ConfigCommand>),
    /// Look after what capsules keep from call to call
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Keep the credentials that accompany capsules' requests
    #[command(subcommand)]
    Secret(Box<secret::SecretCommand>),
    /// Bound what tenants, keys and sessions may spend, and show what is left
    #[command(subcommand)]
    Budget(budget::BudgetCommand),
    Usage(usage::Usage),
    /// Look up what happened on a host, and prove that nothing of it was changed
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Fetch what proves a call, and check it without the host
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Show and remove what ties a namespace to the log it was first installed from
    #[command(subcommand)]
    Pin(pin::PinCommand),
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
            Self::Backup(command) => command.run(screen).await,
            Self::Restore(command) => command.run(screen).await,
            Self::Install(command) => command.run(screen).await,
            Self::List(command) => command.run(screen).await,
            Self::Outdated(command) => command.run(screen).await,
            Self::Update(command) => command.run(screen).await,
            Self::Approve(command) => command.run(screen).await,
            Self::Rollback(command) => command.run(screen).await,
            Self::Uninstall(command) => command.run(screen).await,
            Self::Call(command) => command.run(screen).await,
            Self::Search(command) => command.run(screen).await,
            Self::Info(command) => command.run(screen).await,
            Self::Verify(command) => command.run(screen).await,
            Self::Publish(command) => command.run(screen).await,
            Self::Yank(command) => command.yank(screen).await,
            Self::Unyank(command) => command.unyank(screen).await,
            Self::Revoke(command) => command.run(screen).await,
            Self::Namespace(command) => command.run(screen).await,
            Self::Owner(command) => command.run(screen).await,
            Self::Keys(command) => command.run(screen).await,
            Self::Login(command) => command.run(screen).await,
            Self::Logout(command) => command.run(screen).await,
            Self::Token(command) => command.run(screen).await,
            Self::Marketplace(command) => command.run(screen).await,
            Self::Witness(command) => command.run().await,
            Self::Log(command) => command.run(screen).await,
            Self::Tenant(command) => command.run(screen).await,
            Self::Key(command) => command.run(screen).await,
            Self::Grant(command) => command.run(screen).await,
            Self::Config(command) => command.run(screen).await,
            Self::Store(command) => command.run(screen).await,
            Self::Secret(command) => command.run(screen).await,
            Self::Budget(command) => command.run(screen).await,
            Self::Usage(command) => command.run(screen).await,
            Self::Audit(command) => command.run(screen).await,
            Self::Receipt(command) => command.run(screen).await,
            Self::Pin(command) => command.run(screen).await,
            Self::Completions(command) => command.run(),
            // main runs it before anything else.
            Self::CompileComponent(_) => Ok(()),
        }
    }
}
