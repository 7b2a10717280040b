//! What can happen to hosts.

use std::time::Duration;

use super::{Host, World};
use crate::budget::tests::fixture::{
    self, KEY, LONGEST_CALL, OTHER_KEY, TENANT, payer, place, session,
};
use crate::budget::{Budgets, Clock, Level, Payer, Refused, Reservation, Span};
use crate::db::budgets::{self, Place};
use crate::db::ledger::Holder;

impl World {
    pub(super) async fn step(&mut self) {
        match self.random.within(0..100) {
            0..35 => self.reserve().await,
            35..58 => self.settle(),
            58..63 => self.release(),
            63..75 => self.tick().await,
            75..87 => self.pass_time(),
            87..91 => self.set().await,
            91..92 => self.delete().await,
            92..94 => self.abandon().await,
            94..95 => self.skew(),
            95..97 => self.restart().await,
            97..98 => self.replace().await,
            98..99 => self.rival().await,
            _ => self.stop().await,
        }
    }

    fn host(&mut self) -> usize {
        self.random.index(self.hosts.len())
    }

    pub(super) async fn start(&self, name: String, clock: Clock) -> Host {
        let open = Budgets::open(
            self.fixture.pool.clone(),
            Holder::new(name.clone()),
            clock.clone(),
            LONGEST_CALL,
        );
        Host {
            name,
            clock,
            budgets: open.await.unwrap(),
            open: Vec::new(),
        }
    }

    fn payer(&mut self) -> Payer<'static> {
        let key = *self.random.pick(&[KEY, OTHER_KEY]);
        if self.random.percent(60) {
            return payer(key);
        }
        let id = *self.random.pick(&["s", "t"]);
        let most = self.random.percent(50).then(|| self.random.within(0..120));
        session(key, id, most)
    }

    async fn reserve(&mut self) {
        let (index, payer) = (self.host(), self.payer());
        let tokens = self.random.within(1..50);
        let host = &mut self.hosts[index];
        let what = match host.budgets.reserve(&payer, tokens).await {
            Ok(reservation) => {
                host.open.push(reservation);
                "held".to_owned()
            }
            Err(Refused::Exhausted(short)) => {
                assert!(short.left < short.wanted, "{short}");
                format!("refused: {short}")
            }
            Err(error) => panic!("{error}"),
        };
        self.tell(format!("{index} reserves {tokens} for {payer:?}: {what}"));
    }

    /// Whoever called is gone before there is an answer.
    async fn abandon(&mut self) {
        let (index, payer) = (self.host(), self.payer());
        let patience = Duration::from_micros(self.random.within(1..2000));
        let reserve = self.hosts[index].budgets.reserve(&payer, 30);
        let is_late = tokio::time::timeout(patience, reserve).await.is_err();
        self.tell(format!("{index} abandons a call of {payer:?}: {is_late}"));
    }

    fn open(&mut self) -> Option<(usize, Reservation)> {
        let index = self.host();
        let open = self.hosts[index].open.len();
        if open == 0 {
            return None;
        }
        let which = self.random.index(open);
        Some((index, self.hosts[index].open.swap_remove(which)))
    }

    fn settle(&mut self) {
        let Some((index, reservation)) = self.open() else {
            return;
        };
        let tokens = reservation.tokens();
        let used = self.random.within(0..tokens + 3);
        self.note(&reservation, used.min(tokens));
        reservation.settle(used);
        self.tell(format!("{index} settles {used} of {tokens}"));
    }

    fn note(&mut self, reservation: &Reservation, used: u64) {
        let used = i64::try_from(used).unwrap();
        for (window, lease) in reservation.parts() {
            let of_window = self.used.entry(window.clone()).or_default();
            match lease {
                Some(_) => of_window.leased += used,
                None => of_window.counted += used,
            }
        }
    }

    fn release(&mut self) {
        if let Some((index, reservation)) = self.open() {
            self.tell(format!("{index} releases {}", reservation.tokens()));
        }
    }

    async fn tick(&mut self) {
        let index = self.host();
        self.tell(format!("{index} ticks"));
        self.hosts[index].budgets.tick().await.unwrap();
    }

    /// The hosts that do nothing meanwhile were paused.
    fn pass_time(&mut self) {
        let by = *self
            .random
            .pick(&[500, 1000, 2500, 20_000, 61_000, 100_000, 3_600_000]);
        self.tell(format!("{by} ms pass"));
        self.advance(Duration::from_millis(by));
    }

    fn advance(&self, by: Duration) {
        self.hosts.iter().for_each(|host| host.clock.advance(by));
    }

    /// One host's calendar is wrong from now on.
    fn skew(&mut self) {
        let (index, seconds) = (self.host(), self.random.within(0..600));
        self.tell(format!("the clock of {index} is set back by {seconds} s"));
        self.hosts[index]
            .clock
            .set_back(Duration::from_secs(seconds));
    }

    fn place(&mut self) -> Place {
        let payer = self.payer();
        let level = if self.random.percent(40) {
            Level::Tenant
        } else {
            payer.level()
        };
        let span = *self
            .random
            .pick(&[Span::Minute, Span::Day, Span::Month, Span::Lifetime]);
        place(level, span)
    }

    pub(super) async fn set(&mut self) {
        let place = self.place();
        let tokens = self.random.within(0..400);
        let is_hard = self.random.percent(85);
        let set = budgets::set(&self.fixture.pool, &place, tokens, is_hard)
            .await
            .unwrap();
        if !is_hard {
            self.soft.insert(set.id);
        }
        self.tell(format!("{place:?} is {tokens}, hard: {is_hard}"));
        self.announce().await;
    }

    async fn delete(&mut self) {
        let place = self.place();
        let was_there = budgets::delete(&self.fixture.pool, &place).await.unwrap();
        self.tell(format!("{place:?} is deleted: {was_there}"));
        self.announce().await;
    }

    /// Some hosts hear of a change, others find out.
    async fn announce(&mut self) {
        for index in 0..self.hosts.len() {
            if self.random.percent(50) {
                self.hosts[index].budgets.changed(TENANT).await;
            }
        }
    }

    /// A host crashes, and starts again.
    async fn restart(&mut self) {
        let index = self.host();
        self.tell(format!("{index} crashes, and starts again"));
        self.crash(index, self.hosts[index].name.clone()).await;
    }

    /// A host crashes for good, and another one comes.
    async fn replace(&mut self) {
        let index = self.host();
        self.starts += 1;
        self.tell(format!("{index} crashes, and another one comes"));
        self.crash(index, format!("new-{}", self.starts)).await;
    }

    /// A host starts under the name of one that has not stopped, with a clock that is late.
    async fn rival(&mut self) {
        let index = self.host();
        self.tell(format!("{index} has a rival"));
        let name = self.hosts[index].name.clone();
        let rival = self.start(name, fixture::clock()).await;
        self.hosts.push(rival);
    }

    async fn crash(&mut self, index: usize, name: String) {
        self.has_crashed = true;
        let clock = self.hosts[index].clock.clone();
        self.hosts[index] = self.start(name, clock).await;
    }

    /// A host stops well, and starts again.
    async fn stop(&mut self) {
        let index = self.host();
        self.tell(format!("{index} stops, and starts again"));
        self.finish(index).await;
        let Host { name, clock, .. } = &self.hosts[index];
        self.hosts[index] = self.start(name.clone(), clock.clone()).await;
    }

    pub(super) async fn finish(&mut self, index: usize) {
        for reservation in std::mem::take(&mut self.hosts[index].open) {
            let used = self.random.within(0..reservation.tokens() + 1);
            self.note(&reservation, used);
            reservation.settle(used);
        }
        self.hosts[index].budgets.close().await.unwrap();
        let in_hand = self.hosts[index].budgets.snapshot();
        let is_empty = in_hand
            .values()
            .all(|level| level.reservations + level.leased == 0);
        assert!(is_empty, "{in_hand:?}");
    }
}
