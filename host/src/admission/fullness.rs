//! How full the line before the slots is.

use std::sync::atomic::Ordering::Relaxed;

use super::{Admission, Inner};

/// Calls of any tenant that may wait, however few places there are to wait in.
const WAITING: usize = 8;

impl Admission {
    /// What part is taken of the places to wait in: of all of them, or of those that the tenant with
    /// the most calls may have, whichever is more. At 1 a call of somebody is turned away. Nothing is
    /// taken where no call may wait.
    pub(crate) fn fullness(&self) -> f64 {
        let inner = &self.inner;
        let waiting = inner.waiting.load(Relaxed);
        if waiting == 0 {
            return 0.0;
        }
        let (of_fullest, of_all) = inner.tenants.coming();
        // Those that find a free slot do not wait.
        let free = inner.slots.free();
        let tenant = part(of_fullest, inner.waiting_of_one() + free);
        tenant.max(part(of_all, waiting + free))
    }
}

impl Inner {
    /// How many calls of one tenant may wait.
    pub(super) fn waiting_of_one(&self) -> usize {
        WAITING.max(self.waiting.load(Relaxed) / 2)
    }
}

fn part(taken: usize, places: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    number(taken) / number(places)
}

#[cfg(test)]
mod tests {
    use prometheus::IntGauge;

    use super::*;
    use crate::admission::Place;

    fn admission(concurrent: u32, waiting: u32) -> Admission {
        let gauge = |name: &str| IntGauge::new(name, name).unwrap();
        Admission::new(concurrent, waiting, gauge("waiting"), gauge("running"))
    }

    fn calls(admission: &Admission, tenant: &str, calls: usize) -> Vec<Place> {
        let enter = |_| admission.enter(tenant).unwrap();
        (0..calls).map(enter).collect()
    }

    #[test]
    fn one_tenant_fills_what_it_may_have() {
        let admission = admission(2, 20);
        assert_eq!(admission.fullness(), 0.0);
        // Half of the places to wait in are its own, and there are two slots.
        let half = calls(&admission, "a", 6);
        assert_eq!(admission.fullness(), 0.5);
        let other = calls(&admission, "b", 3);
        assert_eq!(admission.fullness(), 0.5);
        let rest = calls(&admission, "a", 6);
        assert_eq!(admission.fullness(), 1.0);
        assert!(admission.enter("a").is_err());
        drop((half, other, rest));
        assert_eq!(admission.fullness(), 0.0);
    }

    #[test]
    fn many_tenants_fill_all_places() {
        let admission = admission(1, 19);
        let two = ["a", "b", "c", "d", "e"].map(|tenant| calls(&admission, tenant, 2));
        assert_eq!(admission.fullness(), 0.5);
        let four = ["a", "b", "c", "d", "e"].map(|tenant| calls(&admission, tenant, 2));
        assert_eq!(admission.fullness(), 1.0);
        assert!(admission.enter("f").is_err());
        drop((two, four));
    }

    #[tokio::test]
    async fn who_runs_does_not_wait() {
        let admission = admission(1, 16);
        let running = admission.enter("a").unwrap().slot().await.unwrap();
        assert_eq!(admission.fullness(), 0.0);
        let waiting = calls(&admission, "a", 4);
        assert_eq!(admission.fullness(), 0.5);
        drop((running, waiting));
    }

    #[test]
    fn where_no_call_may_wait_nothing_is_full() {
        let admission = admission(1, 0);
        let _only = admission.enter("a").unwrap();
        assert_eq!(admission.fullness(), 0.0);
    }
}
