//! `jotd keys rotate`, `retire` and `revoke`: what changes a key ring.

use super::ring::{NewKeyArgs, SealArgs, ShortArgs, relative};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::revoke::{DaemonArgs, revoke_key};
use jotd::clock::Clock;
use jotd::issuer::ring::{RingKey, State};
use jotd::vault::{KeySpec, LockedRing};
use std::path::PathBuf;

/// Give a key ring a new key, and retire the old one in time
///
/// The new key is published at once, and signs after the ring's publish time, when every verifier can have fetched
/// it. The old key then signs no more, and is removed from the published set after the last of its tokens is over.
/// Nothing has to run for that: `jotd issue` and the daemon go by the clock.
///
/// With --emergency the old key is taken to be in other hands: the new one signs at once, the old one is out of
/// the published set, a running daemon is told to revoke what it signed, and tokens live shortly for a while.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Every month, from a timer:
    jotd keys rotate /var/lib/idp/keys

  The private key was seen where it should not be:
    jotd keys rotate /var/lib/idp/keys --emergency")]
pub(super) struct RotateArgs {
    /// Folder of the ring
    ring: PathBuf,
    /// Revoke the key that signs now, instead of letting it retire
    #[arg(long)]
    emergency: bool,
    #[command(flatten)]
    new: NewKeyArgs,
    #[command(flatten)]
    seal: SealArgs,
    #[command(flatten, next_help_heading = "Emergency")]
    then: RevokingArgs,
}

/// Retire a key of a ring
///
/// A key that does not sign yet is taken back, and its predecessor goes on. One that signs can only be retired
/// with --last: nothing signs then, and its tokens stay good until they expire. To exchange it, rotate.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  Call a rotation off before the new key signs:
    jotd keys retire /var/lib/idp/keys KID")]
pub(super) struct RetireArgs {
    /// Folder of the ring
    ring: PathBuf,
    /// Name of the key
    kid: String,
    /// Let nothing sign any more
    #[arg(long)]
    last: bool,
}

/// Revoke keys of a ring
///
/// They leave the published set at once, and a running daemon is told to revoke everything that they signed.
/// Where none is left to sign, a new key is made and signs at once. Tokens live shortly for a while. Repeat it for
/// a key that is revoked already to tell a daemon again.
///
/// Exits with 1 if the ring is changed but the daemon did not take the order.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  One key:
    jotd keys revoke /var/lib/idp/keys KID

  The folder itself was stolen:
    jotd keys revoke /var/lib/idp/keys --all")]
pub(super) struct RevokeArgs {
    /// Folder of the ring
    ring: PathBuf,
    /// Names of the keys
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    kid: Vec<String>,
    /// Every key of the ring that is not out already
    #[arg(long)]
    all: bool,
    /// Make no new key, even if nothing signs then: for when its module or passphrase is out of reach
    #[arg(long)]
    no_new_key: bool,
    #[command(flatten)]
    seal: SealArgs,
    #[command(flatten)]
    then: RevokingArgs,
}

#[derive(Debug, clap::Args)]
struct RevokingArgs {
    #[command(flatten)]
    short: ShortArgs,
    /// Tenant of the tokens to revoke
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// Tell no daemon; those with this ring as keys_dir drop the key all the same
    #[arg(long)]
    no_daemon: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Rotates.
pub(super) fn rotate(args: &RotateArgs) -> Result<Outcome, Failure> {
    let now = Clock::system().now().latest;
    let opener = args.seal.opener()?;
    let spec = args.new.spec()?;
    let mut ring = LockedRing::open(&args.ring)?;
    if args.emergency {
        let signing = ring.ring().signing(now).map(|key| key.kid().to_owned());
        let Some(kid) = signing else {
            return Err(Failure::usage(
                "nothing signs now, so there is nothing to revoke",
            ));
        };
        let short = args.then.short.from(now);
        let new = ring.revoke(&[&kid], Some(&spec), short, &opener, now)?;
        return args.then.tell(&[kid], new.as_deref());
    }
    let (kid, signs_from) = ring.rotate(&spec, &opener, now)?;
    eprintln!("{kid}: published now, signs {}", relative(signs_from, now));
    for old in ring.ring().keys() {
        if let (Some(until), Some(removed)) = (old.signs_until(), old.removed_at())
            && until == signs_from
        {
            eprintln!(
                "{}: signs no more {}, removed {}",
                old.kid().escape_debug(),
                relative(until, now),
                relative(removed, now)
            );
        }
    }
    Ok(Outcome::Done)
}

/// Retires.
pub(super) fn retire(args: &RetireArgs) -> Result<Outcome, Failure> {
    let now = Clock::system().now().latest;
    let mut ring = LockedRing::open(&args.ring)?;
    let was = ring.retire(&args.kid, args.last, now)?;
    let kid = args.kid.escape_debug();
    match was {
        State::Published => eprintln!("{kid}: removed; it never signed"),
        _ => eprintln!("{kid}: signs no more, and nothing else does"),
    }
    Ok(Outcome::Done)
}

/// Revokes.
pub(super) fn revoke(args: &RevokeArgs) -> Result<Outcome, Failure> {
    let now = Clock::system().now().latest;
    let opener = args.seal.opener()?;
    let spec = (!args.no_new_key).then(KeySpec::default);
    let mut ring = LockedRing::open(&args.ring)?;
    let is_in = |key: &&RingKey| {
        let state = ring.ring().state(key, now);
        !matches!(state, State::Revoked | State::Removed)
    };
    let kids: Vec<String> = if args.all {
        let keys = ring.ring().keys().iter().filter(is_in);
        keys.map(|key| key.kid().to_owned()).collect()
    } else {
        args.kid.clone()
    };
    let mut to_revoke = Vec::new();
    for kid in &kids {
        let found = ring.ring().keys().iter().find(|key| key.kid() == kid);
        match found {
            // Said again, so that a daemon that was away is told.
            Some(key) if ring.ring().state(key, now) == State::Revoked => {}
            _ => to_revoke.push(kid.as_str()),
        }
    }
    let new = if to_revoke.is_empty() {
        None
    } else {
        let short = args.then.short.from(now);
        ring.revoke(&to_revoke, spec.as_ref(), short, &opener, now)?
    };
    args.then.tell(&kids, new.as_deref())
}

impl RevokingArgs {
    /// Tells people and the daemon what is out.
    fn tell(&self, kids: &[String], new: Option<&str>) -> Result<Outcome, Failure> {
        for kid in kids {
            eprintln!("{}: out of the published set", kid.escape_debug());
        }
        if let Some(new) = new {
            eprintln!("{new}: signs from now on");
        }
        if self.no_daemon {
            return Ok(Outcome::Done);
        }
        for kid in kids {
            match revoke_key(&self.daemon, &self.tenant, kid) {
                Ok(progress) => eprintln!("{}: {progress} by the daemon", kid.escape_debug()),
                Err(Failure::Usage(why) | Failure::Fault(why)) => {
                    return Err(Failure::fault(format!(
                        "the ring is changed, but no daemon took the order to revoke what {} signed: {why}\n\n  \
                         hint: repeat it with: jotd keys revoke, or: jotd revoke --kid\n  \
                         hint: --no-daemon leaves it at the ring",
                        kid.escape_debug()
                    )));
                }
                Err(closed) => return Err(closed),
            }
        }
        Ok(Outcome::Done)
    }
}
