//! A client certificate: a chain and its key in PEM, shown to servers that ask who connects.

use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Says what is wrong with it, and nothing of what is in it.
pub(super) fn check(pem: &str) -> Result<(), String> {
    let (mut chain, mut keys) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        let (kind, der) = section.map_err(|_| "it is no PEM".to_owned())?;
        match kind {
            SectionKind::Certificate => chain.push(CertificateDer::from(der)),
            SectionKind::PrivateKey => keys.push(PrivateKeyDer::Pkcs8(der.into())),
            SectionKind::RsaPrivateKey => keys.push(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => keys.push(PrivateKeyDer::Sec1(der.into())),
            _ => return Err("there is something else in it than certificates and a key".to_owned()),
        }
    }
    if chain.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let Some(key) = keys.pop().filter(|_| keys.is_empty()) else {
        return Err("there must be one private key in it, and not an encrypted one".to_owned());
    };
    let provider = rustls::crypto::ring::default_provider();
    let fits = CertifiedKey::from_der(chain, key, &provider);
    fits.map(drop).map_err(|error| error.to_string())
}
