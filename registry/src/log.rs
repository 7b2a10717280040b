//! The transparency log: RFC 6962's Merkle tree in C2SP's forms. Hashes and proofs are
//! `tlog_tiles`', notes are `signed_note`'s; here is what they leave open.

mod checkpoint;
mod consistency;
mod cosignature;
mod frontier;
mod hash;
mod leaf;
mod note_key;
mod proof;
mod tile;
mod witness;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use consistency::Consistency;
pub use cosignature::{Cosignature, WitnessKey};
pub use frontier::{Frontier, FrontierError};
pub use hash::{TreeHash, TreeHashError};
pub use leaf::{Act, Leaf, LeafError};
pub use note_key::{LogKey, NoteKeyError, NoteSecret};
pub use proof::{Inclusion, ProofError};
pub use tile::{Resource, TILE_WIDTH, read_bundle, write_bundle};
pub use witness::{AddCheckpoint, AddCheckpointError, Seen, WitnessRefusal};
