//! Reading what a registry sends, within bounds.

use reqwest::Response;
use serde::Deserialize;

use super::error::RegistryError;
use crate::text;

/// Of an answer that only says what is wrong.
const MAX_PROBLEM_BYTES: usize = 64 << 10;
const MAX_PROBLEM_CHARACTERS: usize = 500;

/// The form of errors in the distribution specification.
#[derive(Deserialize)]
struct Problem {
    errors: Vec<ProblemEntry>,
}

#[derive(Deserialize)]
struct ProblemEntry {
    code: String,
    #[serde(default)]
    message: String,
}

/// The whole body, where it is no larger. `what` names it in errors.
pub(super) async fn read(
    mut response: Response,
    bound: usize,
    host: &str,
    what: &str,
) -> Result<Vec<u8>, RegistryError> {
    let too_large = || RegistryError::TooLarge {
        what: what.to_owned(),
        bound,
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > bound as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let broken = |source| RegistryError::Unreachable {
        host: host.to_owned(),
        source,
    };
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if bytes.len() + piece.len() > bound {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What a registry says about its refusal: empty, or `: ` and its words, if they may be shown.
pub(super) async fn message(response: Response, host: &str) -> String {
    let Ok(bytes) = read(response, MAX_PROBLEM_BYTES, host, "a refusal").await else {
        return String::new();
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) else {
        return String::new();
    };
    let Some(ProblemEntry { code, message }) = problem.errors.into_iter().next() else {
        return String::new();
    };
    let words = format!(": {code} {message}");
    match text::line(&words, MAX_PROBLEM_CHARACTERS) {
        Ok(()) => words.trim_end().to_owned(),
        Err(_) => String::new(),
    }
}
