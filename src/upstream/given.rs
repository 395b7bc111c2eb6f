//! HMAC secrets out of the environment that the configuration was read with. They stay as they were then, until
//! it is read again.
#![forbid(unsafe_code)]

use super::weak;
use crate::jose::{Jwk, JwkSet};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Secrets, each with the name of its variable.
#[derive(Clone, PartialEq, Eq)]
pub struct Given(Arc<[Variable]>);

/// A variable's name and value.
type Variable = (Box<str>, Zeroizing<Vec<u8>>);

impl Given {
    /// Takes secrets, if they are any.
    ///
    /// # Errors
    /// The variable's name, and what is wrong with its value.
    pub fn new(secrets: Vec<Variable>) -> Result<Self, String> {
        for (name, secret) in &secrets {
            if secret.is_empty() {
                return Err(format!("${name} is empty"));
            }
            if let Some(why) = weak::weakness(secret) {
                return Err(format!("${name} {why}"));
            }
        }
        Ok(Self(secrets.into()))
    }

    /// The variables' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The secrets as keys.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        let keys = self.0.iter();
        JwkSet {
            keys: keys.map(|(_, secret)| Jwk::from_secret(secret)).collect(),
            skipped: Vec::new(),
        }
    }
}

/// Says where the secrets were, never what they are.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_and_never_shown() {
        let secret = b"0123456789abcdef-ghijklmnopqrstuv".to_vec();
        let named = |secret: &[u8]| vec![("HMAC".into(), Zeroizing::new(secret.to_vec()))];
        let given = Given::new(named(&secret)).expect("good");
        assert_eq!(given.jwks().keys.len(), 1);
        assert_eq!(format!("{given:?}"), "[\"HMAC\"]");
        assert_eq!(given, Given::new(named(&secret)).expect("good"));
        assert_eq!(Given::new(named(b"")).expect_err("empty"), "$HMAC is empty");
        let weak = Given::new(named(&[b'x'; 40])).expect_err("weak");
        assert!(
            weak.contains("is no secret") && !weak.contains("xxx"),
            "{weak}"
        );
    }
}
