//! `jotd health`: asks a running daemon whether it can answer, the way a container or systemd would.

use super::exit::{Failure, Outcome};
use jotd::clock::since_boot;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Ask a running daemon whether it is ready
///
/// Asks the admin listener for /readyz, or with --socket puts a question to the daemon itself and waits for
/// any verdict. Exits with 0 if the daemon is ready and 1 if it is not, or does not say so in time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  In a container image:
    HEALTHCHECK CMD [\"jotd\", \"health\"]

  Through the Unix socket, the way callers reach it:
    jotd health --socket /run/jotd/jotd.sock")]
pub(super) struct Args {
    /// Address of the admin listener
    #[arg(
        long,
        value_name = "ADDR",
        env = "JOTD_LISTEN__ADMIN",
        hide_env_values = true,
        default_value = "127.0.0.1:8485"
    )]
    admin: SocketAddr,
    /// Path of the daemon's Unix socket, to be asked instead
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// How long to wait for an answer
    #[arg(long, value_name = "MS", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout_ms: u64,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let deadline = since_boot() + Duration::from_millis(args.timeout_ms);
    let status = match &args.socket {
        Some(path) => ask_socket(path, deadline),
        None => ask_admin(args.admin, deadline),
    };
    let trouble = match status {
        Ok(200) => None,
        Ok(status) => Some(format!("it answered with HTTP status {status}")),
        Err(error) if is_timeout(&error) => Some("it did not answer in time".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    match trouble {
        None => eprintln!("ready"),
        Some(trouble) => {
            let place = match &args.socket {
                Some(path) => path.display().to_string(),
                None => args.admin.to_string(),
            };
            eprintln!("not ready: {place}: {trouble}");
            return Ok(Outcome::Refused);
        }
    }
    Ok(Outcome::Done)
}

fn ask_admin(address: SocketAddr, deadline: Duration) -> io::Result<u16> {
    let stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    ask(&stream, request.as_bytes(), || {
        stream.set_read_timeout(Some(left(deadline)?))
    })
}

fn ask_socket(path: &Path, deadline: Duration) -> io::Result<u16> {
    let stream = connect_unix(path)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    // Any verdict will do, and this one costs the daemon next to nothing: it is no token at all.
    let body = r#"{"token":"health"}"#;
    let request = format!(
        "POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(&stream, request.as_bytes(), || {
        stream.set_read_timeout(Some(left(deadline)?))
    })
}

/// Connects without waiting: a daemon whose backlog is full is not ready.
fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::connect(&socket, &address)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Sends a request and reads as much of the answer as holds its status.
fn ask<S>(
    mut stream: S,
    request: &[u8],
    renew_read_timeout: impl Fn() -> io::Result<()>,
) -> io::Result<u16>
where
    S: Read + Write,
{
    /// `HTTP/1.1 200`
    const STATUS_BYTES: usize = 12;
    stream.write_all(request)?;
    let mut head = [0; STATUS_BYTES];
    let mut filled = 0;
    while filled < STATUS_BYTES {
        // One timeout a read would let an answer that drips in go on for ever.
        renew_read_timeout()?;
        match stream.read(&mut head[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => filled += bytes,
        }
    }
    status(&head).ok_or_else(|| io::Error::other("what answers there does not speak HTTP"))
}

fn status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

fn left(deadline: Duration) -> io::Result<Duration> {
    deadline
        .checked_sub(since_boot())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 200"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        assert_eq!(status(b"HTTP/2.0 200"), None);
        assert_eq!(status(b"SSH-2.0-Open"), None);
        assert_eq!(status(b"HTTP/1.1 2\xff0"), None);
    }
}
