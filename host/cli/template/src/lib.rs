//! The capsule `{{namespace}}/{{name}}`.

use soma_sdk::{Error, tool};

/// Greets somebody by name.
#[tool(read_only, idempotent)]
fn hello(
    /// Whom to greet.
    name: String,
) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::invalid_input("`name` is empty: say whom to greet"));
    }
    Ok(format!("Hello, {name}!"))
}

soma_sdk::capsule![hello];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        assert_eq!(hello("Ada".into()), Ok("Hello, Ada!".into()));
    }

    #[test]
    fn wants_a_name() {
        assert!(matches!(hello(" ".into()), Err(Error::InvalidInput(_))));
    }
}
