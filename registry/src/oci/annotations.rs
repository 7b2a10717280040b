//! What registries show of an artifact: the annotations that the OCI image specification names.

use std::collections::BTreeMap;

use crate::manifest::Manifest;

/// The name of the file that a client such as `oras` makes of a layer, or of the whole.
pub(super) const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";
const DESCRIPTION: &str = "org.opencontainers.image.description";
const LICENSES: &str = "org.opencontainers.image.licenses";
const SOURCE: &str = "org.opencontainers.image.source";

/// Of a capsule, with its licence (an SPDX expression) and its repository (a URL), where it says.
pub(super) fn of(manifest: &Manifest) -> BTreeMap<String, String> {
    let entries = [
        (TITLE, Some(manifest.name.to_string())),
        (VERSION, Some(manifest.version.to_string())),
        (DESCRIPTION, Some(manifest.description.clone())),
        (LICENSES, manifest.license.clone()),
        (SOURCE, manifest.repository.clone()),
    ];
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// Of a layer that is to become this file.
pub(super) fn file(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(TITLE.to_owned(), name.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_known() {
        let toml = "name = 'local/hello'\nversion = '1.0.0'\ndescription = 'Says hello.'";
        let little = of(&Manifest::from_toml(toml).unwrap());
        assert_eq!(little[TITLE], "local/hello");
        assert_eq!(little.len(), 3);
        let more = format!("{toml}\nlicense = 'MIT'\nrepository = 'https://example.com/hello'");
        let all = of(&Manifest::from_toml(&more).unwrap());
        assert_eq!(all[LICENSES], "MIT");
        assert_eq!(all[SOURCE], "https://example.com/hello");
    }
}
