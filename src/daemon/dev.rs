//! A daemon to play with: no configuration, a key that lives as long as the process, and a token to ask it
//! about. Never for production, where nobody may hold the issuer's key and the verifier at once.
#![forbid(unsafe_code)]

use super::{Daemon, Ended, Fault, run};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::issuer::{Claims, SigningKey};
use crate::jose::Algorithm;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// `iss` of the tokens that the development issuer makes.
const ISSUER: &str = "https://dev.jotd.invalid";

/// `aud` of the tokens that the development issuer makes.
const AUDIENCE: &str = "dev";

/// Life of the printed token, in seconds.
const LIFETIME_SECONDS: i64 = 3600;

/// What a newcomer needs to ask the first question.
#[derive(Clone, Debug)]
pub struct Dev {
    /// A token that this daemon finds valid for an hour. It opens nothing but this daemon.
    pub token: String,
    /// Its `iss`.
    pub issuer: &'static str,
    /// Its `aud`.
    pub audience: &'static str,
    /// Its life, in seconds.
    pub lifetime_seconds: i64,
    /// The Unix socket.
    pub socket: PathBuf,
    /// HTTP and gRPC.
    pub http: SocketAddr,
    /// Metrics and health.
    pub admin: Option<SocketAddr>,
    /// A command line to paste.
    pub curl: String,
}

/// Runs a development daemon until SIGTERM or SIGINT. `on_ready` is told what to print.
///
/// # Errors
/// [`Fault`] where it could not start.
pub fn dev(on_ready: impl FnOnce(&Dev)) -> Result<Ended, Fault> {
    let key = SigningKey::generate(Algorithm::Es256, None)?.with_kid(Some("dev"))?;
    let (config, socket) = configure(&key)?;
    let token = key.mint(&claims(), Clock::system().now().latest)?;
    let again = config.clone();
    let load = Box::new(move || Ok(again.clone()));
    let ended = run(config, load, |daemon: &Daemon| {
        let addresses = daemon.addresses();
        let unspecified = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let http = addresses.http.unwrap_or(unspecified);
        on_ready(&Dev {
            curl: format!(
                "curl -s http://{http}/v1/verify -H 'content-type: application/json' -d \
                 '{{\"token\":\"{token}\",\"want\":[\"claims\"]}}'"
            ),
            token,
            issuer: ISSUER,
            audience: AUDIENCE,
            lifetime_seconds: LIFETIME_SECONDS,
            socket: socket.path.clone(),
            http,
            admin: addresses.admin,
        });
    });
    drop(socket.folder);
    ended
}

fn claims() -> Claims {
    Claims {
        issuer: Some(ISSUER.to_owned()),
        subject: Some("developer".to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        lifetime_seconds: Some(LIFETIME_SECONDS),
        ..Claims::default()
    }
}

/// A configuration as an operator would write it, so that development runs what production runs.
fn configure(key: &SigningKey) -> Result<(Config, Socket), Fault> {
    let socket = Socket::choose()?;
    let jwk = key.public_jwk().unwrap_or_default();
    let text = format!(
        r#"
        [listen]
        socket = "{}"
        socket_mode = "0600"
        http = "{}"
        admin = "{}"

        [[issuer]]
        name = "dev"
        issuer = "{ISSUER}"
        jwks = '''{{"keys":[{jwk}]}}'''
        audiences = ["{AUDIENCE}"]
        algorithms = ["ES256"]
        "#,
        socket.path.display(),
        free(8484),
        free(8485),
    );
    let config = config::parse(&text, Path::new("jotd dev"), [])?;
    Ok((config, socket))
}

/// The usual port, or any where that is taken.
fn free(port: u16) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

struct Socket {
    path: PathBuf,
    folder: Option<PrivateFolder>,
}

impl Socket {
    /// The usual path where we may have it, or one in a folder that nobody else can enter.
    fn choose() -> Result<Self, Fault> {
        let usual = Path::new("/run/jotd");
        let writable = std::fs::create_dir_all(usual).is_ok()
            && rustix::fs::access(usual, rustix::fs::Access::WRITE_OK).is_ok();
        let is_free = std::os::unix::net::UnixStream::connect(usual.join("jotd.sock")).is_err();
        if writable && is_free {
            return Ok(Self {
                path: usual.join("jotd.sock"),
                folder: None,
            });
        }
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = base.filter(|base| base.is_dir());
        let base = base.unwrap_or_else(std::env::temp_dir);
        let folder = base.join(format!("jotd-dev-{}", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|cause| Fault::Listen {
            what: folder.display().to_string(),
            cause,
        })?;
        Ok(Self {
            path: folder.join("jotd.sock"),
            folder: Some(PrivateFolder(folder)),
        })
    }
}

/// Removed with what is left in it.
struct PrivateFolder(PathBuf);

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // A folder in a temporary place that stays behind does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
