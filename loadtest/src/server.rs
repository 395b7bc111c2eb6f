//! The servers of a run: a jotd with a generated configuration, and the echo, each a process of its own
//! on the same CPUs.
#![forbid(unsafe_code)]

use crate::cpu::CpuList;
use crate::keys::{KeysError, Trust, quoted};
use crate::options::{Endpoint, Place, Transport};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time a server gets to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server. It is stopped when dropped.
pub(crate) struct Server {
    child: Child,
    endpoint: Endpoint,
}

/// A server did not start.
#[derive(Debug)]
pub(crate) struct ServerError(pub(crate) String);

impl Server {
    /// Starts a jotd that trusts these issuers, in a directory of its own.
    ///
    /// # Errors
    /// [`ServerError`] with what it last said.
    pub(crate) fn jotd(
        place: &Place,
        cpus: &CpuList,
        trust: &Trust,
        directory: &Path,
        transport: Transport,
    ) -> Result<Self, ServerError> {
        let binary = jotd_binary(place)?;
        let socket = directory.join("jotd.sock");
        let (http, endpoint) = match transport {
            Transport::Uds => ("off".to_owned(), Endpoint::Unix(socket.clone())),
            _ => {
                let address = free_address()?;
                (address.clone(), Endpoint::Tcp(address))
            }
        };
        let layout = Layout {
            socket: &socket,
            http: &http,
            cpus,
        };
        let path = write_configuration(directory, trust, &layout)
            .map_err(|error| ServerError(error.to_string()))?;
        let program = vec![
            binary.into(),
            "serve".into(),
            "--config".into(),
            path.into(),
        ];
        Self::start(program, cpus, &directory.join("jotd.log"), endpoint)
    }

    /// Starts an echo that answers with `reply`, or with each frame as it came.
    ///
    /// # Errors
    /// [`ServerError`] with what it last said.
    pub(crate) fn echo(
        cpus: &CpuList,
        directory: &Path,
        transport: Transport,
        reply: Option<&[u8]>,
    ) -> Result<Self, ServerError> {
        let endpoint = match transport {
            Transport::Uds => Endpoint::Unix(directory.join("echo.sock")),
            _ => Endpoint::Tcp(free_address()?),
        };
        let mut program: Vec<OsString> = vec![
            this_binary()?.into(),
            "echo".into(),
            "--transport".into(),
            transport.name().into(),
            "--listen".into(),
            endpoint.to_string().into(),
        ];
        if let Some(reply) = reply {
            let path = directory.join("echo.reply");
            fs::write(&path, reply).map_err(failed("writing the echo's reply"))?;
            program.extend(["--reply".into(), path.into()]);
        } else {
            program.push("--full-echo".into());
        }
        Self::start(program, cpus, &directory.join("echo.log"), endpoint)
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn start(
        program: Vec<OsString>,
        cpus: &CpuList,
        log: &Path,
        endpoint: Endpoint,
    ) -> Result<Self, ServerError> {
        let log_file = File::create(log).map_err(failed("making a log file"))?;
        let child = Command::new(this_binary()?)
            .args(["confine", "--cpus", &cpus.to_string(), "--"])
            .args(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file)
            .spawn()
            .map_err(failed("starting a server"))?;
        let mut server = Self { child, endpoint };
        server.wait_until_it_listens(log)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, log: &Path) -> Result<(), ServerError> {
        let start = Instant::now();
        let said = || fs::read_to_string(log).unwrap_or_default();
        while start.elapsed() < PATIENCE {
            if listens(&self.endpoint) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(ServerError(format!(
                    "the server ended with {status}:\n{}",
                    said()
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(ServerError(format!(
            "the server does not listen on {} after {PATIENCE:?}:\n{}",
            self.endpoint,
            said()
        )))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid
            && self.is_running()
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !self.is_running() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Becomes another program, on these CPUs only, which ends when whoever started this process does: a load
/// test that is killed leaves no server behind.
pub(crate) fn confine(cpus: &CpuList, program: &[OsString]) -> io::Error {
    let prepared = cpus.confine_thread().and_then(|()| {
        let signal = Some(rustix::process::Signal::TERM);
        Ok(rustix::process::set_parent_process_death_signal(signal)?)
    });
    match (prepared, program.split_first()) {
        (Err(error), _) => error,
        (Ok(()), None) => io::Error::other("no program was named"),
        (Ok(()), Some((name, arguments))) => Command::new(name).args(arguments).exec(),
    }
}

/// Where a generated configuration listens and runs.
pub(crate) struct Layout<'a> {
    /// The Unix socket.
    pub(crate) socket: &'a Path,
    /// `HOST:PORT`, or `off`.
    pub(crate) http: &'a str,
    /// CPUs of transport threads and workers alike.
    pub(crate) cpus: &'a CpuList,
}

/// Writes keys and `jotd.toml`, and returns the latter's path.
///
/// Queues are long and deadlines far: a load test wants to see how late an answer is, while a daemon that
/// sheds load early, as it should, would hide that.
pub(crate) fn write_configuration(
    directory: &Path,
    trust: &Trust,
    layout: &Layout<'_>,
) -> Result<PathBuf, KeysError> {
    let issuers = trust.write(directory)?;
    let path = directory.join("jotd.toml");
    let socket = quoted(&layout.socket.to_string_lossy());
    let http = quoted(layout.http);
    let cpus = match layout.cpus.as_slice() {
        [] => quoted("auto"),
        _ => quoted(&layout.cpus.to_string()),
    };
    let text = format!(
        "# Written by loadtest. Its keys are for load tests only.\n\
         [threads]\nio = {cpus}\nverify = {cpus}\n\n\
         [listen]\nsocket = {socket}\nsocket_mode = \"0600\"\nhttp = {http}\nadmin = \"off\"\n\n\
         [limits]\nqueue_ms = 10000\ndeadline_ms = 60000\n\n\
         [log]\nlevel = \"warn\"\n{issuers}"
    );
    fs::write(&path, text).map_err(|error| KeysError::File(path.clone(), error))?;
    Ok(path)
}

fn jotd_binary(place: &Place) -> Result<PathBuf, ServerError> {
    if let Some(path) = &place.jotd {
        return Ok(path.clone());
    }
    let path = this_binary()?.with_file_name("jotd");
    if path.exists() {
        return Ok(path);
    }
    Err(ServerError(format!(
        "there is no {}: build it with `cargo build --release`, or name one with --jotd",
        path.display()
    )))
}

fn this_binary() -> Result<PathBuf, ServerError> {
    std::env::current_exe().map_err(failed("finding this binary"))
}

/// An address that is free now. Another process may take it first; then the server says so and ends.
fn free_address() -> Result<String, ServerError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.to_string())
        .map_err(failed("finding a free port"))
}

fn listens(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Unix(path) => UnixStream::connect(path).is_ok(),
        Endpoint::Tcp(address) => TcpStream::connect(address).is_ok(),
    }
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> ServerError {
    move |error| ServerError(format!("{doing}: {error}"))
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
