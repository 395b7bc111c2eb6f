//! Revokes a token that is at hand: the daemon's RFC 7009 endpoint verifies it first.

use super::daemon::{Ask, DaemonArgs};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;
use jotd::limits::TOKEN_BYTES_MAX;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

pub(super) fn revoke(path: &Path, daemon: &DaemonArgs, as_json: bool) -> Result<Outcome, Failure> {
    let read = read(path).map_err(|error| Failure::file(path, error))?;
    let token = read.trim_ascii();
    // Of a token, nothing needs escaping; what does is none, and is refused where it cannot do harm.
    if token.is_empty()
        || token
            .iter()
            .any(|byte| !byte.is_ascii_alphanumeric() && !b"-_.".contains(byte))
    {
        return Err(Failure::file(
            path,
            "holds no token in compact serialization",
        ));
    }
    let mut body = Zeroizing::new(b"token=".to_vec());
    body.extend_from_slice(token);
    daemon.ask(Ask::form("/revoke", body))?.object()?;
    if as_json {
        output::print("{\"revoked\":true}\n")?;
    } else {
        output::print("the token is good for nothing here: it was revoked, or never was good\n")?;
    }
    Ok(Outcome::Done)
}

/// A token's worth of white space around it is more than any editor leaves.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = 2 * TOKEN_BYTES_MAX as u64;
    let mut bytes = Zeroizing::new(Vec::new());
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
