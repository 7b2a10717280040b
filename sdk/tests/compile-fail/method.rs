use soma_sdk::{Error, tool};

struct Greeter;

impl Greeter {
    /// Greets.
    #[tool]
    fn hello(&self) -> Result<String, Error> {
        Ok("Hello".into())
    }
}

fn main() {}
