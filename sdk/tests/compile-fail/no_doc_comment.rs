use soma_sdk::{Error, tool};

#[tool]
fn hello() -> Result<String, Error> {
    Ok("Hello".into())
}

fn main() {}
