//! The static resources of a tiled log: their paths and what is in an entry bundle.
//! <https://c2sp.org/tlog-tiles>

use std::fmt;
use std::str::FromStr;

use super::leaf::MAX_LEAF_BYTES;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
const MAX_LEVEL: u8 = 63;

/// A tile of hashes or a bundle of entries. Writes and reads as C2SP's path:
/// `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The level of the hashes; none for entries.
    pub level: Option<u8>,
    /// Its index within the level.
    pub index: u64,
    /// How many it holds: 1 to 256; fewer than 256 where it is partial.
    pub width: u16,
}

/// A path that names no resource.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`")]
pub struct ResourceError;

/// An entry bundle that is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry bundle is cut off, or has bytes after its last entry")]
pub struct BundleError;

impl Resource {
    /// The bundle that holds the entry `index` of a log of `size` entries.
    pub fn entries(index: u64, size: u64) -> Self {
        Self::covering(None, index, size)
    }

    /// All the bundles that hold the entries from `from` up to `size`.
    pub fn entries_from(from: u64, size: u64) -> impl Iterator<Item = Self> {
        let first = from / TILE_WIDTH;
        let bundles = first..size.div_ceil(TILE_WIDTH).max(first);
        bundles.map(move |bundle| Self::entries(bundle * TILE_WIDTH, size))
    }

    fn covering(level: Option<u8>, index: u64, size: u64) -> Self {
        let index = index / TILE_WIDTH;
        let width = (size - index * TILE_WIDTH).min(TILE_WIDTH);
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        Self {
            level,
            index,
            width,
        }
    }

    /// The index of the first thing it holds, counted within its level.
    pub fn first(&self) -> u64 {
        self.index.saturating_mul(TILE_WIDTH)
    }

    /// The stored indexes of the hashes in it, as `tlog_tiles` numbers them; none for entries.
    pub fn hashes(&self) -> Vec<u64> {
        let Some(level) = self.level else {
            return Vec::new();
        };
        let hashes = self.first()..self.first() + u64::from(self.width);
        hashes
            .map(|at| tlog_tiles::stored_hash_index(8 * level, at))
            .collect()
    }

    /// Whether a log of `size` entries has it.
    pub fn is_within(&self, size: u64) -> bool {
        let level = u32::from(self.level.unwrap_or(0));
        let here = size.checked_shr(8 * level).unwrap_or(0);
        let end = self.first().checked_add(u64::from(self.width));
        end.is_some_and(|end| end <= here)
    }
}

/// Puts entries into a bundle: each after its length in two bytes, big end first.
pub fn write_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        // A leaf is refused above this length before it is logged.
        let length = u16::try_from(entry.len().min(MAX_LEAF_BYTES)).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}

/// Takes a bundle apart.
pub fn read_bundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(BundleError)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(BundleError)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (at, group) in groups.iter().enumerate().rev() {
            let (x, slash) = if at > 0 { ("x", "/") } else { ("", "") };
            write!(f, "{x}{group:03}{slash}")?;
        }
        if u64::from(self.width) < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(path: &str) -> Result<Self, ResourceError> {
        let rest = path.strip_prefix("tile/").ok_or(ResourceError)?;
        let (level, rest) = rest.split_once('/').ok_or(ResourceError)?;
        let level = match level {
            "entries" => None,
            digits => Some(digits.parse().map_err(|_| ResourceError)?),
        };
        if level.is_some_and(|level| level > MAX_LEVEL) {
            return Err(ResourceError);
        }
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| ResourceError)?),
            None => (rest, 256),
        };
        let mut number = 0_u64;
        for group in index.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let group: u16 = digits.parse().map_err(|_| ResourceError)?;
            let next = number.checked_mul(1000);
            let next = next.and_then(|next| next.checked_add(group.into()));
            number = next.ok_or(ResourceError)?;
        }
        let resource = Self {
            level,
            index: number,
            width,
        };
        // One spelling each: no signs, no zeros in front, `x` where it belongs.
        let fits = (1..=256).contains(&width) && resource.to_string() == path;
        fits.then_some(resource).ok_or(ResourceError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_c2sp_s_byte_for_byte() {
        for (level, index, width, path) in [
            (Some(0), 0, 256, "tile/0/000"),
            (Some(0), 273, 112, "tile/0/273.p/112"),
            (Some(1), 1, 17, "tile/1/001.p/17"),
            (Some(2), 0, 1, "tile/2/000.p/1"),
            (Some(63), 1_234_067, 256, "tile/63/x001/x234/067"),
            (None, 1_234_067, 8, "tile/entries/x001/x234/067.p/8"),
            (None, 999, 256, "tile/entries/999"),
            (None, 1000, 256, "tile/entries/x001/000"),
            (
                Some(0),
                u64::MAX / 256,
                256,
                "tile/0/x072/x057/x594/x037/x927/935",
            ),
        ] {
            let resource = Resource {
                level,
                index,
                width,
            };
            assert_eq!(resource.to_string(), path);
            assert_eq!(path.parse(), Ok(resource));
        }
        for bad in [
            "",
            "tile/0/0",
            "tile/8/0/000",
            "tile/00/000",
            "tile/64/000",
            "tile/+1/000",
            "tile/data/000",
            "tile/0/001/000",
            "tile/0/x000/001",
            "tile/0/x1/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000/",
            "tile/0/../000",
            "tile/entries/x018/x446/x744/x073/x709/x551/616",
            "tile/entries/x999/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(bad.parse::<Resource>(), Err(ResourceError), "{bad}");
        }
    }

    #[test]
    fn a_log_of_70000_has_the_tiles_that_the_specification_counts() {
        let has = |path: &str| path.parse::<Resource>().unwrap().is_within(70_000);
        for path in [
            "tile/0/272",
            "tile/0/273.p/112",
            "tile/1/000",
            "tile/1/001.p/17",
        ] {
            assert!(has(path), "{path}");
        }
        assert!(has("tile/2/000.p/1"));
        for path in [
            "tile/0/273",
            "tile/0/273.p/113",
            "tile/1/001",
            "tile/2/000.p/2",
        ] {
            assert!(!has(path), "{path}");
        }
        assert!(!has("tile/63/x001/x234/067"));
        let bundles: Vec<_> = Resource::entries_from(69_631, 70_000).collect();
        let paths: Vec<_> = bundles.iter().map(ToString::to_string).collect();
        assert_eq!(
            paths,
            [
                "tile/entries/271",
                "tile/entries/272",
                "tile/entries/273.p/112"
            ]
        );
        assert_eq!(Resource::entries_from(0, 0).count(), 0);
        assert_eq!(Resource::entries_from(5, 5).count(), 1);
        assert_eq!(Resource::entries_from(256, 256).count(), 0);
    }

    #[test]
    fn bundles_come_back_whole_or_not_at_all() {
        let entries: [&[u8]; 3] = [b"one", b"", &[7; 65_535]];
        let bytes = write_bundle(entries);
        assert_eq!(bytes[..5], *b"\0\x03one");
        assert_eq!(read_bundle(&bytes).unwrap(), entries);
        assert_eq!(read_bundle(&bytes[..bytes.len() - 1]), Err(BundleError));
        assert_eq!(read_bundle(&[0]), Err(BundleError));
        assert_eq!(read_bundle(&[]).unwrap(), Vec::<&[u8]>::new());
    }
}
