//! What the stories share: a daemon that can revoke, and the ways to ask it.

use crate::daemon_support::{PATIENCE, World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub(crate) const SECRET: &str = "c2f1b0a6e9d84f7ab3c5d6e7f8091a2b";

/// A world whose daemon can revoke, over TCP with the secret and on the admin socket.
pub(crate) fn world() -> World {
    let world = World::new();
    write_private(&world.path("admin.secret"), &format!("{SECRET}\n"));
    world.write_config(&world.default_config().replace(
        "[listen]\n",
        "[revocation]\nstate_dir = \"state\"\ntoken_file = \"admin.secret\"\n\n\
         [listen]\nadmin_socket = \"run/admin.sock\"\n",
    ));
    world
}

pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("writable");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).expect("ours");
}

/// One request over any stream, with these further headers: status and body.
pub(crate) fn request(
    mut stream: impl Read + Write,
    head: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a whole reply");
    let status = reply.get(9..12).and_then(|status| status.parse().ok());
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status line"), body.to_owned())
}

/// A request to the admin listener, with the secret.
pub(crate) fn admin(address: SocketAddr, head: &str, body: &str) -> (u16, Value) {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let headers = format!("authorization: Bearer {SECRET}\r\n");
    let (status, body) = request(stream, head, &headers, body);
    (
        status,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

pub(crate) fn revoke(address: SocketAddr, order: &Value) -> Value {
    let (status, receipt) = admin(
        address,
        "POST /v1/revocations?wait=applied",
        &order.to_string(),
    );
    assert_eq!(status, 200, "{receipt}");
    receipt
}

/// RFC 7009.
pub(crate) fn revoke_token(address: SocketAddr, form: &str) -> (u16, Value) {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let headers = format!(
        "authorization: Bearer {SECRET}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    );
    let (status, body) = request(stream, "POST /revoke", &headers, form);
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// A child that is killed when the test ends, if it still runs.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn serve(world: &World) -> (Self, std::sync::mpsc::Receiver<String>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
            .arg("serve")
            .arg("--config")
            .arg(world.config_path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (lines, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = lines.send(line);
            }
        });
        (Self(child), log)
    }

    pub(crate) fn kill(mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::KILL).expect("it runs");
        self.0.wait().expect("a child of ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `jotd revoke` with these arguments, at the admin socket, with this on its standard input.
pub(crate) fn jotd_revoke(world: &World, arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
        .arg("revoke")
        .args(arguments)
        .env("JOTD_LISTEN__ADMIN_SOCKET", world.path("run/admin.sock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that reads nothing may have ended already.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(stdin.as_bytes());
    child.wait_with_output().expect("it ends")
}

pub(crate) fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{:?}\n{out}\n{err}", output.status.code())
}
