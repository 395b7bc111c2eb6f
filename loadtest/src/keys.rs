//! The issuers of a load test: one an algorithm, each with a key of its own, so that a server's metrics
//! tell them apart and a token of one never verifies under another's key.
//!
//! Keys live in a directory: private halves for the client, readable by their owner only, and key sets and
//! secret files for the server.
#![forbid(unsafe_code)]

use jotd::issuer::{SigningError, SigningKey, danger};
use jotd::jose::{Algorithm, Jwk};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The audience that every good token names.
pub(crate) const AUDIENCE: &str = "loadtest";

/// A `kid` that no issuer has.
const STRAY_KID: &str = "nobody-s";

/// All issuers of a run.
pub(crate) struct Trust(Vec<TestIssuer>);

/// One issuer.
pub(crate) struct TestIssuer {
    /// What it signs with.
    pub(crate) alg: Algorithm,
    /// Its `iss`.
    pub(crate) iss: String,
    /// Its key. HMAC keys have no `kid`: the server reads them from secret files, which cannot name one.
    pub(crate) key: SigningKey,
    /// The same key under a `kid` that the server does not know; none for HMAC, where an unknown `kid`
    /// still fits every secret.
    pub(crate) stray: Option<SigningKey>,
    /// What the server reads.
    public: Public,
}

/// What a server needs to trust an issuer.
enum Public {
    /// A JWK Set.
    Jwks(String),
    /// An HMAC secret.
    Secret(String),
}

/// Keys could not be made, written or read.
#[derive(Debug)]
pub(crate) enum KeysError {
    /// The library refused.
    Signing(Algorithm, SigningError),
    /// The file system refused.
    File(PathBuf, io::Error),
    /// A file is not what `loadtest prepare` wrote.
    Foreign(PathBuf),
}

impl Trust {
    /// Fresh keys for these algorithms.
    ///
    /// # Errors
    /// [`KeysError::Signing`].
    pub(crate) fn generate(algs: impl Iterator<Item = Algorithm>) -> Result<Self, KeysError> {
        algs.map(|alg| {
            let failed = |error| KeysError::Signing(alg, error);
            let key = SigningKey::generate(alg, None).map_err(failed)?;
            let jwk = danger::to_private_jwk(&key).map_err(failed)?;
            TestIssuer::new(alg, &private_text(alg, &jwk)).map_err(failed)
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Self)
    }

    /// The keys that [`Self::write`] wrote, for these algorithms.
    ///
    /// # Errors
    /// [`KeysError::File`], [`KeysError::Foreign`].
    pub(crate) fn load(
        directory: &Path,
        algs: impl Iterator<Item = Algorithm>,
    ) -> Result<Self, KeysError> {
        algs.map(|alg| {
            let path = private_path(directory, alg);
            match fs::read_to_string(&path) {
                Ok(text) => TestIssuer::new(alg, &text).map_err(|_| KeysError::Foreign(path)),
                Err(error) => Err(KeysError::File(path, error)),
            }
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Self)
    }

    /// Writes the keys into a directory and returns the `[[issuer]]` tables of a configuration that
    /// trusts them.
    ///
    /// # Errors
    /// [`KeysError`].
    pub(crate) fn write(&self, directory: &Path) -> Result<String, KeysError> {
        let mut tables = String::new();
        for issuer in &self.0 {
            let path = private_path(directory, issuer.alg);
            write_private(&path, &issuer.private_text()?)?;
            tables.push_str(&issuer.write_public(directory)?);
        }
        Ok(tables)
    }

    /// The issuers.
    #[cfg(test)]
    pub(crate) fn issuers(&self) -> &[TestIssuer] {
        &self.0
    }

    /// The issuer of an algorithm.
    pub(crate) fn issuer(&self, alg: Algorithm) -> Option<&TestIssuer> {
        self.0.iter().find(|issuer| issuer.alg == alg)
    }
}

impl TestIssuer {
    /// The issuer of a key as [`private_text`] prints it.
    fn new(alg: Algorithm, private: &str) -> Result<Self, SigningError> {
        let jwk = if is_hmac(alg) {
            Jwk::from_secret(private.as_bytes())
        } else {
            Jwk::parse(private.as_bytes()).map_err(|_| SigningError::PublicOnly)?
        };
        let key = SigningKey::new(alg, &jwk)?;
        let (key, stray, public) = if is_hmac(alg) {
            let public = Public::Secret(private.to_owned());
            (key.with_kid(None)?, None, public)
        } else {
            let stray = SigningKey::new(alg, &jwk)?.with_kid(Some(STRAY_KID))?;
            let jwk = key.public_jwk().ok_or(SigningError::PublicOnly)?;
            let public = Public::Jwks(format!(r#"{{"keys":[{jwk}]}}"#));
            (key, Some(stray), public)
        };
        Ok(Self {
            alg,
            iss: format!("https://{}.loadtest.example", alg.name().to_lowercase()),
            key,
            stray,
            public,
        })
    }

    /// What the server calls it.
    pub(crate) fn name(&self) -> String {
        format!("loadtest-{}", self.alg.name().to_lowercase())
    }

    /// What the server reads: a JWK Set, or the secret itself.
    #[cfg(test)]
    pub(crate) fn public_text(&self) -> String {
        match &self.public {
            Public::Jwks(text) | Public::Secret(text) => text.clone(),
        }
    }

    fn private_text(&self) -> Result<String, KeysError> {
        if let Public::Secret(secret) = &self.public {
            return Ok(secret.clone());
        }
        danger::to_private_jwk(&self.key)
            .map(|jwk| jwk.to_string())
            .map_err(|error| KeysError::Signing(self.alg, error))
    }

    fn write_public(&self, directory: &Path) -> Result<String, KeysError> {
        let stem = self.alg.name().to_lowercase();
        let (member, path) = match &self.public {
            Public::Jwks(jwks) => {
                let path = directory.join(format!("{stem}.jwks.json"));
                fs::write(&path, jwks).map_err(|error| KeysError::File(path.clone(), error))?;
                ("jwks_file", path)
            }
            // For HMAC, the file of the private half is what the server reads.
            Public::Secret(_) => ("secret_file", private_path(directory, self.alg)),
        };
        Ok(format!(
            "\n[[issuer]]\nname = {}\nissuer = {}\n{member} = {}\naudiences = [{}]\nalgorithms = [{}]\n",
            quoted(&self.name()),
            quoted(&self.iss),
            quoted(&path.to_string_lossy()),
            quoted(AUDIENCE),
            quoted(self.alg.name()),
        ))
    }
}

/// A string as TOML writes it: JSON's escapes are among TOML's.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string has a JSON form")
}

pub(crate) fn is_hmac(alg: Algorithm) -> bool {
    matches!(alg, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512)
}

/// A private half as it is kept: a JWK; for HMAC the base64url text of the JWK's `k` itself, whose
/// characters are the secret. A secret file of raw octets could end in what an editor would trim.
fn private_text(alg: Algorithm, jwk: &str) -> String {
    if !is_hmac(alg) {
        return jwk.to_owned();
    }
    let member = |jwk: &str| -> Option<String> {
        let value: serde_json::Value = serde_json::from_str(jwk).ok()?;
        Some(value.get("k")?.as_str()?.to_owned())
    };
    member(jwk).expect("the issuer writes an oct key with its k")
}

fn private_path(directory: &Path, alg: Algorithm) -> PathBuf {
    let extension = if is_hmac(alg) {
        "secret"
    } else {
        "private.json"
    };
    directory.join(format!("{}.{extension}", alg.name().to_lowercase()))
}

/// Writes a file that only its owner can read, and that was nobody else's before.
fn write_private(path: &Path, text: &str) -> Result<(), KeysError> {
    let failed = |error| KeysError::File(path.to_owned(), error);
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed)
}

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signing(alg, error) => write!(f, "the {alg} key: {error}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Foreign(path) => {
                write!(
                    f,
                    "{}: not a key that `loadtest prepare` wrote",
                    path.display()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_survive_their_directory_and_private_halves_are_private() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let algs = [Algorithm::Es256, Algorithm::Hs512];
        let trust = Trust::generate(algs.into_iter()).expect("keys");
        let tables = trust.write(directory.path()).expect("written");
        // Writing again replaces, as `prepare` into the same directory does.
        assert_eq!(trust.write(directory.path()).expect("written"), tables);
        let loaded = Trust::load(directory.path(), algs.into_iter()).expect("read");
        for alg in algs {
            let (one, other) = (trust.issuer(alg), loaded.issuer(alg));
            let kid = |issuer: Option<&TestIssuer>| issuer.map(|i| i.key.kid().map(str::to_owned));
            assert_eq!(kid(one), kid(other));
            let mode = fs::metadata(private_path(directory.path(), alg))
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(tables.contains("name = \"loadtest-es256\"") && tables.contains("secret_file = "));
        assert!(
            !tables.contains("private"),
            "the server gets no private key"
        );
        let missing = Trust::load(directory.path(), [Algorithm::Rs256].into_iter());
        assert!(matches!(missing, Err(KeysError::File(..))));
    }
}
