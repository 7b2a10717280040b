//! The trust policy: whose capsules may be installed here, how fresh and how well witnessed the log
//! must be that says so, and what happens when it cannot be reached.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use soma_capability::Name;
use soma_registry::log::{Checkpoint, WitnessKey};

/// The policy as an operator writes it: the table `[trust]` of the file, or flags.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GivenTrust {
    /// Namespace whose capsules may be installed; may be given more than once [default: every one]
    /// [reloadable]
    #[arg(
        id = "trust-publishers",
        long = "trust-publishers",
        env = "SOMA_TRUST_PUBLISHERS",
        value_name = "NAMESPACE",
        value_delimiter = ','
    )]
    pub publishers: Vec<String>,

    /// Seconds that a version must have been in the log before it is installed [default: 0]
    /// [reloadable]
    #[arg(
        long = "trust-minimum-age",
        env = "SOMA_TRUST_MINIMUM_AGE",
        value_name = "SECONDS"
    )]
    pub minimum_age: Option<u64>,

    /// Key of a witness (a C2SP vkey, as `soma witness` prints it) whose cosignatures count; may be
    /// given more than once [reloadable]
    #[arg(
        id = "trust-witnesses",
        long = "trust-witnesses",
        env = "SOMA_TRUST_WITNESSES",
        value_name = "VKEY",
        value_delimiter = ','
    )]
    pub witnesses: Vec<String>,

    /// How many of the witnesses must have cosigned a log's newest checkpoint before anything is
    /// installed from it [default: 0] [reloadable]
    #[arg(
        long = "trust-witnesses-required",
        env = "SOMA_TRUST_WITNESSES_REQUIRED",
        value_name = "N"
    )]
    pub witnesses_required: Option<usize>,

    /// Whether capsule files that no log has may be installed [default: true on loopback without a
    /// proxy, else false] [reloadable]
    #[arg(long = "trust-unlogged", env = "SOMA_TRUST_UNLOGGED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub unlogged: Option<bool>,

    /// Seconds that a log may stand still, or out of reach, before nothing is installed from it any
    /// more [default: 3600] [reloadable]
    #[arg(
        long = "trust-maximum-silence",
        env = "SOMA_TRUST_MAXIMUM_SILENCE",
        value_name = "SECONDS"
    )]
    pub maximum_silence: Option<u64>,

    /// Seconds between two looks at each log: how soon a revocation holds here [default: 30]
    /// [reloadable]
    #[arg(
        long = "trust-revocation-interval",
        env = "SOMA_TRUST_REVOCATION_INTERVAL",
        value_name = "SECONDS"
    )]
    pub revocation_interval: Option<u64>,

    /// Namespace whose updates serve without anybody's word where they ask for nothing more and
    /// their tools are the same; may be given more than once [reloadable]
    #[arg(
        id = "trust-automatic",
        long = "trust-automatic",
        env = "SOMA_TRUST_AUTOMATIC",
        value_name = "NAMESPACE",
        value_delimiter = ','
    )]
    pub automatic: Vec<String>,

    /// Seconds that such an update must have been in the log before [default: 259200, three days]
    /// [reloadable]
    #[arg(
        long = "trust-automatic-age",
        env = "SOMA_TRUST_AUTOMATIC_AGE",
        value_name = "SECONDS"
    )]
    pub automatic_age: Option<u64>,

    /// What becomes of calls of capsules whose log is silent for longer than that [default: serve]
    /// [reloadable]
    #[arg(
        long = "trust-when-unreachable",
        env = "SOMA_TRUST_WHEN_UNREACHABLE",
        value_name = "WHAT"
    )]
    pub when_unreachable: Option<WhenUnreachable>,
}

/// What becomes of calls while nobody knows whether their capsule was revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenUnreachable {
    /// They go on; the log and a metric say so.
    #[default]
    Serve,
    /// They are refused.
    Refuse,
}

/// The policy with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trust {
    /// None is every one.
    pub(crate) publishers: Option<BTreeSet<Name>>,
    /// Seconds.
    pub(crate) minimum_age: u64,
    pub(crate) witnesses: Vec<WitnessKey>,
    pub(crate) witnesses_required: usize,
    pub(crate) unlogged: bool,
    /// Seconds.
    pub(crate) maximum_silence: u64,
    pub(crate) revocation_interval: Duration,
    pub(crate) when_unreachable: WhenUnreachable,
    pub(crate) automatic: Automatic,
}

/// Whose updates need nobody's word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Automatic {
    pub(crate) publishers: BTreeSet<Name>,
    /// Seconds that an update must have been in the log.
    pub(crate) age: u64,
}

impl GivenTrust {
    /// This policy, and `file`'s where nothing is said here.
    pub(crate) fn over(self, file: Self) -> Self {
        let first = |here: Vec<String>, there| if here.is_empty() { there } else { here };
        Self {
            publishers: first(self.publishers, file.publishers),
            minimum_age: self.minimum_age.or(file.minimum_age),
            witnesses: first(self.witnesses, file.witnesses),
            witnesses_required: self.witnesses_required.or(file.witnesses_required),
            unlogged: self.unlogged.or(file.unlogged),
            maximum_silence: self.maximum_silence.or(file.maximum_silence),
            revocation_interval: self.revocation_interval.or(file.revocation_interval),
            automatic: first(self.automatic, file.automatic),
            automatic_age: self.automatic_age.or(file.automatic_age),
            when_unreachable: self.when_unreachable.or(file.when_unreachable),
        }
    }
}

impl Trust {
    /// Fills in the defaults; `private` says that nobody but this machine reaches the host.
    pub(crate) fn resolve(given: &GivenTrust, private: bool) -> anyhow::Result<Self> {
        let publishers = names(&given.publishers).context("publishers")?;
        let witnesses = given.witnesses.iter().map(|key| key.parse());
        let mut witnesses: Vec<WitnessKey> =
            witnesses.collect::<Result<_, _>>().context("witnesses")?;
        // One that is named twice is one.
        witnesses.sort();
        witnesses.dedup();
        let witnesses_required = given.witnesses_required.unwrap_or(0);
        if witnesses_required > witnesses.len() {
            bail!(
                "witnesses-required is {witnesses_required}, and {} witnesses are named: nothing \
                 could ever be installed",
                witnesses.len()
            );
        }
        let interval = given.revocation_interval.unwrap_or(30);
        if !(1..=86_400).contains(&interval) {
            bail!("revocation-interval must be 1 to 86400 seconds");
        }
        let maximum_silence = given.maximum_silence.unwrap_or(60 * 60);
        if maximum_silence < interval {
            bail!(
                "maximum-silence is {maximum_silence}, less than the revocation-interval of \
                 {interval}: every log would be silent between two looks"
            );
        }
        Ok(Self {
            publishers: (!publishers.is_empty()).then_some(publishers),
            minimum_age: given.minimum_age.unwrap_or(0),
            witnesses,
            witnesses_required,
            unlogged: given.unlogged.unwrap_or(private),
            maximum_silence,
            revocation_interval: Duration::from_secs(interval),
            when_unreachable: given.when_unreachable.unwrap_or_default(),
            automatic: Automatic {
                publishers: names(&given.automatic).context("automatic")?,
                age: given.automatic_age.unwrap_or(3 * 24 * 60 * 60),
            },
        })
    }

    /// Whether a publisher's capsules may be installed.
    pub(crate) fn admits(&self, publisher: &Name) -> bool {
        let listed = self.publishers.as_ref();
        listed.is_none_or(|listed| listed.contains(publisher))
    }

    /// How many of the witnesses cosigned a checkpoint.
    pub(crate) fn witnessed(&self, checkpoint: &Checkpoint) -> usize {
        checkpoint.cosignatures(&self.witnesses).len()
    }

    /// Unix seconds up to which a checkpoint is known to be the newest, by its log's word and, where
    /// they are required, by so many witnesses'. Never later than `verified`, at which it was seen
    /// here: a time from the future would hide a log that stands still. None where one is missing.
    pub(crate) fn fresh_until(&self, checkpoint: &Checkpoint, verified: u64) -> Option<u64> {
        let mut times: Vec<u64> = checkpoint
            .cosignatures(&self.witnesses)
            .iter()
            .map(|cosignature| cosignature.time)
            .collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let witnessed = match self.witnesses_required.checked_sub(1) {
            None => u64::MAX,
            Some(last) => *times.get(last)?,
        };
        Some(checkpoint.time()?.min(witnessed).min(verified))
    }

    /// Whether what was fresh at that time is silent now.
    pub(crate) fn is_silent(&self, fresh: Option<u64>, now: u64) -> bool {
        fresh.is_none_or(|fresh| now.saturating_sub(fresh) > self.maximum_silence)
    }
}

impl Automatic {
    /// Whether a publisher's updates may serve without anybody's word.
    pub(crate) fn admits(&self, publisher: &Name) -> bool {
        self.publishers.contains(publisher)
    }
}

fn names(given: &[String]) -> anyhow::Result<BTreeSet<Name>> {
    let names: Result<_, _> = given.iter().map(|name| name.parse()).collect();
    Ok(names?)
}

#[cfg(test)]
mod tests {
    use soma_registry::SecretKey;
    use soma_registry::log::{Frontier, NoteSecret};

    use super::*;

    fn secret(name: &str) -> NoteSecret {
        NoteSecret::new(name, SecretKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_checkpoint_is_as_fresh_as_its_oldest_required_word() {
        let (log, one, two) = (secret("log"), secret("one"), secret("two"));
        let given = |required| GivenTrust {
            witnesses: vec![one.witness_key().to_string(), two.witness_key().to_string()],
            witnesses_required: Some(required),
            ..GivenTrust::default()
        };
        let policy = |required| Trust::resolve(&given(required), true).unwrap();
        let mut checkpoint = Checkpoint::sign(&log, &Frontier::default()).unwrap();
        assert_eq!(policy(0).fresh_until(&checkpoint, 99), None);
        checkpoint.cosign(&log, 50).unwrap();
        assert_eq!(policy(0).fresh_until(&checkpoint, 99), Some(50));
        assert_eq!(policy(0).fresh_until(&checkpoint, 40), Some(40));
        checkpoint.cosign(&two, 30).unwrap();
        assert_eq!(policy(1).fresh_until(&checkpoint, 99), Some(30));
        assert_eq!(policy(2).fresh_until(&checkpoint, 99), None);
        checkpoint.cosign(&one, 20).unwrap();
        assert_eq!(policy(1).fresh_until(&checkpoint, 99), Some(30));
        assert_eq!(policy(2).fresh_until(&checkpoint, 99), Some(20));
        assert!(policy(0).is_silent(Some(50), 50 + 3601));
        assert!(!policy(0).is_silent(Some(50), 50 + 3600));
        assert!(policy(0).is_silent(None, 0));
    }

    #[test]
    fn what_cannot_be_met_is_refused() {
        for (given, words) in [
            (
                GivenTrust {
                    witnesses_required: Some(1),
                    ..GivenTrust::default()
                },
                "witnesses-required is 1",
            ),
            (
                GivenTrust {
                    publishers: vec!["Acme".into()],
                    ..GivenTrust::default()
                },
                "publishers",
            ),
            (
                GivenTrust {
                    witnesses: vec!["x".into()],
                    ..GivenTrust::default()
                },
                "witnesses",
            ),
            (
                GivenTrust {
                    maximum_silence: Some(5),
                    ..GivenTrust::default()
                },
                "maximum-silence is 5",
            ),
        ] {
            let refusal = format!("{:#}", Trust::resolve(&given, true).unwrap_err());
            assert!(refusal.contains(words), "{refusal}");
        }
        let elsewhere = Trust::resolve(&GivenTrust::default(), false).unwrap();
        assert!(!elsewhere.unlogged);
    }
}
