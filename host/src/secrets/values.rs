//! What a credential's value is at this moment: opened here, or read where it is kept.

use secrecy::SecretString;
use soma_runtime::Presentation;

use super::Whose;
use super::kind::Kind;
use super::seal::{Part, Sealer};
use crate::db::secrets::Stored;
use crate::error::Error;
use crate::keepers::{Keepers, Reading, Source};

/// Gives values.
pub(super) struct Values {
    pub(super) sealer: Sealer,
    pub(super) keepers: Keepers,
}

/// One of them.
pub(super) struct Value {
    pub(super) text: SecretString,
    /// Whose it is, where its source says so.
    pub(super) user: Option<String>,
    /// Another one with every change.
    pub(super) revision: String,
}

impl Values {
    /// None where its source gives none just now, which the host's log says.
    pub(super) async fn of(
        &self,
        whose: Whose<'_>,
        stored: &Stored,
    ) -> Result<Option<Value>, Error> {
        let Some(source) = &stored.source else {
            let place = stored.place(whose.tenant_id);
            let text = self.sealer.open(Part::Value, place, &stored.sealed)?;
            return Ok(Some(Value {
                text,
                user: None,
                revision: stored.revision.clone(),
            }));
        };
        let Ok(reading) = self.keepers.read(whose.tenant, source).await else {
            return Ok(None);
        };
        Ok(Some(Value::read(&reading, &stored.revision)))
    }
}

impl Value {
    pub(super) fn read(reading: &Reading, revision: &str) -> Self {
        Self {
            text: reading.value.clone(),
            user: reading.user.clone(),
            revision: format!("{revision}{}", reading.revision),
        }
    }

    /// How it is shown, by the user that came with it.
    pub(super) fn presentation(&self, presentation: Presentation) -> Presentation {
        match (presentation, &self.user) {
            (Presentation::Basic { .. }, Some(user)) => Presentation::Basic { user: user.clone() },
            (presentation, _) => presentation,
        }
    }
}

/// Says why a source does not go with what is to become of its value.
pub(super) fn check(source: &Source, kind: &Kind) -> Result<(), String> {
    source.check()?;
    if source.has_user() {
        return match kind {
            Kind::Shown(Presentation::Basic { user }) if user.is_empty() => Ok(()),
            _ => Err(format!(
                "{source} gives a user and a password, which can be shown as `basic` alone, and \
                 without a user besides"
            )),
        };
    }
    if kind.is_used_up() {
        return Err(format!(
            "an issuer can replace a refresh token with every use, and {source} is not written: give \
             the token as a value"
        ));
    }
    Ok(())
}
