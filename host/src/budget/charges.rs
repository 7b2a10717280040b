//! What calls need tokens of: each of a payer's budgets, in its window of this moment.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;

use crate::db::budgets::Budget;
use crate::db::ledger::Window;

/// One budget, in its window.
pub(super) struct Charge {
    pub(super) budget: Arc<Budget>,
    pub(super) window: Window,
    /// When the window ends.
    pub(super) ends_at: Option<Timestamp>,
    /// The number of its purse, where one was looked for.
    pub(super) purse: AtomicU64,
}

/// All of a payer's, which stay the same until one of the windows turns: most calls share them.
#[derive(Default)]
pub(super) struct Charges {
    all: Vec<Charge>,
    /// When the last of the windows began, in milliseconds.
    begin_at: i64,
    /// When the first of them ends.
    end_at: Option<Timestamp>,
}

impl Charge {
    fn at(moment: Timestamp, budget: &Arc<Budget>) -> Self {
        let span = budget.place.span;
        Self {
            budget: budget.clone(),
            window: Window {
                budget: budget.id.clone(),
                starts_at: span.starts_at(moment),
            },
            ends_at: span.ends_at(moment),
            purse: AtomicU64::default(),
        }
    }
}

impl Charges {
    pub(super) fn at(moment: Timestamp, budgets: &[Arc<Budget>]) -> Self {
        let all = budgets.iter().map(|budget| Charge::at(moment, budget));
        let all: Vec<Charge> = all.collect();
        let begins = all.iter().map(|charge| charge.window.starts_at);
        Self {
            begin_at: begins.max().unwrap_or(i64::MIN),
            end_at: all.iter().filter_map(|charge| charge.ends_at).min(),
            all,
        }
    }

    /// Whether they are those of a moment; a calendar can be set back.
    pub(super) fn are_of(&self, moment: Timestamp) -> bool {
        let has_begun = self.begin_at <= moment.as_millisecond();
        has_begun && self.end_at.is_none_or(|end| moment < end)
    }
}

impl Deref for Charges {
    type Target = [Charge];

    fn deref(&self) -> &[Charge] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Level, Span};
    use crate::db::budgets::Place;

    fn budget(span: Span) -> Arc<Budget> {
        Arc::new(Budget {
            id: span.to_string(),
            place: Place {
                tenant: "t".to_owned(),
                level: Level::Tenant,
                span,
            },
            tokens: 1,
            is_hard: true,
        })
    }

    #[test]
    fn they_are_of_the_moments_between_two_turns_of_any_window() {
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let moment = at("2028-02-29T23:58:59.999Z");
        let budgets = [Span::Month, Span::Minute, Span::Lifetime].map(budget);
        let charges = Charges::at(moment, &budgets);
        for (time, are) in [
            ("2028-02-29T23:57:59.999Z", false),
            ("2028-02-29T23:58:00Z", true),
            ("2028-02-29T23:58:59.999Z", true),
            ("2028-02-29T23:59:00Z", false),
            ("2028-03-01T00:00:00Z", false),
        ] {
            assert_eq!(charges.are_of(at(time)), are, "{time}");
        }
        let lifetime = Charges::at(moment, &budgets[2..]);
        assert!(lifetime.are_of(at("2128-01-01T00:00:00Z")));
        assert!(Charges::at(moment, &[]).are_of(at("1969-01-01T00:00:00Z")));
    }
}
