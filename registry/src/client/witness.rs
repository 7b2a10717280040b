//! A log's way to a witness: <https://c2sp.org/tlog-witness>.

use std::str::FromStr;
use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::{ClientError, flaw, http_client};
use crate::log::{AddCheckpoint, NoteKeyError, WitnessKey};

/// A witness that takes longer is done without.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes of an answer: a hundred lines.
const MAX_ANSWER: usize = 64 << 10;

/// Where a witness is, and its key. Written `KEY@URL`.
#[derive(Clone, Debug)]
pub struct Witness {
    key: WitnessKey,
    add_checkpoint: Url,
    http: reqwest::Client,
}

/// What a witness says to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// Signature lines, not judged yet: `Checkpoint::admit` does that.
    Lines(Vec<u8>),
    /// The newest size that it cosigned: the proof must begin there.
    Knows(u64),
}

/// Why a witness says nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Not `KEY@URL`.
    #[error("a witness is written KEY@URL, its key as `soma witness` prints it")]
    Form,
    /// Not a witness's key.
    #[error(transparent)]
    Key(#[from] NoteKeyError),
    /// No witness may be there.
    #[error("`{url}` cannot be a witness: {why}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No HTTP client, such as where the machine's certificates cannot be read.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It does not answer.
    #[error("the witness does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// It answers something else.
    #[error("the witness answered {status}: {words}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Its words, cut.
        words: String,
    },
}

impl Witness {
    /// Its key.
    pub fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Asks it to cosign.
    pub async fn ask(&self, asked: &AddCheckpoint) -> Result<WitnessAnswer, WitnessError> {
        let request = self.http.post(self.add_checkpoint.clone());
        let request = request.timeout(PATIENCE).body(asked.to_bytes());
        let mut response = request.send().await?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER {
                break;
            }
        }
        let text = String::from_utf8_lossy(&body);
        if status == StatusCode::OK && body.len() <= MAX_ANSWER {
            return Ok(WitnessAnswer::Lines(body));
        }
        if status == StatusCode::CONFLICT
            && let Some(size) = text.strip_suffix('\n').and_then(|size| size.parse().ok())
        {
            return Ok(WitnessAnswer::Knows(size));
        }
        let words = text.escape_debug().take(200).collect();
        Err(WitnessError::Refused { status, words })
    }
}

impl FromStr for Witness {
    type Err = WitnessError;

    fn from_str(text: &str) -> Result<Self, WitnessError> {
        // A key's name may have an `@`; the address may not.
        let (key, url) = text.rsplit_once('@').ok_or(WitnessError::Form)?;
        let url: Url = url.parse().map_err(|_| WitnessError::Form)?;
        if let Some(why) = flaw(&url) {
            let url = url.to_string();
            return Err(WitnessError::Address { url, why });
        }
        let mut add_checkpoint = url.clone();
        if let Ok(mut segments) = add_checkpoint.path_segments_mut() {
            segments.pop_if_empty().push("add-checkpoint");
        }
        Ok(Self {
            key: key.parse()?,
            add_checkpoint,
            http: http_client(&url)?,
        })
    }
}
