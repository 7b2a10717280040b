//! Variables of the host's environment: PREFIX, the tenant, two `_`, the name.

use std::env;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::zeroize::Zeroizing;
use soma_capability::CredentialName;

use super::{Keeper, KeeperError, Read, Source, value};

pub(super) struct Environment {
    prefix: String,
}

impl Environment {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// No two tenants have a variable in common: `__` is in it once, between tenant and name.
    fn variable(&self, tenant: &str, name: &CredentialName) -> Result<String, KeeperError> {
        if tenant.contains("--") || tenant.ends_with('-') {
            return Err(KeeperError::Name(format!(
                "no variable is of the tenant `{tenant}` alone, since its name has `--` in it or ends \
                 with `-`"
            )));
        }
        let upper = |text: &str| text.to_ascii_uppercase().replace('-', "_");
        let (tenant, name) = (upper(tenant), upper(&name.to_string()));
        Ok(format!("{}{tenant}__{name}", self.prefix))
    }
}

#[async_trait]
impl Keeper for Environment {
    async fn read(&self, tenant: &str, source: &Source) -> Result<Read, KeeperError> {
        let Source::Env { name } = source else {
            return Err(KeeperError::Name(format!("{source} is no variable")));
        };
        let variable = self.variable(tenant, name)?;
        let what = || format!("variable {variable}");
        let text = env::var_os(&variable).ok_or_else(|| KeeperError::Missing(what()))?;
        let text = Zeroizing::new(text.as_bytes().to_vec());
        Ok(Read {
            value: value(what, &text)?,
            user: None,
            good_for: Duration::ZERO,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tenants_have_a_variable_in_common() {
        let environment = Environment::new("CRED_".to_owned());
        let of = |tenant: &str, name: &str| environment.variable(tenant, &name.parse().unwrap());
        assert_eq!(of("acme", "a-b").unwrap(), "CRED_ACME__A_B");
        assert_ne!(of("a-b", "c").unwrap(), of("a", "b-c").unwrap());
        for tenant in ["a--b", "a-"] {
            assert!(of(tenant, "c").is_err(), "{tenant}");
        }
    }
}
