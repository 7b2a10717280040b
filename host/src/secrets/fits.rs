//! Whether a host has the key that the credentials in its database were sealed under.

use anyhow::ensure;
use futures::TryStreamExt as _;
use sqlx::AnyPool;

use super::Sealer;
use crate::db::secrets;

/// So many are tried, or more until one opens.
const TRIED: u64 = 100;

/// Refuses a key that opens none of them. Where it opens some, whoever set the others is to set
/// them again.
pub(crate) async fn check_key(pool: &AnyPool, sealer: &Sealer) -> anyhow::Result<()> {
    let (mut open, mut shut) = (0_u64, 0_u64);
    let mut rows = secrets::sealed(pool);
    while open == 0 || open + shut < TRIED {
        let Some(row) = rows.try_next().await? else {
            break;
        };
        match row.opens(sealer) {
            true => open += 1,
            false => shut += 1,
        }
    }
    ensure!(
        open > 0 || shut == 0,
        "the credentials in the database were sealed under another key: give the one they were \
         sealed with (--secrets-key), or remove them first"
    );
    if shut > 0 {
        let tried = open + shut;
        tracing::warn!(
            shut,
            tried,
            "credentials do not open, sealed under another key or damaged: set them again"
        );
    }
    Ok(())
}
