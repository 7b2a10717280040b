//! `soma call`: one tool on a host, with the key that can do nothing else.

use reqwest::Method;
use soma_capability::CapsuleName;

use crate::answer;
use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::Screen;

/// Call a tool of a capsule that a host has installed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma call soma/jq jq '{\"filter\": \".a\", \"input\": {\"a\": 1}}'
  curl -s https://api.example.com/data.json | soma call acme/report summarise -")]
pub(crate) struct Call {
    /// NAMESPACE/NAME
    capsule: CapsuleName,

    /// The tool's name
    tool: String,

    /// The input: JSON, `-` for standard input, or @FILE
    #[arg(default_value = "{}")]
    input: String,

    /// Show what the call used, on standard error
    #[arg(long)]
    usage: bool,

    #[command(flatten)]
    host: HostArgs,
}

impl Call {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let input = answer::input(&self.input)?;
        let client = Client::new(self.host, LocalKey::Invoke)?;
        let path = [
            "capsules",
            self.capsule.namespace(),
            self.capsule.name(),
            "tools",
            &self.tool,
        ];
        let answer = client.send(Method::POST, &path, Body::Json(input)).await;
        let answer = answer.map_err(|failure| match failure.is_problem("revoked") {
            true => failure.hint("`soma outdated` shows whether there is a newer version"),
            false => failure,
        })?;
        screen.show(&answer, |out| answer::show(&answer["output"], out))?;
        if self.usage {
            answer::show_usage(&answer["usage"], screen);
        }
        Ok(())
    }
}
