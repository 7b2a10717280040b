//! The tenants whose calls are on their way to a slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::by_name::{ByName, Passing};

/// All of them, by their ids.
#[derive(Default)]
pub(super) struct Tenants(ByName<Tenant>);

/// One tenant: there are no two of the same one while a call of it is on its way.
#[derive(Default)]
pub(super) struct Tenant {
    coming: AtomicUsize,
    /// The last of the queue's rounds in which it got a slot. The queue's, under its lock.
    pub(super) served: AtomicU64,
}

/// A call that has a place, and no slot yet.
pub(super) struct Coming(Arc<Tenant>);

impl Passing for Tenant {}

impl Tenants {
    /// One more call is on its way.
    pub(super) fn come(&self, id: &str) -> Coming {
        let tenant = self.0.get(id);
        tenant.coming.fetch_add(1, Relaxed);
        Coming(tenant)
    }

    /// How many calls are on their way: of the tenant that has the most of them, and of all.
    pub(super) fn coming(&self) -> (usize, usize) {
        let all = self.0.all();
        let coming = all.iter().map(|tenant| tenant.coming.load(Relaxed));
        coming.fold((0, 0), |(most, sum), of_one| {
            (most.max(of_one), sum + of_one)
        })
    }
}

impl Coming {
    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        &self.0
    }

    /// How many the tenant has of them, this one too.
    pub(super) fn of_tenant(&self) -> usize {
        self.0.coming.load(Relaxed)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Relaxed);
    }
}
