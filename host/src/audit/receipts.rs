//! Making receipts: the record of a call, and its way to the root that is signed. Nothing is signed
//! for one call alone; where its record is not under a checkpoint yet, all of the log is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::Value;
use soma_registry::log::{Checkpoint, Inclusion};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::sought::{Found, Sought};
use super::{Audit, Order, tree};
use crate::auth::Caller;
use crate::error::Error;
use crate::receipt::{Receipt, ReceiptError};

impl Audit {
    /// The receipt of a call, where its record is here, and is of this caller where one is given. No
    /// call takes longer than `longest`.
    pub(crate) async fn receipt(
        &self,
        id: Uuid,
        longest: Duration,
        of: Option<&Caller>,
    ) -> Result<Receipt, Error> {
        let sought = Sought::new(id, longest).ok_or(Error::UnknownInvocation)?;
        let sought = Arc::new(sought);
        let seen = self.size();
        let mut found = self.find(&sought, seen).await?;
        // It may be on its way to the disk.
        let is_behind = || self.shared.queued.load(SeqCst) > 0 || self.size() > seen;
        if found.is_none() && is_behind() {
            self.checkpoint().await?;
            found = self.find(&sought, self.size()).await?;
        }
        let found = found.filter(|found| of.is_none_or(|caller| is_of(&found.record, caller)));
        let found = found.ok_or(Error::UnknownInvocation)?;
        let mut checkpoint = self.newest()?;
        if checkpoint.size() <= found.index {
            self.checkpoint().await?;
            checkpoint = self.newest()?;
        }
        self.prove(found, &checkpoint).await
    }

    /// Looks for a record among the first of them. What is looked for and not there can take the
    /// reading of many files: few do so at a time.
    async fn find(&self, sought: &Arc<Sought>, size: u64) -> Result<Option<Found>, Error> {
        let turn = self.look_ups.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Error::NotReady("the host is stopping"))?;
        let (sought, records) = (sought.clone(), self.records.clone());
        let look = spawn_blocking(move || {
            let _turn = turn;
            sought.find(&records, size)
        });
        Ok(look.await??)
    }

    fn newest(&self) -> Result<Checkpoint, Error> {
        let note = self.shared.checkpoint().clone();
        let checkpoint = Checkpoint::read(note.as_bytes(), &self.key);
        checkpoint.map_err(|error| io::Error::other(error).into())
    }

    /// The receipt of a record, which is checked as whoever gets it would.
    async fn prove(&self, found: Found, checkpoint: &Checkpoint) -> Result<Receipt, Error> {
        let (hashes, index, size) = (self.hashes.clone(), found.index, checkpoint.size());
        let prove = spawn_blocking(move || tree::prove(&hashes, index, size));
        let inclusion = prove.await??;
        let receipt = Receipt {
            line: found.line,
            inclusion,
            checkpoint: String::from_utf8_lossy(&checkpoint.to_bytes()).into_owned(),
            key: self.key.to_string(),
        };
        let words = match receipt.prove(Some(&self.key)) {
            Ok(_) => return Ok(receipt),
            Err(ReceiptError::Proof(_)) => self.unproven(&receipt.inclusion, checkpoint).await?,
            Err(error) => format!("a receipt that was made proves nothing: {error}"),
        };
        Err(io::Error::other(words).into())
    }

    /// Why a record is not proven that is in the log. What the tree's hashes say of themselves tells
    /// whether they are damaged; then they are given up, so that the next start makes them anew.
    async fn unproven(
        &self,
        inclusion: &Inclusion,
        checkpoint: &Checkpoint,
    ) -> Result<String, Error> {
        let (hashes, index) = (self.hashes.clone(), inclusion.index);
        let own = spawn_blocking(move || tree::hash_of(&hashes, index)).await??;
        if inclusion.check_hash(own, checkpoint).is_ok() {
            return Ok(format!(
                "record {index} of the audit log is not the one that was signed: it was changed"
            ));
        }
        self.order(Order::LoseHashes)?;
        Ok(
            "the hashes of the audit log's tree are damaged: there are no receipts until the host's \
             next start, which makes them anew"
                .to_owned(),
        )
    }
}

/// Whether a record is of what this caller did.
fn is_of(record: &Value, caller: &Caller) -> bool {
    record["key"] == caller.key_id() && record["tenant"] == caller.tenant()
}
