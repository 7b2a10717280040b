//! `soma budget`: what tenants, keys and sessions may spend.

mod amount;
pub(super) mod shown;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) use self::amount::{tokens, tokens_of_a_call};
use crate::answer::grouped;
use crate::client::{Body, Client, HostArgs, LocalKey, of_tenant};
use crate::failure::Failure;
use crate::key_id::KeyId;
use crate::screen::{Screen, table};

#[derive(clap::Subcommand)]
pub(crate) enum BudgetCommand {
    Set(Set),
    Show(Show),
    Top(Top),
    /// Show what was spent of a budget in each of its windows, the newest first
    #[command(after_help = "Example:\n  soma budget history --per day --tenant acme")]
    History(Target),
    /// Forget a budget: it bounds nothing any more
    #[command(after_help = "Example:\n  soma budget rm --per day --tenant acme")]
    Rm(Target),
}

/// Which budget: whose, and over which time.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// The tenant whose calls it bounds [default: the key's own]
    #[arg(long)]
    tenant: Option<String>,

    /// The id of an API key of the tenant's: it bounds the calls of this key alone
    #[arg(long, value_name = "ID", value_parser = KeyId)]
    key: Option<String>,

    /// A session of the key: it bounds the calls of this session alone
    #[arg(long, value_name = "ID", requires = "key")]
    session: Option<String>,

    /// How long it is for; then it begins anew, in UTC
    #[arg(long = "per", value_enum)]
    span: Span,

    #[command(flatten)]
    host: HostArgs,
}

/// Set a budget, in the place of the one of the same time
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma budget set 5M --per month --tenant acme
  soma budget set 10k --per day --tenant acme --key 3f9a0c1d2e4b5a69
  soma budget set 500 --per lifetime --tenant acme --key 3f9a0c1d2e4b5a69 --session report-17
  soma budget set 1_000_000 --per month --soft

A call is refused where one of the budgets that it is under is spent: of its tenant, its key and its
session. `soma usage` shows what calls take (docs/budgets.md).")]
pub(crate) struct Set {
    /// How many tokens: 1000000, 1_000_000, 10k, 1.5M
    #[arg(value_name = "TOKENS", value_parser = tokens, allow_negative_numbers = true)]
    amount: u64,

    /// Only count, and refuse nothing
    #[arg(long)]
    soft: bool,

    #[command(flatten)]
    target: Target,
}

/// Whose budgets.
#[derive(clap::Args)]
struct Of {
    /// The tenant, whose keys' and sessions' are shown too [default: the key's own]
    #[arg(long)]
    tenant: Option<String>,

    #[command(flatten)]
    host: HostArgs,
}

/// Show a tenant's budgets and what is left of them, from the widest to the narrowest
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma budget show --tenant acme

LEASED are tokens that hosts have in hand: they may be spent at any moment, and what is not spent is
given back.")]
pub(crate) struct Show {
    #[command(flatten)]
    of: Of,
}

/// Show the budgets that are nearest to their end
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma budget top
  soma budget top --tenant acme --all

LEASED are tokens that hosts have in hand: they may be spent at any moment, and what is not spent is
given back.")]
pub(crate) struct Top {
    /// All of them, not the first ten
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    of: Of,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Span {
    Minute,
    Day,
    Month,
    /// It never begins anew
    Lifetime,
}

const BUDGETS: [&str; 2] = ["admin", "budgets"];

/// How many `top` shows.
const FIRST: usize = 10;

impl BudgetCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Set(set) => set.run(screen).await,
            Self::Show(Show { of }) => show(&of, screen).await,
            Self::Top(Top { all, of }) => top(&of, all, screen).await,
            Self::History(target) => history(&target, screen).await,
            Self::Rm(target) => remove(&target, screen).await,
        }
    }
}

impl Target {
    /// What names it, in queries and bodies.
    fn members(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("tenant", self.tenant.clone()),
            ("key", self.key.clone()),
            ("session", self.session.clone()),
            ("span", Some(self.span.name().to_owned())),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::new(self.host.clone(), LocalKey::Admin)
    }
}

impl Span {
    fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Month => "month",
            Self::Lifetime => "lifetime",
        }
    }
}

impl Set {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let mut wanted = json!({"tokens": self.amount, "hard": !self.soft});
        for (name, value) in self.target.members() {
            wanted[name] = json!(value);
        }
        let client = self.target.client()?;
        let body = Body::Json(wanted.to_string());
        let budget = client.send(Method::PUT, &BUDGETS, body).await?;
        screen.show(&budget, |out| {
            let (whose, bound) = (shown::whose(&wanted), shown::bound(&wanted));
            let (amount, span) = (grouped(self.amount), self.target.span.name());
            writeln!(out, "set: {amount} tokens per {span}, {bound}, {whose}")
        })?;
        if let Some(words) = shown::refuses(&budget) {
            screen.aside(&words);
        }
        Ok(())
    }
}

impl Of {
    /// The answer, with its budgets.
    async fn budgets(&self) -> Result<(Value, Vec<Value>), Failure> {
        let client = Client::new(self.host.clone(), LocalKey::Admin)?;
        let query = of_tenant(self.tenant.as_deref());
        let list = client.get(&BUDGETS, &query).await?;
        let budgets = list["budgets"].as_array().cloned().unwrap_or_default();
        Ok((list, budgets))
    }
}

const NOTHING: &str = "No budget is set; `soma budget set` sets one.";

async fn show(of: &Of, screen: Screen) -> Result<(), Failure> {
    let (list, budgets) = of.budgets().await?;
    let now = Timestamp::now();
    let rows = budgets.iter().map(|it| shown::row(it, now)).collect();
    screen.show(&list, |out| table(out, &shown::HEADINGS, rows, NOTHING))
}

async fn top(of: &Of, all: bool, screen: Screen) -> Result<(), Failure> {
    let (_, mut budgets) = of.budgets().await?;
    shown::sort(&mut budgets);
    let more = match budgets.len().checked_sub(FIRST) {
        Some(more) if !all => more,
        _ => 0,
    };
    budgets.truncate(budgets.len() - more);
    let rows = budgets.iter().map(shown::top_row).collect();
    screen.show(&json!({"budgets": budgets}), |out| {
        table(out, &shown::TOP_HEADINGS, rows, NOTHING)
    })?;
    if more > 0 {
        screen.aside(&format!("There are {more} more: --all shows them."));
    }
    Ok(())
}

async fn history(target: &Target, screen: Screen) -> Result<(), Failure> {
    let path = [BUDGETS[0], BUDGETS[1], "history"];
    let history = target.client()?.get(&path, &target.members()).await?;
    let windows = history["windows"].as_array().into_iter().flatten();
    let row = |window: &Value| {
        let begin = window["starts_at"].as_str().unwrap_or("the first call");
        let number = |member| grouped(shown::number(window, member));
        vec![begin.to_owned(), number("used"), number("leased")]
    };
    let rows = windows.map(row).collect();
    screen.show(&history, |out| {
        let nothing = "Nothing was spent of it yet.";
        table(out, &["from", "used", "leased"], rows, nothing)
    })
}

async fn remove(target: &Target, screen: Screen) -> Result<(), Failure> {
    let client = target.client()?;
    let members = target.members();
    client
        .send_with(Method::DELETE, &BUDGETS, &members, Body::None)
        .await?;
    let mut removed = json!({});
    for (name, value) in members {
        removed[name] = json!(value);
    }
    screen.show(&json!({"removed": removed}), |out| {
        let (whose, span) = (shown::whose(&removed), target.span.name());
        writeln!(out, "removed: per {span}, {whose}")
    })
}
