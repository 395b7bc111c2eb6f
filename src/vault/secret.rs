//! Where a secret is to be had: a file, a variable of the environment, or a credential of the service manager
//! (systemd.exec(5), `LoadCredential=`). The secret itself is never an argument or a setting, where `ps` or a
//! repository would show it.

use super::VaultError;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::Zeroizing;

/// How the environment is asked for a variable. This room does not read it by itself.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 4096;

/// The variable in which the service manager says where credentials are.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file that others cannot read.
    File(PathBuf),
    /// In a variable of the environment.
    Environment(Box<str>),
    /// In a credential that the service manager passed.
    Credential(Box<str>),
}

impl FromStr for SecretSource {
    type Err = &'static str;

    /// `env:NAME`, `credential:NAME`, `file:PATH`, or a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("env:") {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            return match name {
                "" => Err("env: wants the name of a variable"),
                name if name.bytes().all(is_name) => Ok(Self::Environment(name.into())),
                _ => Err("env: wants a name of letters, digits and underscores"),
            };
        }
        if let Some(name) = text.strip_prefix("credential:") {
            // It is joined to a folder's path, and must not lead elsewhere.
            return match name {
                "" => Err("credential: wants the name of a credential"),
                name if name.starts_with('.') || name.contains('/') => {
                    Err("credential: wants a name, not a path")
                }
                name => Ok(Self::Credential(name.into())),
            };
        }
        match text.strip_prefix("file:").unwrap_or(text) {
            "" => Err("wants a path, env:NAME or credential:NAME"),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl SecretSource {
    /// The secret. One line break at the end of what else is text is the editor's and not the secret's.
    ///
    /// # Errors
    /// [`VaultError::Secret`], which names the source and never what was in it.
    pub fn read(&self, environment: Environment<'_>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let fault = |what: &str| VaultError::Secret(format!("{self} {what}"));
        let mut secret = match self {
            Self::File(path) => read_file(path).map_err(|what| fault(&what))?,
            Self::Environment(name) => {
                let value = environment(name).ok_or_else(|| fault("is not set"))?;
                Zeroizing::new(value.into_vec())
            }
            Self::Credential(name) => {
                let folder = environment(CREDENTIALS_DIRECTORY).ok_or_else(|| {
                    fault("is not there: $CREDENTIALS_DIRECTORY is not set; see LoadCredential=")
                })?;
                let path = PathBuf::from(folder).join(&**name);
                read_file(&path).map_err(|what| fault(&what))?
            }
        };
        if secret.len() > SECRET_BYTES_MAX {
            return Err(fault("is longer than 4096 bytes"));
        }
        let length = text_length(&secret);
        secret.truncate(length);
        if secret.is_empty() {
            return Err(fault("is empty"));
        }
        Ok(secret)
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(format!(
            "lets others read it (mode {mode:04o}); run: chmod o= {}",
            path.display()
        ));
    }
    // The room is reserved beforehand: a growing buffer would leave copies behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    let limit = u64::try_from(SECRET_BYTES_MAX + 1).unwrap_or(u64::MAX);
    file.take(limit)
        .read_to_end(&mut secret)
        .map_err(unreadable)?;
    Ok(secret)
}

fn text_length(bytes: &[u8]) -> usize {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    // Random bytes may well end in 0x0a.
    if text.iter().all(is_text) {
        text.len()
    } else {
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str, environment: Environment<'_>) -> Result<Vec<u8>, String> {
        let source: SecretSource = source.parse().map_err(str::to_owned)?;
        let secret = source.read(environment);
        secret
            .map(|secret| secret.to_vec())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_comes_from_a_file_a_variable_or_a_credential() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pin");
        std::fs::write(&path, "1234\n").expect("written");
        let private = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, private).expect("set");
        let place = folder.path().as_os_str().to_owned();
        let environment = move |name: &str| match name {
            "PIN" => Some("5678".into()),
            "NOTHING" => Some("".into()),
            CREDENTIALS_DIRECTORY => Some(place.clone()),
            _ => None,
        };
        let path = path.display().to_string();
        for (source, secret) in [
            (path.clone(), "1234"),
            (format!("file:{path}"), "1234"),
            ("env:PIN".to_owned(), "5678"),
            ("credential:pin".to_owned(), "1234"),
        ] {
            assert_eq!(
                read(&source, &environment).as_deref(),
                Ok(secret.as_bytes())
            );
        }
        for (source, what) in [
            ("env:OTHER", "is not set"),
            ("env:NOTHING", "is empty"),
            ("env:", "wants"),
            ("env:A=B", "letters"),
            ("credential:other", "cannot be read"),
            ("credential:../pin", "not a path"),
            ("credential:", "wants"),
            ("", "wants"),
        ] {
            let said = read(source, &environment).expect_err("refused");
            assert!(said.contains(what), "{source}: {said}");
        }
        let said = read("credential:pin", &|_| None).expect_err("no service manager");
        assert!(said.contains("LoadCredential="), "{said}");
    }

    #[test]
    fn a_file_that_all_may_read_is_no_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pin");
        std::fs::write(&path, "hunter2").expect("written");
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, open).expect("set");
        let said = read(&path.display().to_string(), &|_| None).expect_err("refused");
        assert!(
            said.contains("chmod o=") && !said.contains("hunter2"),
            "{said}"
        );
    }
}
