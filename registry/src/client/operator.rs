//! What a marketplace's operator does.

use reqwest::Method;

use super::exchange::TRANSFER;
use super::{ClientError, Marketplace};
use crate::MAX_FILE_BYTES;
use crate::api::{Logged, OperatorChange, Review};

/// What becomes of a publication that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is published.
    Approve,
    /// It is not.
    Refuse,
}

impl Marketplace {
    /// The publications that are held.
    pub async fn reviews(&self) -> Result<Vec<Review>, ClientError> {
        self.get(&["v1", "operator", "reviews"]).await
    }

    /// The file of one of them, of that digest.
    pub async fn review_capsule(&self, review: &Review) -> Result<Vec<u8>, ClientError> {
        let path = ["v1", "operator", "reviews", &review.id, "capsule"];
        self.bytes(&path, MAX_FILE_BYTES, TRANSFER).await
    }

    /// Decides about one of them.
    pub async fn decide(&self, review: &str, decision: Decision) -> Result<(), ClientError> {
        let word = match decision {
            Decision::Approve => "approve",
            Decision::Refuse => "refuse",
        };
        let path = ["v1", "operator", "reviews", review, word];
        self.order(Method::POST, &path).await
    }

    /// Has the marketplace change something on its own word.
    pub async fn operate(&self, change: &OperatorChange) -> Result<Logged, ClientError> {
        self.post(&["v1", "operator", "changes"], change).await
    }
}
