//! Who one is to the marketplace, and what changes by one's signature.

use dsse::Envelope;
use reqwest::Method;
use soma_capability::Name;

use super::{ClientError, Marketplace};
use crate::api::{
    About, Account, Challenge, Invitation, Logged, Login, NamespaceInfo, NewToken, Token,
    TokenRequest,
};
use crate::key::SecretKey;

impl Marketplace {
    /// Who answers there. The key that it names is not to be believed, only compared.
    pub async fn about(&self) -> Result<About, ClientError> {
        self.get(&["v1"]).await
    }

    /// A text to sign.
    pub async fn challenge(&self) -> Result<Challenge, ClientError> {
        self.post(&["v1", "login", "challenge"], &serde_json::json!({}))
            .await
    }

    /// Proves to hold the account's key and gets a token with every scope. An account that nobody
    /// has is made, with this key.
    pub async fn login(&self, account: &Name, key: &SecretKey) -> Result<NewToken, ClientError> {
        self.login_with(account, &[key]).await
    }

    /// The same, and from now on the account has the second key.
    pub async fn login_replacing(
        &self,
        account: &Name,
        old: &SecretKey,
        new: &SecretKey,
    ) -> Result<NewToken, ClientError> {
        self.login_with(account, &[old, new]).await
    }

    async fn login_with(
        &self,
        account: &Name,
        keys: &[&SecretKey],
    ) -> Result<NewToken, ClientError> {
        let Challenge { challenge } = self.challenge().await?;
        let login = Login {
            log: self.origin().to_owned(),
            account: account.clone(),
            challenge,
        };
        self.post(&["v1", "login"], &login.sign(keys)?).await
    }

    /// Whose the token is that is shown here, and what it opens.
    pub async fn account(&self) -> Result<Account, ClientError> {
        self.get(&["v1", "account"]).await
    }

    /// The account's tokens, without their texts.
    pub async fn tokens(&self) -> Result<Vec<Token>, ClientError> {
        self.get(&["v1", "tokens"]).await
    }

    /// Makes a token.
    pub async fn create_token(&self, wanted: &TokenRequest) -> Result<NewToken, ClientError> {
        self.post(&["v1", "tokens"], wanted).await
    }

    /// Makes a token useless.
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.order(Method::DELETE, &["v1", "tokens", id]).await
    }

    /// Sends any change but a publication, with all the signatures that it needs.
    pub async fn submit(&self, change: &Envelope) -> Result<Logged, ClientError> {
        self.post(&["v1", "changes"], change).await
    }

    /// An open invitation that the account was sent, or sent.
    pub async fn invitation(&self, id: &str) -> Result<Invitation, ClientError> {
        self.get(&["v1", "invitations", id]).await
    }

    /// The open invitations that the account was sent, and sent: the first 200.
    pub async fn invitations(&self) -> Result<Vec<Invitation>, ClientError> {
        self.get(&["v1", "invitations"]).await
    }

    /// Offers somebody to become an owner: an `add-owner`, signed by an owner.
    pub async fn invite(&self, change: &Envelope) -> Result<Invitation, ClientError> {
        self.post(&["v1", "invitations"], change).await
    }

    /// Declines an invitation, or takes it back.
    pub async fn decline(&self, id: &str) -> Result<(), ClientError> {
        self.order(Method::DELETE, &["v1", "invitations", id]).await
    }

    /// Owners and keys of a namespace.
    pub async fn namespace(&self, name: &Name) -> Result<NamespaceInfo, ClientError> {
        self.get(&["v1", "namespaces", name.as_str()]).await
    }
}
