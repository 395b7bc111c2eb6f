//! Turns names and values into ids, under a secret of the deployment.
//!
//! A keyed hash, so that whoever reads a log or a database learns neither who is meant nor can test a guess; and
//! HMAC-SHA-256 over netstrings, so that any service can compute one with the tools it has.

use super::{Member, Members, RecordKey, TenantTag};
use aws_lc_rs::hmac::{self, Context, HMAC_SHA256, Key};

/// The secret under which ids are made. The same for all who share a log.
#[derive(Clone)]
pub struct IdKey(Key);

impl IdKey {
    /// Takes the secret of the deployment; empty where none is configured.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, secret))
    }

    /// The tenant's tag: of HMAC-SHA-256 over the netstrings `tenant` and its name, the first four bytes.
    #[must_use]
    pub fn tenant_tag(&self, tenant: &str) -> TenantTag {
        let mut context = Context::with_key(&self.0);
        netstring(&mut context, b"tenant");
        netstring(&mut context, tenant.as_bytes());
        let [a, b, c, d, ..] = first_bytes(context);
        TenantTag(u32::from_be_bytes([a, b, c, d]))
    }

    /// What all ids of a tenant begin with, absorbed once.
    #[must_use]
    pub fn tenant(&self, tenant: &str) -> TenantIds {
        let mut context = Context::with_key(&self.0);
        netstring(&mut context, tenant.as_bytes());
        let tag = self.tenant_tag(tenant);
        TenantIds {
            everything: RecordKey {
                tenant: tag,
                members: Members::NONE,
                id: first_bytes(context.clone()),
            },
            absorbed: context,
        }
    }
}

/// Makes ids of one tenant's tokens.
#[derive(Clone)]
pub struct TenantIds {
    everything: RecordKey,
    absorbed: Context,
}

impl TenantIds {
    /// The tenant's tag.
    #[must_use]
    pub fn tag(&self) -> TenantTag {
        self.everything.tenant
    }

    /// The key of the record of the whole tenant.
    #[must_use]
    pub fn everything(&self) -> RecordKey {
        self.everything
    }

    /// The key of the record that names these members with these values; `None` where `value` has none for a
    /// member, and such a record therefore says nothing about the token.
    ///
    /// The id is, of HMAC-SHA-256 over netstrings, the first 16 bytes: the tenant, then each member's name and
    /// value in the order of [`Member::ALL`].
    #[must_use]
    pub fn key<'v>(
        &self,
        members: Members,
        mut value: impl FnMut(Member) -> Option<&'v [u8]>,
    ) -> Option<RecordKey> {
        let mut context = self.absorbed.clone();
        for member in members.iter() {
            let value = value(member)?;
            netstring(&mut context, member.name().as_bytes());
            netstring(&mut context, value);
        }
        Some(RecordKey {
            tenant: self.tag(),
            members,
            id: first_bytes(context),
        })
    }
}

/// `length:bytes,`: no two lists of values are written alike.
fn netstring(context: &mut Context, bytes: &[u8]) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = bytes.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    context.update(&digits[at..]);
    context.update(b":");
    context.update(bytes);
    context.update(b",");
}

fn first_bytes(context: Context) -> [u8; 16] {
    let tag = context.sign();
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(hmac::Tag::as_ref(&tag))
        .for_each(|(byte, of_tag)| *byte = *of_tag);
    bytes
}

impl std::fmt::Debug for IdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdKey")
    }
}

impl std::fmt::Debug for TenantIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantIds({:08x})", self.tag().0)
    }
}
