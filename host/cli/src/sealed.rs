//! Secrets on disk under a passphrase, in age's format: <https://age-encryption.org/v1>.

use std::path::Path;

use age::scrypt;
use secrecy::SecretString;

use crate::failure::{Exit, Failure};

/// What a file under a passphrase begins with.
const AGE: &[u8] = b"age-encryption.org/v1";

/// Whether it is a file under a passphrase.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(AGE)
}

/// Puts a text under a passphrase, as bytes.
pub(crate) fn seal(text: &[u8], recipient: &scrypt::Recipient) -> Result<Vec<u8>, Failure> {
    age::encrypt(recipient, text).map_err(|error| unsealable(&error))
}

/// The same as text.
pub(crate) fn seal_as_text(text: &[u8], passphrase: SecretString) -> Result<String, Failure> {
    let recipient = scrypt::Recipient::new(passphrase);
    age::encrypt_and_armor(&recipient, text).map_err(|error| unsealable(&error))
}

/// What is under the passphrase in this file, whether it is bytes or text.
pub(crate) fn open(
    sealed: &[u8],
    passphrase: SecretString,
    path: &Path,
) -> Result<Vec<u8>, Failure> {
    let identity = scrypt::Identity::new(passphrase);
    age::decrypt(&identity, sealed).map_err(|error| {
        let path = path.display();
        match error {
            age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed => {
                let words = format_args!("the passphrase does not fit {path}");
                Failure::new(Exit::NotAllowed, words)
            }
            error => Failure::usage(format_args!("{path} cannot be decrypted: {error}")),
        }
    })
}

fn unsealable(error: &age::EncryptError) -> Failure {
    Failure::failed(format_args!("the key cannot be encrypted: {error}"))
}
