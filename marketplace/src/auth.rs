//! Who asks: a login signs a challenge and gets a token; a token has scopes. No owner's token changes
//! what the log says: that takes a signature too. What an operator's login has logged is the
//! marketplace's own word, and marked as that.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use soma_capability::Name;
use soma_registry::PublicKey;
use soma_registry::api::{NewToken, Token, TokenRequest, TokenScope};
use subtle::ConstantTimeEq as _;

use crate::app::{App, AppState};
use crate::db::tokens::{self, StoredToken};
use crate::db::{accounts, now};
use crate::error::Error;

const PREFIX: &str = "smt_";
const SECRET_BYTES: usize = 32;
const UNKNOWN_TOKEN: Error = Error::Unauthorized("the token is unknown, expired or revoked");

/// Hex digits of a token's hash that name it.
const ID_DIGITS: usize = 16;

/// Who holds the token of a request, and what it opens.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: Name,
    pub(crate) token: Token,
}

impl Caller {
    /// Whether the token is good for this.
    pub(crate) fn require(&self, scope: TokenScope, namespace: &Name) -> Result<(), Error> {
        self.require_scope(scope)?;
        if self.reaches(namespace) {
            return Ok(());
        }
        Err(Error::Scope(format!(
            "is not good for the namespace `{namespace}`"
        )))
    }

    /// Whether the token is not limited to other namespaces.
    pub(crate) fn reaches(&self, namespace: &Name) -> bool {
        let some = self.token.namespaces.as_ref();
        some.is_none_or(|some| some.contains(namespace))
    }

    /// Whether the token is good for any of these, wherever that may be.
    pub(crate) fn require_some_of(&self, scopes: &[TokenScope]) -> Result<(), Error> {
        let mut missing = scopes.iter().map(|scope| self.require_scope(*scope));
        missing.find(Result::is_ok).unwrap_or_else(|| {
            let names: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            Err(Error::Scope(format!(
                "has none of the scopes {}",
                names.join(", ")
            )))
        })
    }

    /// The same, where no namespace is concerned.
    pub(crate) fn require_scope(&self, scope: TokenScope) -> Result<(), Error> {
        if self.token.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Error::Scope(format!("lacks the scope `{scope}`")))
    }

    /// Whether the token is there still, where that was looked at long ago.
    pub(crate) async fn require_current(&self, app: &App) -> Result<(), Error> {
        let found = tokens::get(&app.pool, &self.token.id).await?;
        found.map(drop).ok_or(UNKNOWN_TOKEN)
    }

    /// An operator's own login, and not a token made for something else.
    pub(crate) async fn require_operator(&self, app: &App) -> Result<(), Error> {
        self.require_scope(TokenScope::Tokens)?;
        if self.is_operator(app).await? {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "`{}` is not an operator of this marketplace: its key is none of `--operators`",
            self.account
        )))
    }

    /// Whether the account has an operator's key now. Its name says nothing: anyone may have taken
    /// that.
    pub(crate) async fn is_operator(&self, app: &App) -> Result<bool, Error> {
        let key = accounts::key(&app.pool, &self.account).await?;
        Ok(key.is_some_and(|key| app.config.operators.contains(&key)))
    }
}

/// Makes a token for who has this key, and keeps its hash. Where another token asks for it, that one
/// must be there still: a key that was replaced leaves nothing behind.
pub(crate) async fn issue(
    app: &App,
    account: &Name,
    key: &PublicKey,
    asking: Option<&Token>,
    request: TokenRequest,
) -> Result<NewToken, Error> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    let token = format!("{PREFIX}{}", hex::encode(secret));
    let hash = hash(&token);
    let about = Token {
        id: hash[..ID_DIGITS].to_owned(),
        name: request.name,
        scopes: request.scopes,
        namespaces: request.namespaces,
        expires: now() + request.lifetime,
    };
    let stored = StoredToken {
        account: account.clone(),
        secret_sha256: hash,
        about: about.clone(),
    };
    let mut tx = app.pool.begin().await?;
    if !accounts::hold(&mut tx, account, key).await? {
        return Err(Error::Unauthorized("the account has another key now"));
    }
    if let Some(asking) = asking
        && tokens::get(&mut *tx, &asking.id).await?.is_none()
    {
        return Err(UNKNOWN_TOKEN);
    }
    tokens::insert(&mut tx, &stored).await?;
    tx.commit().await?;
    Ok(NewToken { token, about })
}

/// 256 random bits need no slow hash.
fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let header = parts.headers.get(AUTHORIZATION).ok_or(Error::Unauthorized(
            "send `Authorization: Bearer TOKEN`; `soma login` gets one",
        ))?;
        let token = header.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token.filter(|token| token.starts_with(PREFIX)) else {
            return Err(UNKNOWN_TOKEN);
        };
        let hash = hash(token);
        let found = tokens::get(&app.pool, &hash[..ID_DIGITS]).await?;
        let same = |found: &StoredToken| -> bool {
            found.secret_sha256.as_bytes().ct_eq(hash.as_bytes()).into()
        };
        let found = found.filter(same).ok_or(UNKNOWN_TOKEN)?;
        Ok(Self {
            account: found.account,
            token: found.about,
        })
    }
}
