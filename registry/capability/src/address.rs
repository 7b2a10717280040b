//! Addresses of the network that a capsule reaches only where they are granted by number: those
//! that lead to the host's own machine or network, to a cloud's services, or to several places.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::LazyLock;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::as_text::as_text;

/// From IANA's special-purpose registries, with what is no longer in them and still routed, and
/// with the one address outside them under which a cloud serves its metadata.
const SPECIAL: &[(&str, &str)] = &[
    ("0.0.0.0/8", "of this machine"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared behind a carrier's NAT"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's own"),
    ("169.254.0.0/16", "link-local, where clouds serve metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "for protocols"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "a 6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "for benchmarks"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    // The unspecified address and loopback among them.
    ("::/96", "IPv4-compatible or of this machine"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discarded"),
    ("2001::/23", "for protocols, Teredo among them"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "for documentation"),
    ("5f00::/16", "for segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
];

static RANGES: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
    let parse = |(range, what): &(&str, &'static str)| Some((range.parse().ok()?, *what));
    SPECIAL.iter().filter_map(parse).collect()
});

/// What is special about an address: none where anybody may be reached there.
pub fn special(address: IpAddr) -> Option<&'static str> {
    let holds = |(range, _): &&(IpNet, _)| range.contains(&address);
    RANGES.iter().find(holds).map(|(_, what)| *what)
}

/// One address, or all of a network: `10.1.2.3`, `10.1.0.0/16`, `fd00::/8`. Its one form has no bit
/// set behind the network's length, and no length where it is one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AddressRange(IpNet);

/// Why a text is not an address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRangeError {
    /// Not a range.
    #[error("`{0}` is not an address, nor a network such as `10.1.0.0/16`")]
    Form(String),
    /// The right range in another form.
    #[error("`{given}` is written `{normal}`")]
    NotNormal {
        /// As it is.
        given: String,
        /// As it should be.
        normal: String,
    },
}

impl AddressRange {
    /// Whether it is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let whole = text.parse::<IpAddr>().map(IpNet::from);
        let range = whole.or_else(|_| text.parse::<IpNet>());
        let range = range.map_err(|_| AddressRangeError::Form(crate::asked::shown(text)))?;
        let normal = Self(range.trunc());
        if normal.to_string() != text {
            return Err(AddressRangeError::NotNormal {
                given: crate::asked::shown(text),
                normal: normal.to_string(),
            });
        }
        Ok(normal)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

as_text!(AddressRange, AddressRangeError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_one() {
        assert_eq!(RANGES.len(), SPECIAL.len());
    }

    #[test]
    fn what_is_near_or_many_is_special() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(special(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn one_canonical_form() {
        for text in ["10.1.2.3", "10.0.0.0/8", "fd00::/8", "::1", "0.0.0.0/0"] {
            assert_eq!(text.parse::<AddressRange>().unwrap().to_string(), text);
        }
        let range: AddressRange = "10.1.0.0/16".parse().unwrap();
        assert!(range.contains("10.1.255.1".parse().unwrap()));
        assert!(!range.contains("10.2.0.0".parse().unwrap()));
        assert!(!range.contains("::ffff:10.1.0.1".parse().unwrap()));
        for (text, part) in [
            ("", "not an address"),
            ("10.1", "not an address"),
            ("10.0.0.0/33", "not an address"),
            ("example.com", "not an address"),
            ("10.1.2.3/8", "written `10.0.0.0/8`"),
            ("10.1.2.3/32", "written `10.1.2.3`"),
            ("FD00::/8", "written `fd00::/8`"),
        ] {
            let message = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
