//! The tables `accounts` and `challenges`: who can log in, and what there is to sign.

use soma_capability::Name;
use soma_registry::PublicKey;
use sqlx::{AnyConnection, AnyPool};

use super::{corrupt, now, stored};

/// Makes the account where there is none of that name. Gives the key that it has.
pub(crate) async fn enter(
    pool: &AnyPool,
    account: &Name,
    key: &PublicKey,
) -> sqlx::Result<PublicKey> {
    sqlx::query(
        "INSERT INTO accounts (name, key, created) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(account.as_str())
    .bind(key.to_string())
    .bind(stored(now()))
    .execute(pool)
    .await?;
    let key: String = sqlx::query_scalar("SELECT key FROM accounts WHERE name = $1")
        .bind(account.as_str())
        .fetch_one(pool)
        .await?;
    key.parse().map_err(corrupt)
}

/// Whether this is the account's key still. As long as the transaction lasts it stays so, and nobody
/// else makes a token for the account or gives it another key.
pub(crate) async fn hold(
    tx: &mut AnyConnection,
    account: &Name,
    key: &PublicKey,
) -> sqlx::Result<bool> {
    let held = sqlx::query("UPDATE accounts SET key = key WHERE name = $1 AND key = $2")
        .bind(account.as_str())
        .bind(key.to_string())
        .execute(tx)
        .await?;
    Ok(held.rows_affected() == 1)
}

/// Gives the account another key. Tokens that were made before open nothing more.
pub(crate) async fn set_key(
    tx: &mut AnyConnection,
    account: &Name,
    key: &PublicKey,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE accounts SET key = $1 WHERE name = $2")
        .bind(key.to_string())
        .bind(account.as_str())
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM tokens WHERE account = $1")
        .bind(account.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn put_challenge(
    pool: &AnyPool,
    challenge: &str,
    lifetime: u64,
) -> sqlx::Result<()> {
    let now = now();
    sqlx::query("DELETE FROM challenges WHERE expires <= $1")
        .bind(stored(now))
        .execute(pool)
        .await?;
    sqlx::query("INSERT INTO challenges (challenge, expires) VALUES ($1, $2)")
        .bind(challenge)
        .bind(stored(now + lifetime))
        .execute(pool)
        .await?;
    Ok(())
}

/// Whether the challenge was good; it is not any more.
pub(crate) async fn take_challenge(pool: &AnyPool, challenge: &str) -> sqlx::Result<bool> {
    // No challenge has one, and Postgres no text with it.
    if challenge.contains('\0') {
        return Ok(false);
    }
    let taken = sqlx::query("DELETE FROM challenges WHERE challenge = $1 AND expires > $2")
        .bind(challenge)
        .bind(stored(now()))
        .execute(pool)
        .await?;
    Ok(taken.rows_affected() == 1)
}

pub(crate) async fn key(pool: &AnyPool, account: &Name) -> sqlx::Result<Option<PublicKey>> {
    let key: Option<String> = sqlx::query_scalar("SELECT key FROM accounts WHERE name = $1")
        .bind(account.as_str())
        .fetch_optional(pool)
        .await?;
    key.map(|key| key.parse()).transpose().map_err(corrupt)
}
