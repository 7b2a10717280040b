//! Why an update waits for an administrator's word, where a capsule is installed in the place of
//! another file of its name. What serves is what was approved.

use serde::{Deserialize, Serialize};
use soma_capability::Tool;

use crate::catalog::{Described, Installed, Proof, Shelf};
use crate::logs;
use crate::policy;
use crate::settings::Live;

/// One reason; an update without any serves at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// It asks for capabilities, limits or imports that what serves does not ask for.
    AsksMore,
    /// Names, descriptions, schemas or annotations of its tools differ.
    ToolsChanged,
    /// Owners of its namespace, or their keys, have changed, or it comes from elsewhere.
    OwnersChanged,
    /// It is of an older version than what serves.
    Older,
    /// An administrator went back from it, or from a newer one.
    RolledBack,
    /// The policy lets no update of this publisher through.
    NotAutomatic,
    /// The policy does, once it has been in the log for longer.
    TooYoung,
}

impl Reason {
    /// Whether time or the policy can settle it, without anybody's word on this update.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::NotAutomatic | Self::TooYoung)
    }
}

/// Every reason to hold `new` back, which is of the name of what serves and another file.
pub(crate) fn reasons(
    shelf: &Shelf,
    new: &Described,
    proof: Option<&Proof>,
    live: &Live,
) -> Vec<Reason> {
    let (serving, old) = (&shelf.serving, &shelf.serving.about);
    let version = &new.manifest.version;
    let publisher = new.manifest.name.publisher();
    let is_automatic = live.trust.automatic.admits(&publisher);
    let age = proof.map(|proof| logs::now().saturating_sub(proof.published));
    let found = [
        (Reason::AsksMore, asks_more(old, new, live)),
        (Reason::ToolsChanged, !same_tools(old, new)),
        (Reason::OwnersChanged, owners_changed(serving, proof)),
        (Reason::Older, *version < old.manifest.version),
        (
            Reason::RolledBack,
            *version > old.manifest.version && Some(version) <= shelf.rolled_back.as_ref(),
        ),
        (Reason::NotAutomatic, !is_automatic),
        (
            Reason::TooYoung,
            is_automatic && age.is_none_or(|age| age < live.trust.automatic.age),
        ),
    ];
    let found = found.into_iter().filter(|(_, is_so)| *is_so);
    found.map(|(reason, _)| reason).collect()
}

fn asks_more(old: &Described, new: &Described, live: &Live) -> bool {
    let (before, after) = (&old.manifest, &new.manifest);
    let (least, most) = (policy::limits(live, after), policy::limits(live, before));
    !before.capabilities.covers(&after.capabilities)
        || least.at_most(&most) != least
        || new.imports.iter().any(|it| !old.imports.contains(it))
}

/// Their order does not count.
fn same_tools(old: &Described, new: &Described) -> bool {
    let sorted = |about: &Described| {
        let mut tools: Vec<Tool> = about.tools.iter().map(|ready| ready.tool.clone()).collect();
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        tools
    };
    sorted(old) == sorted(new)
}

fn owners_changed(serving: &Installed, proof: Option<&Proof>) -> bool {
    match (&serving.row.logged, proof.map(|proof| &proof.logged)) {
        (None, None) => false,
        (Some(old), Some(new)) => old.log != new.log || old.owners_since != new.owners_since,
        _ => true,
    }
}
