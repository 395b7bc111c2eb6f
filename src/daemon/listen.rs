//! Opens the doors: listeners passed by the service manager first, our own for the rest.
//!
//! A Unix socket is never taken from a daemon that is alive: a lock file beside it says who owns the path,
//! and what lies there without an owner was left behind by a crash.
#![forbid(unsafe_code)]

use super::Fault;
use crate::config;
use crate::os::{self, FileLock};
use rustix::fs::Gid;
use rustix::net::{AddressFamily, sockopt};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The open listeners. None of them blocks.
pub(super) struct Listeners {
    pub(super) socket: Option<UnixListener>,
    pub(super) http: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
    pub(super) admin_socket: Option<UnixListener>,
    /// Remove the sockets when dropped; a socket that was passed to us stays.
    pub(super) owned_paths: Vec<OwnedPath>,
}

impl Listeners {
    /// Opens what is configured, and uses what was passed.
    ///
    /// # Errors
    /// [`Fault::Listen`], with the way out where there is one.
    pub(super) fn open(listen: &config::Listen, passed: Vec<os::Activated>) -> Result<Self, Fault> {
        let mut listeners = Self {
            socket: None,
            http: None,
            admin: None,
            admin_socket: None,
            owned_paths: Vec::new(),
        };
        for (name, descriptor) in passed {
            listeners.adopt(&name, descriptor)?;
        }
        if listeners.socket.is_none()
            && let Some(socket) = &listen.socket
        {
            let (listener, path) = open_socket(socket)?;
            listeners.socket = Some(listener);
            listeners.owned_paths.push(path);
        }
        if let Some(socket) = &listen.admin_socket {
            let (listener, path) = open_socket(socket)?;
            listeners.admin_socket = Some(listener);
            listeners.owned_paths.push(path);
        }
        if listeners.http.is_none() {
            listeners.http = listen
                .http
                .map(|address| bind("http", address))
                .transpose()?;
        }
        if listeners.admin.is_none() {
            listeners.admin = listen
                .admin
                .map(|address| bind("admin", address))
                .transpose()?;
        }
        listeners.do_not_block()?;
        Ok(listeners)
    }

    /// Gives a passed listener its place: by its name `socket`, `http` or `admin`, else by its kind.
    fn adopt(&mut self, name: &str, descriptor: OwnedFd) -> Result<(), Fault> {
        let family = sockopt::socket_domain(&descriptor);
        let family = family.map_err(|error| fault("a passed listener", error.into()))?;
        let is_unix = family == AddressFamily::UNIX;
        let occupied = match (name, is_unix) {
            ("admin", false) => self.admin.replace(descriptor.into()).is_some(),
            (_, false) => self.http.replace(descriptor.into()).is_some(),
            (_, true) => self.socket.replace(descriptor.into()).is_some(),
        };
        if occupied {
            let why =
                "a second one of its kind; name them with FileDescriptorName= socket, http, admin";
            return Err(fault(
                &format!("the passed listener {name}"),
                io::Error::other(why),
            ));
        }
        Ok(())
    }

    fn do_not_block(&self) -> Result<(), Fault> {
        let socket = self
            .socket
            .as_ref()
            .map(|socket| socket.set_nonblocking(true));
        let http = self.http.as_ref().map(|http| http.set_nonblocking(true));
        let admin = self.admin.as_ref().map(|admin| admin.set_nonblocking(true));
        let admin_socket = self.admin_socket.as_ref();
        let admin_socket = admin_socket.map(|socket| socket.set_nonblocking(true));
        for result in [socket, http, admin, admin_socket].into_iter().flatten() {
            result.map_err(|error| fault("a listener", error))?;
        }
        Ok(())
    }
}

/// A socket's path that is ours while the lock is held.
pub(super) struct OwnedPath {
    path: PathBuf,
    /// Tells our socket from one that someone put in its place.
    inode: u64,
    _lock: FileLock,
}

impl Drop for OwnedPath {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if is_ours {
            // What cannot be removed is found stale by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).map_err(|error| fault(&format!("{what} {address}"), error))
}

fn open_socket(socket: &config::Socket) -> Result<(UnixListener, OwnedPath), Fault> {
    let path = &socket.path;
    let fail = |error| fault(&path.display().to_string(), error);
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(folder).map_err(fail)?;
    }
    let lock = lock(path).map_err(fail)?;
    remove_stale(path).map_err(fail)?;
    // Between `bind` and the line after it, nobody but us may connect: connecting takes the permission to
    // write, which every usual umask takes from group and others.
    let listener = UnixListener::bind(path).map_err(fail)?;
    if let Some(group) = socket.group {
        let group = Some(Gid::from_raw(group));
        rustix::fs::chown(path, None, group).map_err(|error| fail(error.into()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(socket.mode)).map_err(fail)?;
    let owned = OwnedPath {
        path: path.clone(),
        inode: fs::symlink_metadata(path).map_err(fail)?.ino(),
        _lock: lock,
    };
    Ok((listener, owned))
}

/// Takes the lock beside a socket, which the kernel takes back when the process ends, however it ends.
fn lock(socket: &Path) -> io::Result<FileLock> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    FileLock::take(file)?.ok_or_else(|| {
        io::Error::other(
            "another jotd serves this socket; stop it, or give this one another `socket`",
        )
    })
}

/// Removes a socket that nobody listens on any more, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::other(
            "something that is no socket lies there; move it away",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::Error::other("another program listens there")),
        Err(error) => Err(error),
    }
}

fn fault(what: &str, cause: io::Error) -> Fault {
    Fault::Listen {
        what: what.to_owned(),
        cause,
    }
}
