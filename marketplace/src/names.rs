//! Names that could be taken for others.

use soma_capability::CapsuleName;
use strsim::damerau_levenshtein;

/// Fetched this often, a capsule is worth imitating.
pub(crate) const WELL_USED: u64 = 100;

/// A name as a hasty eye takes it: hyphens are gone, and of characters that look alike one stands
/// for all. Two names with one skeleton must not both exist.
pub(crate) fn skeleton(name: &str) -> String {
    let alike = |c| match c {
        '0' => 'o',
        '1' | 'i' => 'l',
        '5' => 's',
        '2' => 'z',
        '8' => 'b',
        c => c,
    };
    let name: String = name.chars().filter(|c| *c != '-').map(alike).collect();
    name.replace("rn", "m")
        .replace("vv", "w")
        .replace("cl", "d")
}

/// The well-used capsule that a new one is one slip of the finger away from, of another publisher.
pub(crate) fn near<'a>(
    new: &CapsuleName,
    well_used: impl IntoIterator<Item = &'a CapsuleName>,
) -> Option<&'a CapsuleName> {
    let of_another = |other: &&CapsuleName| other.namespace() != new.namespace();
    let one_slip = |other: &&CapsuleName| {
        let namespace = (skeleton(new.namespace()), skeleton(other.namespace()));
        let name = (skeleton(new.name()), skeleton(other.name()));
        let slips =
            damerau_levenshtein(&namespace.0, &namespace.1) + damerau_levenshtein(&name.0, &name.1);
        // A shared name in a namespace of quite another look is no imitation.
        slips <= 2 && damerau_levenshtein(&namespace.0, &namespace.1) <= 1
    };
    well_used.into_iter().filter(of_another).find(one_slip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_has_one_skeleton() {
        for (a, b) in [
            ("soma", "s0ma"),
            ("soma", "so-ma"),
            ("modern", "modem"),
            ("github", "glthub"),
            ("cloud", "d0ud"),
        ] {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        assert_ne!(skeleton("soma"), skeleton("sona"));
    }

    #[test]
    fn one_slip_away_of_another_publisher_is_near() {
        let well_used: Vec<CapsuleName> = vec!["soma/github".parse().unwrap()];
        for (name, is_near) in [
            ("soma/githubb", false),
            ("somaa/github", true),
            ("osma/github", true),
            ("sona/githud", true),
            ("acme/github", false),
            ("somaa/gitlab", false),
        ] {
            let name: CapsuleName = name.parse().unwrap();
            assert_eq!(near(&name, &well_used).is_some(), is_near, "{name}");
        }
    }
}
