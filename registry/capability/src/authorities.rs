//! The authorities that an operator trusts for some requests, in the place of everybody's.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::as_text::as_text;

const MAX_BYTES: usize = 64 << 10;
const MAX_CERTIFICATES: usize = 32;

/// Certificates in PEM, 1 to 32, and nothing else but comments.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Authorities {
    pem: String,
    certificates: Vec<Vec<u8>>,
}

/// Why a text has no authorities in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// Not PEM.
    #[error("the certificates of authorities are no PEM: {0}")]
    Pem(String),
    /// A key or something else that is none of an authority's certificates.
    #[error("among the certificates of authorities is something else, such as a private key")]
    Other,
    /// None, or too many.
    #[error("here are {0} certificates of authorities; 1 to {MAX_CERTIFICATES} are allowed")]
    Count(usize),
    /// Longer than any bundle of so many.
    #[error("certificates of authorities have at most {MAX_BYTES} bytes")]
    TooLong,
}

impl Authorities {
    /// Each certificate, in DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    /// The SHA-256 of each certificate, in hexadecimal.
    pub fn fingerprints(&self) -> impl Iterator<Item = String> {
        self.certificates()
            .map(|der| hex::encode(Sha256::digest(der)))
    }
}

impl FromStr for Authorities {
    type Err = AuthoritiesError;

    fn from_str(pem: &str) -> Result<Self, AuthoritiesError> {
        if pem.len() > MAX_BYTES {
            return Err(AuthoritiesError::TooLong);
        }
        let mut certificates = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
            match section {
                Ok((SectionKind::Certificate, der)) => certificates.push(der),
                Ok(_) => return Err(AuthoritiesError::Other),
                Err(error) => return Err(AuthoritiesError::Pem(error.to_string())),
            }
        }
        if !(1..=MAX_CERTIFICATES).contains(&certificates.len()) {
            return Err(AuthoritiesError::Count(certificates.len()));
        }
        let pem = pem.to_owned();
        Ok(Self { pem, certificates })
    }
}

impl fmt::Display for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pem)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fingerprints()).finish()
    }
}

as_text!(Authorities, AuthoritiesError);

#[cfg(test)]
mod tests {
    use super::*;

    fn section(label: &str) -> String {
        format!("-----BEGIN {label}-----\nYWJj\n-----END {label}-----\n")
    }

    #[test]
    fn certificates_and_nothing_else() {
        let one = section("CERTIFICATE");
        let two: Authorities = format!("# ours\n{one}\n{one}").parse().unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(two.fingerprints().collect::<Vec<_>>(), [abc, abc]);
        assert_eq!(two.to_string().parse::<Authorities>().unwrap(), two);
        for (text, error) in [
            (String::new(), AuthoritiesError::Count(0)),
            ("no PEM".to_owned(), AuthoritiesError::Count(0)),
            (one.repeat(33), AuthoritiesError::Count(33)),
            (
                one.clone() + &section("PRIVATE KEY"),
                AuthoritiesError::Other,
            ),
            (" ".repeat(MAX_BYTES + 1), AuthoritiesError::TooLong),
        ] {
            assert_eq!(text.parse::<Authorities>().unwrap_err(), error);
        }
        for broken in [
            one.replace("YWJj", "Y!Jj"),
            one.replace("-----END CERTIFICATE-----", ""),
        ] {
            let error = broken.parse::<Authorities>().unwrap_err();
            assert!(matches!(error, AuthoritiesError::Pem(_)), "{error}");
        }
    }
}
