//! What a call is given beyond computing: what its capsule asks for and its operator grants.

use soma_capability::Settings;

use crate::kv::Kv;
use crate::network::Network;
use crate::toolbox::Tools;

/// What one call may use; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What it may reach.
    pub network: Network,
    /// What its settings are.
    pub settings: Settings,
    /// What it keeps from call to call.
    pub kv: Kv,
    /// Which other capsules' tools it may call.
    pub tools: Tools,
}
