//! What a call may still spend: one balance that instructions burn and imports debit, so that nothing
//! can be spent twice over (docs/adr/0017-one-balance.md).

use std::time::Duration;

use soma_capability::{Price, Prices};

/// What a call may cost, whatever it does, and what things cost. Everything is reckoned in the fuel
/// that the same tokens would buy: it is what wasmtime counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    prices: Prices,
    worth: u64,
}

impl Allowance {
    /// So many tokens.
    pub fn tokens(prices: Prices, tokens: u64) -> Self {
        let millionths = u128::from(tokens) * MILLION;
        Self {
            prices,
            worth: in_fuel(millionths, &prices),
        }
    }

    /// Counted and not bounded.
    pub fn unbounded(prices: Prices) -> Self {
        Self {
            prices,
            worth: u64::MAX,
        }
    }

    /// The list that it is reckoned by.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }
}

const MILLION: u128 = 1_000_000;

/// The fuel that so many millionths of a token would buy.
fn in_fuel(millionths: u128, prices: &Prices) -> u64 {
    let million_fuel = u128::from(prices.million_fuel.as_millionths().max(1));
    u64::try_from(millionths * MILLION / million_fuel).unwrap_or(u64::MAX)
}

/// Prices in fuel.
#[derive(Clone, Copy, Debug)]
struct Rates {
    host_call: u64,
    kib_in: Rate,
    kib_out: Rate,
    kib_stored: Rate,
    second: u64,
}

/// What 1024 bytes cost, in fuel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate(u64);

impl Rate {
    pub(crate) fn cost(self, bytes: u64) -> u64 {
        let cost = u128::from(bytes) * u128::from(self.0) / 1024;
        u64::try_from(cost).unwrap_or(u64::MAX)
    }
}

impl Rates {
    fn new(prices: &Prices) -> Self {
        let rate = |price: Price| in_fuel(price.as_millionths().into(), prices);
        Self {
            host_call: rate(prices.host_call),
            kib_in: Rate(rate(prices.kib_in)),
            kib_out: Rate(rate(prices.kib_out)),
            kib_stored: Rate(rate(prices.kib_stored)),
            second: rate(prices.second),
        }
    }
}

/// There is not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What is left of an [`Allowance`], and of the bound on fuel, which is a bound beside it.
#[derive(Debug)]
pub(crate) struct Balance {
    prices: Prices,
    rates: Rates,
    given: u64,
    left: u64,
    fuel_limit: u64,
    fuel_left: u64,
    /// What the store had when it was looked at last.
    in_store: u64,
    /// What has been charged for the network.
    transferred: u64,
}

impl Balance {
    pub(crate) fn new(allowance: Allowance, fuel: u64) -> Self {
        Self {
            rates: Rates::new(&allowance.prices),
            prices: allowance.prices,
            given: allowance.worth,
            left: allowance.worth,
            fuel_limit: fuel,
            fuel_left: fuel,
            in_store: fuel.min(allowance.worth),
            transferred: 0,
        }
    }

    /// The fuel for the store to begin with.
    pub(crate) fn in_store(&self) -> u64 {
        self.in_store
    }

    /// Takes what instructions have burnt, now that the store has so much.
    pub(crate) fn look(&mut self, in_store: u64) {
        let burnt = self.in_store.saturating_sub(in_store);
        self.in_store = in_store;
        self.left = self.left.saturating_sub(burnt);
        self.fuel_left = self.fuel_left.saturating_sub(burnt);
    }

    /// The fuel that the store must have from now on, where that is not what it has.
    pub(crate) fn refill(&mut self) -> Option<u64> {
        let wanted = self.left.min(self.fuel_left);
        if wanted == self.in_store {
            return None;
        }
        self.in_store = wanted;
        Some(wanted)
    }

    pub(crate) fn host_call(&mut self) -> Result<(), Exhausted> {
        self.debit(self.rates.host_call)
    }

    /// The call has waited for so long.
    pub(crate) fn waited(&mut self, time: Duration) -> Result<(), Exhausted> {
        let cost = time.as_micros() * u128::from(self.rates.second) / MILLION;
        self.debit(u64::try_from(cost).unwrap_or(u64::MAX))
    }

    /// What has gone over the network so far costs so much.
    pub(crate) fn transferred(&mut self, cost: u64) -> Result<(), Exhausted> {
        let more = cost.saturating_sub(self.transferred);
        self.transferred += more;
        self.debit(more)
    }

    /// What has gone over the network may cost so much, that it has been charged for already included.
    pub(crate) fn transferable(&self) -> u64 {
        self.transferred.saturating_add(self.left)
    }

    /// So many more bytes have come in.
    pub(crate) fn take_in(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.debit(self.rates.kib_in.cost(bytes))
    }

    /// So many more bytes are to go out.
    pub(crate) fn give_out(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.debit(self.rates.kib_out.cost(bytes))
    }

    /// So many more bytes are to be stored.
    pub(crate) fn store(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.debit(self.rates.kib_stored.cost(bytes))
    }

    /// What bytes cost that come in, and that go out.
    pub(crate) fn rates(&self) -> (Rate, Rate) {
        (self.rates.kib_in, self.rates.kib_out)
    }

    /// A call within this one took so much: of its fuel, and all together.
    pub(crate) fn within(&mut self, fuel: u64, cost: u64) -> Result<(), Exhausted> {
        self.fuel_left = self.fuel_left.saturating_sub(fuel);
        self.debit(cost)
    }

    /// How long the call can pay for waiting; none where that is for as long as it likes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if self.given == u64::MAX || self.rates.second == 0 {
            return None;
        }
        let micros = u128::from(self.left) * MILLION / u128::from(self.rates.second);
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// What a call within this one may spend.
    pub(crate) fn allowance(&self) -> Allowance {
        let is_bounded = self.given < u64::MAX;
        Allowance {
            prices: self.prices,
            worth: if is_bounded { self.left } else { u64::MAX },
        }
    }

    pub(crate) fn fuel_left(&self) -> u64 {
        self.fuel_left
    }

    /// The fuel that is gone, of calls within this one too.
    pub(crate) fn fuel(&self) -> u64 {
        self.fuel_limit - self.fuel_left
    }

    /// Everything that is gone, in fuel.
    pub(crate) fn cost(&self) -> u64 {
        self.given - self.left
    }

    /// The same in tokens.
    pub(crate) fn tokens(&self) -> u64 {
        self.in_tokens(self.cost())
    }

    /// All that there was to spend, in tokens.
    pub(crate) fn tokens_given(&self) -> u64 {
        self.in_tokens(self.given)
    }

    /// The tokens that buy so much fuel, a begun one being a whole one.
    fn in_tokens(&self, fuel: u64) -> u64 {
        let million_fuel = u128::from(self.prices.million_fuel.as_millionths());
        let tokens = (u128::from(fuel) * million_fuel).div_ceil(MILLION * MILLION);
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    fn debit(&mut self, cost: u64) -> Result<(), Exhausted> {
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            // What it could not pay for, it has used up trying.
            None => {
                self.left = 0;
                Err(Exhausted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(tokens: u64, fuel: u64) -> Balance {
        Balance::new(Allowance::tokens(Prices::default(), tokens), fuel)
    }

    #[test]
    fn everything_is_of_one_balance() {
        // At the usual prices, a token is a million of fuel.
        let mut balance = balance(10, u64::MAX);
        assert_eq!(balance.in_store(), 10_000_000);
        balance.look(7_000_000);
        balance.waited(Duration::from_secs(2)).unwrap();
        assert_eq!((balance.tokens(), balance.refill()), (5, Some(5_000_000)));
        assert_eq!(balance.patience(), Some(Duration::from_secs(5)));
        balance.give_out(100 * 1024).unwrap();
        balance.take_in(100 * 1024).unwrap();
        balance.within(500_000, 2_000_000).unwrap();
        balance.host_call().unwrap();
        // A begun token is a whole one.
        assert_eq!((balance.cost(), balance.tokens()), (9_001_000, 10));
        assert_eq!(balance.fuel(), 3_500_000);
        assert_eq!(balance.store(10 * 1024), Err(Exhausted));
        assert!(balance.is_exhausted());
        assert_eq!((balance.tokens(), balance.refill()), (10, Some(0)));
    }

    #[test]
    fn what_was_given_is_known_to_the_token() {
        for million_fuel in [1, 3, 700_000, 1_000_000, 7_000_001] {
            let prices = Prices {
                million_fuel: Price::millionths(million_fuel),
                ..Prices::default()
            };
            for tokens in [0, 1, 10, 123_457] {
                let balance = Balance::new(Allowance::tokens(prices, tokens), 0);
                assert_eq!(balance.tokens_given(), tokens, "at {million_fuel}");
            }
        }
    }

    #[test]
    fn the_network_is_charged_for_once() {
        let mut balance = balance(10, 0);
        assert_eq!(balance.transferable(), 10_000_000);
        for so_far in [1_000_000, 1_000_000, 4_000_000, 3_000_000] {
            balance.transferred(so_far).unwrap();
        }
        assert_eq!((balance.tokens(), balance.transferable()), (4, 10_000_000));
        balance.take_in(100 * 1024).unwrap();
        assert_eq!((balance.tokens(), balance.transferable()), (5, 9_000_000));
        assert_eq!(balance.transferred(9_000_001), Err(Exhausted));
    }

    #[test]
    fn the_bound_on_fuel_holds_beside_it() {
        let mut balance = balance(1_000, 5_000_000);
        assert_eq!(balance.in_store(), 5_000_000);
        // Much of the balance is spent, and none of the fuel.
        balance.waited(Duration::from_secs(900)).unwrap();
        assert_eq!(balance.refill(), None);
        balance.look(4_000_000);
        balance.waited(Duration::from_secs(97)).unwrap();
        assert_eq!(balance.refill(), Some(2_000_000));
        assert_eq!(
            (balance.fuel_left(), balance.fuel()),
            (4_000_000, 1_000_000)
        );
    }

    #[test]
    fn what_is_not_bounded_is_counted() {
        let mut free = Balance::new(Allowance::unbounded(Prices::default()), 1_000);
        free.waited(Duration::from_secs(1_000_000)).unwrap();
        assert_eq!((free.tokens(), free.refill()), (1_000_000, None));
        assert_eq!((free.patience(), free.transferable()), (None, free.left));
    }
}
