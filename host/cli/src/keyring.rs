//! Signing keys on disk: `NAME.key`, a 32-byte seed under a passphrase in age's format, beside
//! `NAME.pub`, its public half in clear.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use age::scrypt;
use secrecy::{ExposeSecret as _, SecretString};
use soma_registry::{PublicKey, SecretKey};

use crate::config_folder::{self, check_private, write_private};
use crate::failure::{Exit, Failure};
use crate::sealed;

/// What a key's text begins with, so that nobody takes it for a public one.
const SECRET_PREFIX: &str = "ed25519-secret:";
const MAX_FILE_BYTES: u64 = 64 << 10;

/// The folder of keys, which may be missing.
pub(crate) struct Keyring(PathBuf);

impl Keyring {
    /// `SOMA_KEYS`, else `keys` in the config folder.
    pub(crate) fn open() -> Result<Self, Failure> {
        match env::var_os("SOMA_KEYS").filter(|value| !value.is_empty()) {
            Some(folder) => Ok(Self(folder.into())),
            None => Ok(Self(config_folder::path()?.join("keys"))),
        }
    }

    /// The names of all keys with their public halves, in their order.
    pub(crate) fn list(&self) -> Result<Vec<(String, PublicKey)>, Failure> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| Failure::unreadable(&self.0, error))?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Failure::unreadable(&self.0, error))?;
            let path = entry.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            if let Some(name) = name.filter(|_| path.extension().is_some_and(|it| it == "key")) {
                keys.push((name.to_owned(), self.public(name)?));
            }
        }
        keys.sort();
        Ok(keys)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name, "key").exists()
    }

    /// Refuses a name that a key has, or that no key can have.
    pub(crate) fn check_free(&self, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        if !self.has(name) {
            return Ok(());
        }
        Err(
            Failure::usage(format_args!("there is a key `{name}` already"))
                .hint("`soma keys rotate` replaces it; or give the new one another name"),
        )
    }

    /// The public half of a key, without its passphrase.
    pub(crate) fn public(&self, name: &str) -> Result<PublicKey, Failure> {
        check_name(name)?;
        let path = self.file(name, "pub");
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if self.has(name) => Failure::usage(format_args!(
                "the public half of the key `{name}` is missing: {}",
                path.display()
            ))
            .hint("put it back from a copy, or write into it what `soma owner list` shows of it"),
            io::ErrorKind::NotFound => no_key(name),
            _ => Failure::unreadable(&path, error),
        })?;
        let damaged = |e| Failure::usage(format_args!("{} is damaged: {e}", path.display()));
        text.trim().parse().map_err(damaged)
    }

    /// Keeps a key under a passphrase. A key of that name stays as it is.
    pub(crate) fn add(
        &self,
        name: &str,
        key: &SecretKey,
        passphrase: SecretString,
    ) -> Result<(), Failure> {
        self.add_sealed(name, key, &scrypt::Recipient::new(passphrase))
    }

    fn add_sealed(
        &self,
        name: &str,
        key: &SecretKey,
        recipient: &scrypt::Recipient,
    ) -> Result<(), Failure> {
        self.check_free(name)?;
        config_folder::make_private(&self.0)?;
        let sealed = sealed::seal(secret_text(key).expose_secret().as_bytes(), recipient)?;
        // The public half first: what has a `.key` is whole.
        write_private(
            &self.file(name, "pub"),
            format!("{}\n", key.public()).as_bytes(),
        )?;
        write_private(&self.file(name, "key"), &sealed)
    }

    /// The key itself; `ask` is for its passphrase.
    pub(crate) fn unlock(
        &self,
        name: &str,
        ask: impl FnOnce() -> Result<SecretString, Failure>,
    ) -> Result<SecretKey, Failure> {
        check_name(name)?;
        if !self.has(name) {
            return Err(no_key(name));
        }
        let key = read_key(&self.file(name, "key"), ask)?;
        if key.public() != self.public(name)? {
            return Err(Failure::usage(format_args!(
                "the two files of the key `{name}` in {} are of different keys",
                self.0.display()
            )));
        }
        Ok(key)
    }

    /// Gives a key another name, which must be free.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        self.check_free(to)?;
        for kind in ["pub", "key"] {
            let (from, to) = (self.file(from, kind), self.file(to, kind));
            fs::rename(&from, &to).map_err(|e| {
                Failure::failed(format_args!("cannot rename {}: {e}", from.display()))
            })?;
        }
        Ok(())
    }

    /// The file of the key itself.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.file(name, "key")
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.0.join(format!("{name}.{kind}"))
    }
}

/// Reads a key file, under a passphrase or not.
pub(crate) fn read_key(
    path: &Path,
    ask: impl FnOnce() -> Result<SecretString, Failure>,
) -> Result<SecretKey, Failure> {
    let size = fs::metadata(path)
        .map_err(|error| Failure::unreadable(path, error))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(not_a_key(path));
    }
    let bytes = fs::read(path).map_err(|error| Failure::unreadable(path, error))?;
    if !sealed::is_sealed(&bytes) {
        check_private(path)?;
        return parse_secret(&bytes).ok_or_else(|| not_a_key(path));
    }
    let text = sealed::open(&bytes, ask()?, path)?;
    parse_secret(&text).ok_or_else(|| not_a_key(path))
}

/// The text of a key that is under no passphrase.
pub(crate) fn secret_text(key: &SecretKey) -> SecretString {
    let mut text = SECRET_PREFIX.to_owned();
    for byte in key.seed() {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    text.into()
}

fn parse_secret(bytes: &[u8]) -> Option<SecretKey> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let digits = text.strip_prefix(SECRET_PREFIX)?.as_bytes();
    let mut seed = [0; 32];
    if digits.len() != 2 * seed.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in seed.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(SecretKey::from_seed(&seed))
}

/// A name is a file's name too.
fn check_name(name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let is_name = (1..=64).contains(&name.len())
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_name {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "`{}` cannot be a key's name",
        name.escape_debug()
    ))
    .hint("1 to 64 lower-case letters, digits, `-` and `.`, a letter or digit first"))
}

fn no_key(name: &str) -> Failure {
    Failure::new(Exit::NotFound, format_args!("there is no key `{name}`")).hint(format_args!(
        "`soma keys new {name}` makes it; `soma keys list` shows all"
    ))
}

fn not_a_key(path: &Path) -> Failure {
    Failure::usage(format_args!("{} is not a key file", path.display()))
        .hint("`soma keys export --secret` prints one")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A work factor that no person should use.
    fn quick(passphrase: &str) -> scrypt::Recipient {
        let mut recipient = scrypt::Recipient::new(passphrase.into());
        recipient.set_work_factor(2);
        recipient
    }

    fn said(words: &str) -> Result<SecretString, Failure> {
        Ok(words.into())
    }

    #[test]
    fn keys_come_back_with_their_passphrase_only() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring(folder.path().join("keys"));
        assert_eq!(keyring.list().unwrap(), []);
        let key = SecretKey::generate().unwrap();
        keyring
            .add_sealed("ada", &key, &quick("the words"))
            .unwrap();
        assert_eq!(keyring.list().unwrap(), [("ada".to_owned(), key.public())]);
        let unlocked = keyring.unlock("ada", || said("the words")).unwrap();
        assert_eq!(unlocked.seed(), key.seed());
        let wrong = keyring.unlock("ada", || said("other words")).unwrap_err();
        assert!(wrong.message().contains("does not fit"), "{wrong:?}");
        assert!(keyring.add_sealed("ada", &key, &quick("x")).is_err());
        for (file, mode) in [("keys", 0o700), ("keys/ada.key", 0o600)] {
            let metadata = fs::metadata(folder.path().join(file)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
        }
        let text = fs::read(folder.path().join("keys/ada.key")).unwrap();
        assert!(!text.windows(32).any(|bytes| bytes == key.seed()));

        keyring.rename("ada", "ada.old").unwrap();
        assert!(!keyring.has("ada") && keyring.has("ada.old"));
        for name in ["", "../ada", "Ada", ".x", "a/b", &"a".repeat(65)] {
            assert!(keyring.public(name).is_err(), "{name}");
            assert!(keyring.add_sealed(name, &key, &quick("x")).is_err());
        }
    }

    #[test]
    fn a_file_without_a_passphrase_must_be_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ci.key");
        let key = SecretKey::generate().unwrap();
        let nobody = || Err(Failure::failed("asked"));
        write_private(&path, secret_text(&key).expose_secret().as_bytes()).unwrap();
        assert_eq!(read_key(&path, nobody).unwrap().seed(), key.seed());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            read_key(&path, nobody)
                .unwrap_err()
                .message()
                .contains("other users")
        );
        for bad in ["", "ed25519:00", "ed25519-secret:00", "ed25519-secret:é"] {
            write_private(&path, bad.as_bytes()).unwrap();
            assert!(
                read_key(&path, nobody)
                    .unwrap_err()
                    .message()
                    .contains("not a key file")
            );
        }
    }
}
