//! Pure work of a length the caller chooses: `n` steps of xorshift.

use soma_guests::{Output, ToolError, number, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..number(&parse(&input), "n") {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    Ok(structured(x.to_string()))
}
