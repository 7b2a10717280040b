//! A made-up catalogue, the same in every run: words as they are spread in real text, a few very
//! common and most of them rare.

use std::fmt::Write as _;

/// Capsules.
pub(super) const PACKAGES: u32 = 100_000;
const PUBLISHERS: u32 = 5_000;
const WORDS: u32 = 20_000;
const HOSTS: u32 = 8_000;
/// Rows in one statement.
const ROWS: u32 = 500;

/// A generator whose numbers are good enough for text (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        f64::from(u32::try_from(high).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// Zipf's law, nearly: rank n is met in proportion to 1/n.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `ranks`"
    )]
    fn rank(&mut self, ranks: u32) -> u32 {
        let rank = (f64::from(ranks).ln() * self.roll()).exp();
        (rank as u32).clamp(1, ranks) - 1
    }

    fn words(&mut self, number: u32) -> String {
        let words: Vec<String> = (0..number).map(|_| word(self.rank(WORDS))).collect();
        words.join(" ")
    }
}

/// The word of a rank, short where it is common.
pub(super) fn word(rank: u32) -> String {
    const SYLLABLES: [&str; 20] = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu",
        "va", "we", "xi", "yo", "zu",
    ];
    let (mut rest, mut word) = (rank + 20, String::new());
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 20) as usize]);
        rest /= 20;
    }
    word
}

/// The host of a rank.
pub(super) fn host(rank: u32) -> String {
    format!("api.{}.example", word(rank))
}

/// A publisher's namespace.
pub(super) fn publisher(rank: u32) -> String {
    format!("p{rank}")
}

/// The statements that make the catalogue, in SQLite's words or in Postgres'.
pub(super) fn statements(postgres: bool) -> impl Iterator<Item = String> {
    let namespaces = (0..PUBLISHERS).map(|rank| format!("('{0}', '{0}', '{{}}')", publisher(rank)));
    let namespaces = namespaces.collect::<Vec<_>>().join(", ");
    let first = format!("INSERT INTO namespaces (name, skeleton, state) VALUES {namespaces}");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let batches = (0..PACKAGES)
        .step_by(ROWS as usize)
        .flat_map(move |from| batch(&mut dice, from..from + ROWS, postgres));
    [first].into_iter().chain(batches)
}

fn batch(dice: &mut Dice, ids: std::ops::Range<u32>, postgres: bool) -> [String; 4] {
    let mut packages = "INSERT INTO packages (id, namespace, name, skeleton, latest, description, \
                        keywords, current, downloads, updated) VALUES "
        .to_owned();
    let mut keywords = "INSERT INTO package_keywords (keyword, package) VALUES ".to_owned();
    let mut hosts = "INSERT INTO package_hosts (host, package) VALUES ".to_owned();
    let mut words = match postgres {
        true => "INSERT INTO package_words (id, words) VALUES ",
        false => "INSERT INTO package_words (rowid, name, keywords, description, tools) VALUES ",
    }
    .to_owned();
    for id in ids.clone() {
        let comma = if id == ids.start { "" } else { ", " };
        let namespace = publisher(dice.rank(PUBLISHERS));
        let name = format!("{}-{id}", word(dice.rank(WORDS)));
        let (description, tools) = (dice.words(12), dice.words(60));
        let (keyword, other) = (word(dice.rank(WORDS)), id % 100);
        let downloads = dice.rank(1_000_000);
        let host = host(dice.rank(HOSTS));
        // Writing to a text does not fail.
        let _ = write!(
            packages,
            "{comma}({id}, '{namespace}', '{name}', '{name}', '1.0.0', '{description}', \
             '[\"{keyword}\",\"k{other}\"]', 1, {downloads}, 1)"
        );
        let _ = write!(keywords, "{comma}('{keyword}', {id}), ('k{other}', {id})");
        let _ = write!(hosts, "{comma}('{host}', {id})");
        let name = name.replace('-', " ");
        let _ = match postgres {
            true => write!(
                words,
                "{comma}({id}, setweight(to_tsvector('english', '{namespace} {name}'), 'A') || \
                 setweight(to_tsvector('english', '{keyword} k{other}'), 'B') || \
                 setweight(to_tsvector('english', '{description}'), 'C') || \
                 setweight(to_tsvector('english', '{tools}'), 'D'))"
            ),
            false => write!(
                words,
                "{comma}({id}, '{namespace} {name}', '{keyword} k{other}', '{description}', \
                 '{tools}')"
            ),
        };
    }
    [packages, keywords, hosts, words]
}
