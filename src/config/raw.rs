//! The settings as they are written: the one list of what can be set, with types and defaults.
//! `docs/config.schema.json` is made from it, and `docs/configuration.md` is held against it.
#![forbid(unsafe_code)]

use super::choice::{
    Address, AnyOr, Ceiling, CpuList, FeedWord, InlineJwks, LogFormat, LogLevel, ReplayWord,
    StalenessWord, Types,
};
use super::preset::Preset;
use super::section::section;
use super::setting::{Count, FilePath, List, Mode, Name, OneOrMany, Text};
use super::tenancy::{ClaimValues, TenantName};
use crate::cache::{CAPACITY_DEFAULT, SHARDS_DEFAULT};
use crate::engine::{QUEUE_COST_NS_DEFAULT, TABLE_MIB_DEFAULT};
use crate::jose::{Algorithm, ContentEncryption, KeyManagement};
use crate::limits::{
    BATCH_TOKENS_DEFAULT, BATCH_TOKENS_MAX, LEEWAY_SECONDS_DEFAULT, LEEWAY_SECONDS_MAX,
    TOKEN_BYTES_DEFAULT, TOKEN_BYTES_MAX,
};
use crate::replay::TENANT_USES_DEFAULT;
use crate::revocation::TENANT_RECORDS_DEFAULT;
use crate::upstream::{
    FETCH_TIMEOUT_MS_DEFAULT, KEY_WAIT_MS_DEFAULT, KEYS_MAX_AGE_SECONDS_DEFAULT,
    REFRESH_SECONDS_DEFAULT,
};

/// What the keys of logs begin with.
const PREFIX_DEFAULT: &str = "rev:{jotd}";

const DAY_SECONDS: i64 = 86_400;
const YEAR_SECONDS: i64 = 366 * DAY_SECONDS;

section! {
    /// The configuration of jotd.
    struct Document {
        /// Which CPUs do what.
        section threads: Threads;
        /// How tokens are gathered into batches.
        section batch: Batch;
        /// The cache of tokens already verified.
        section cache: Cache;
        /// Which code verifies signatures, and the memory it may have.
        section kernels: Kernels;
        /// Where callers come in.
        section listen: Listen;
        /// Bounds on what callers may send and keep open.
        section limits: Limits;
        /// What is logged, and how.
        section log: Log;
        /// Revoking tokens before they expire.
        section revocation: Revocation;
        /// What is kept of keys that were fetched.
        section keys: Keys;
        /// A trusted issuer.
        sections issuer: Issuer;
        /// A named set of further demands that a caller may ask for. It narrows, and never widens.
        sections policy: RequestPolicy;
        /// Who may ask on the Unix socket. Without any, everyone whom the socket's permissions let in.
        sections peer: Peer;
    }
}

section! {
    /// Which CPUs do what.
    struct Threads {
        /// CPUs for the threads that read and write connections, one thread each.
        default io: CpuList = "auto";
        /// CPUs for the workers that verify, one pinned worker each.
        default verify: CpuList = "auto";
    }
}

section! {
    /// How tokens are gathered into batches.
    struct Batch {
        /// Most tokens a worker verifies before it looks at its mailbox again.
        default max_tokens: Count<1, { BATCH_TOKENS_MAX as i64 }> = BATCH_TOKENS_DEFAULT as i64;
        /// How long a worker waits for company, in microseconds. 0 takes what has queued and never waits.
        default max_wait_us: Count<0, 10_000> = 0;
    }
}

section! {
    /// The cache of tokens already verified.
    struct Cache {
        /// Most tokens remembered.
        default capacity: Count<64, 268_435_456> = CAPACITY_DEFAULT as i64;
        /// Number of independently locked parts, a power of two.
        default shards: Count<1, 4096> = SHARDS_DEFAULT as i64;
        /// Most of the capacity that one tenant may hold, in percent. Unset: 100 with one tenant, else 50.
        optional share_percent_max: Count<1, 100>;
    }
}

section! {
    /// Which code verifies signatures, and the memory it may have.
    struct Kernels {
        /// The fastest kernels that may be used: those of this CPU, or no more than "portable" ones, or "aws-lc"
        /// alone. The environment variable JOTD_KERNELS goes before it.
        default ceiling: Ceiling = "auto";
        /// Most memory for the tables of keys in use, in MiB. A table takes 256 KiB to 2 MiB; without any, aws-lc
        /// verifies elliptic-curve signatures.
        default table_mib_max: Count<0, 65_536> = TABLE_MIB_DEFAULT as i64;
    }
}

section! {
    /// Where callers come in.
    struct Listen {
        /// Path of the Unix socket, or "off".
        default socket: FilePath = "/run/jotd/jotd.sock";
        /// Permissions of the Unix socket, in octal.
        default socket_mode: Mode = "0660";
        /// Group that owns the Unix socket, by name or number. Unset: the group jotd runs as.
        optional socket_group: Name;
        /// Address for HTTP/1.1, HTTP/2 and gRPC, or "off".
        default http: Address = "127.0.0.1:8484";
        /// Address for metrics, health and reload, or "off".
        default admin: Address = "127.0.0.1:8485";
        /// Path of a Unix socket for the same, or "off". Whom its permissions let in may reload and revoke.
        default admin_socket: FilePath = "off";
        /// Permissions of the admin's Unix socket, in octal.
        default admin_socket_mode: Mode = "0600";
        /// Lets `http` listen beyond loopback without TLS: tokens then cross the network in clear.
        default allow_plaintext: bool = false;
        /// Lets `admin` listen beyond loopback: whoever reaches it may read metrics and reload.
        default allow_remote_admin: bool = false;
        /// Names by which `admin` may be called to reload, besides loopback addresses and `localhost`.
        optional admin_hosts: List<Text>;
        /// Whether `/readyz` says no until every issuer's keys have arrived.
        default keys_required: bool = false;
        /// TLS for `http`.
        section tls: Tls;
    }
}

section! {
    /// TLS for `http`.
    struct Tls {
        /// The server's certificate chain, in PEM.
        optional cert_file: FilePath;
        /// The server's private key, in PEM.
        optional key_file: FilePath;
        /// Certificates of authorities, in PEM, one of which must have issued each client's certificate.
        optional client_ca_file: FilePath;
    }
}

section! {
    /// Bounds on what callers may send and keep open.
    struct Limits {
        /// Most open connections over all transports.
        default connections_max: Count<1, 1_000_000> = 10_000;
        /// Most open connections of one peer: a Unix user, or an address.
        default connections_per_peer_max: Count<1, 1_000_000> = 4_096;
        /// Most calls that one connection may have in flight.
        default calls_in_flight_max: Count<1, 65_536> = 128;
        /// Time for a hello, a TLS handshake or a request head, in milliseconds.
        default handshake_ms: Count<10, 60_000> = 5_000;
        /// Time to finish a frame or body once begun, and to take a reply, in milliseconds.
        default stall_ms: Count<10, 600_000> = 10_000;
        /// Time an idle connection is kept, in milliseconds.
        default idle_ms: Count<100, 86_400_000> = 60_000;
        /// Largest HTTP body, in bytes.
        default body_bytes_max: Count<1_024, 67_108_864> = 4_194_304;
        /// Longest compact token, in bytes.
        default token_bytes_max: Count<256, { TOKEN_BYTES_MAX as i64 }> = TOKEN_BYTES_DEFAULT as i64;
        /// Deadline of a question that names none, in milliseconds.
        default deadline_ms: Count<1, 60_000> = 1_000;
        /// Most work queued for one worker, in milliseconds of its time, before it answers `overloaded`.
        default queue_ms: Count<1, 10_000> = (QUEUE_COST_NS_DEFAULT / 1_000_000) as i64;
        /// Most single-use tokens of one tenant that are remembered as used; while there are as many, others are
        /// `unavailable`.
        default single_use_tokens_max: Count<1_024, 100_000_000> = TENANT_USES_DEFAULT as i64;
        /// Time that questions in flight get to be answered when jotd stops, in milliseconds.
        default drain_ms: Count<0, 600_000> = 10_000;
    }
}

section! {
    /// What is logged, and how.
    struct Log {
        /// The least level that is logged.
        default level: LogLevel = "info";
        /// How lines look.
        default format: LogFormat = "human";
    }
}

section! {
    /// Revoking tokens before they expire.
    struct Revocation {
        /// Folder of this host's log of revocations, made where there is none; two daemons need one each. Unset:
        /// nothing can be revoked, or /var/lib/jotd where there is a log elsewhere.
        optional state_dir: FilePath;
        /// The address of the one log elsewhere, in Redis or Valkey, that daemons share; short for a
        /// [[revocation.log]] with nothing but an address.
        optional redis: Text;
        /// A file with the secret that callers of the admin listener bear to revoke.
        optional token_file: FilePath;
        /// A file with the secret under which ids of records are made; the same for all who share logs. Unset: the
        /// empty secret.
        optional id_secret_file: FilePath;
        /// What to say of tokens when orders may have been missed: "strict" makes them `unavailable`, { bounded =
        /// "30s" } does so after that long, "open" lets them pass with a flag.
        default staleness: StalenessWord = "strict";
        /// Most records of one tenant, before its oldest are exchanged for a watermark that covers them.
        default tenant_records_max: Count<16, 100_000_000> = TENANT_RECORDS_DEFAULT as i64;
        /// How long a log elsewhere counts as current after it was last seen to be, in milliseconds.
        default lease_ms: Count<200, 600_000> = 2_000;
        /// How many logs must hold an order before it is acknowledged. Unset: more than half of them.
        optional write_quorum: Count<1, 9>;
        /// What the keys in Redis begin with; braces keep them on one node of a cluster.
        default prefix: Text = PREFIX_DEFAULT;
        /// About how many entries a log keeps; whoever was away for longer reads everything.
        default keep_entries: Count<1_000, 100_000_000> = 100_000;
        /// A primary that has not heard from its replicas for longer writes no signs of life, in seconds.
        default replica_lag_seconds: Count<1, 60> = 1;
        /// A log elsewhere, in Redis or Valkey, that daemons share.
        sections log: RevocationLog;
        /// Terms of one tenant.
        sections tenant: RevocationTenant;
        /// Somebody else who says what is revoked.
        sections feed: RevocationFeed;
    }
}

section! {
    /// Somebody else who says what is revoked.
    struct RevocationFeed {
        /// What audit lines call it, and the address it is delivered at: `/v1/feeds/NAME` of the admin listener.
        required name: Name = "every feed has a name of its own, like name = \"acme-logout\"";
        /// What it brings: "logout" tokens or security "events".
        required kind: FeedWord = "write what it brings, kind = \"logout\" or kind = \"events\"";
        /// The issuer, by name, whose keys sign it and whose `iss` it has.
        required issuer: Name = "name the issuer whose keys sign it";
        /// Whom it must be meant for, one of which `aud` must name.
        required audiences: List<Text> = "list what `aud` may name: of logout tokens, the client's id";
        /// The issuers, by name, whose tokens it may revoke. Unset: its own.
        optional concerns: List<Name>;
        /// A file with the secret that whoever delivers it bears; with `poll_uri`, that jotd bears there.
        optional token_file: FilePath;
        /// Where events are fetched (RFC 8936). Unset: they are delivered.
        optional poll_uri: Text;
        /// Time between two fetches, in seconds, while there is nothing new.
        default poll_seconds: Count<1, 3_600> = 5;
        /// Certificates of authorities, in PEM, to trust for fetches instead of the system's.
        optional ca_file: FilePath;
        /// Lets the URL's host resolve to a private or loopback address.
        default allow_private_address: bool = false;
        /// Lets the URL be http:// when its host is loopback, for development.
        default allow_insecure_loopback: bool = false;
    }
}

section! {
    /// A log elsewhere, in Redis or Valkey, that daemons share.
    struct RevocationLog {
        /// What metrics, receipts and other daemons call it.
        required name: Name = "every log has a name of its own, like name = \"redis-a\"";
        /// Its address: `redis://host:port`, `rediss://host:port` for TLS, or `unix:/path`. Several for Sentinel.
        required address: OneOrMany<Text> = "write where it is, like address = \"rediss://redis-a:6379\"";
        /// The name of the primary that the addresses, which are then Sentinels, are asked for.
        optional sentinel_primary: Name;
        /// The ACL user.
        optional user: Name;
        /// A file with the ACL user's password.
        optional password_file: FilePath;
        /// Certificates of authorities, in PEM, to trust for TLS instead of the system's.
        optional ca_file: FilePath;
        /// How many replicas must confirm an entry before this log counts as holding it.
        default replicas: Count<0, 9> = 0;
        /// Whether an entry must be on the disks of its server and of those replicas (`WAITAOF`, Redis 7.2).
        default on_disk: bool = false;
    }
}

section! {
    /// Terms of one tenant.
    struct RevocationTenant {
        /// The tenant, as issuers name it.
        required name: Name = "name the tenant, as its issuers do";
        /// As in [revocation], for this tenant.
        optional staleness: StalenessWord;
    }
}

section! {
    /// A trusted issuer.
    struct Issuer {
        /// What metrics, logs and verdicts call it.
        required name: Name = "every issuer has a name of its own, like name = \"acme\"";
        /// The exact `iss` of its tokens; a template like "https://login.example/{tenant}/v2.0", each of whose tenants
        /// is then a tenant of its own; or "any".
        required issuer: AnyOr<Text> =
            "write the exact `iss` of its tokens, or issuer = \"any\" to leave it unchecked";
        /// The tenant it belongs to. Of a template: what its tenants are called, with `{tenant}` in it; unset, the
        /// issuer's name, a slash and `{tenant}`.
        default tenant: TenantName = "default";
        /// Keys: the https URL of its JWK Set. Of a template it may have `{tenant}` in it; without, all tenants have the
        /// same keys.
        optional jwks_uri: Text;
        /// Keys: finds `jwks_uri` through `{issuer}/.well-known/openid-configuration`.
        default discovery: bool = false;
        /// Keys: a file with a JWK Set, watched for changes.
        optional jwks_file: FilePath;
        /// Keys: a JWK Set of public keys written right here, as JSON in a string or as a table.
        optional jwks: InlineJwks;
        /// Keys: one or several files with a public key or certificate each, in PEM, watched for changes.
        optional pem_file: OneOrMany<FilePath>;
        /// Keys: one or several files with an HMAC secret each, watched for changes. All are tried, so a
        /// secret is rotated by listing the old one beside the new.
        optional secret_file: OneOrMany<FilePath>;
        /// Keys: one or several environment variables with an HMAC secret each.
        optional secret_env: OneOrMany<Name>;
        /// Keys: the folder of a key ring that `jotd keys` rotates, watched for changes. Its private keys are not
        /// read, and may be out of jotd's reach.
        optional keys_dir: FilePath;
        /// Accepted audiences, one of which a token's `aud` must name, or "any".
        required audiences: AnyOr<List<Text>> =
            "list what `aud` may name, or write audiences = \"any\" to leave it unchecked";
        /// Accepted signature algorithms. A key that names none itself is pinned to the first that fits.
        required algorithms: List<Algorithm> =
            "list what the issuer signs with, like algorithms = [\"ES256\"]";
        /// Accepted values of `typ`, one of which must then be written in the token; "access_token" for none,
        /// `JWT` and `at+jwt`; or "any".
        default types: Types = "access_token";
        /// Tolerance on `exp`, `nbf` and `iat`, in seconds.
        default leeway_seconds: Count<0, LEEWAY_SECONDS_MAX> = LEEWAY_SECONDS_DEFAULT;
        /// Claims that must be present.
        optional required_claims: List<Text>;
        /// Claims that must have one of some values, like { client_id = "app", sub = ["repo:acme/*"] }: the whole value,
        /// or what it begins with before a `*`.
        optional claims: ClaimValues;
        /// Longest accepted life, `exp` minus `iat`, in seconds. Unset: unchecked.
        optional lifetime_seconds_max: Count<1, YEAR_SECONDS>;
        /// Longest accepted age, now minus `iat`, in seconds. Unset: unchecked.
        optional age_seconds_max: Count<1, YEAR_SECONDS>;
        /// Whether `exp` must be present.
        default require_expiry: bool = true;
        /// Lets a token that is bound to a key (`cnf`) pass for whoever bears it.
        default bound_tokens_as_bearer: bool = false;
        /// Whether a token may pass more than once: "allowed", or "single-use" by its `jti`.
        default replay: ReplayWord = "allowed";
        /// Where its status lists may be: https URLs that end with a slash, and with which a token's
        /// `status.status_list.uri` must begin. Unset: `status` is not looked at.
        optional status_lists: List<Text>;
        /// How long a status list may be used after it is over, in seconds, while it cannot be fetched.
        default status_grace_seconds: Count<0, DAY_SECONDS> = 0;
        /// Longest compact token of this issuer, in bytes. Unset: as in [limits].
        optional token_bytes_max: Count<256, { TOKEN_BYTES_MAX as i64 }>;
        /// How often a JWK Set is fetched again, in seconds, where the answer does not ask for sooner.
        default refresh_seconds: Count<30, DAY_SECONDS> = REFRESH_SECONDS_DEFAULT as i64;
        /// Time for a whole fetch, in milliseconds.
        default fetch_timeout_ms: Count<100, 60_000> = FETCH_TIMEOUT_MS_DEFAULT as i64;
        /// Certificates of authorities, in PEM, to trust for fetches instead of the system's.
        optional ca_file: FilePath;
        /// Lets a fetch follow one redirect, if it stays at the same origin.
        default allow_redirect: bool = false;
        /// Lets the URL's host resolve to a private or loopback address.
        default allow_private_address: bool = false;
        /// Lets the URL be http:// when its host is loopback, for development.
        default allow_insecure_loopback: bool = false;
        /// Settings of a well-known kind of issuer, which count where nothing else is written: docs/issuers.md.
        optional preset: Preset;
        /// Of a template: the only tenants that are trusted, by what stands for `{tenant}`. Unset: every one that the
        /// issuer knows.
        optional tenants: List<Text>;
        /// Of a template: most tenants loaded at a time, before the one unused for longest goes.
        default tenants_max: Count<1, 65_536> = 10_000;
        /// Of a template with keys for each tenant: most fetches a second, on average.
        default tenant_fetches_per_second: Count<1, 1_000> = 20;
        /// Of a template: how long a tenant stays loaded without a good token, in seconds.
        default tenant_idle_seconds: Count<60, { 7 * DAY_SECONDS }> = 3_600;
        /// Most tokens found genuine in a second, on average, of this issuer or of each of its tenants; others are then
        /// `unavailable`. Answers of the cache do not count. Unset: unbounded.
        optional verifications_per_second_max: Count<1, 100_000_000>;
        /// How long fetched keys are trusted, in seconds, that the issuer has not confirmed since: it may be down for
        /// that long, and a key that it withdrew is trusted no longer by a host that cannot reach it.
        default keys_max_age_seconds: Count<60, { 30 * DAY_SECONDS }> = KEYS_MAX_AGE_SECONDS_DEFAULT as i64;
        /// How long a token waits for a fetch, in milliseconds, when its issuer's keys lack the one that it names. 0
        /// answers `keys_refreshing` at once.
        default key_wait_ms: Count<0, 5_000> = KEY_WAIT_MS_DEFAULT as i64;
        /// An HTTP proxy for fetches, like "http://proxy.example:3128". It resolves the host's name, so that it is the
        /// one to keep private addresses out.
        optional proxy: Text;
        /// One or several files with private keys to which its tokens may be encrypted: JWK, JWK Set or PEM. Unset:
        /// encrypted tokens are refused.
        optional decrypt_key_files: OneOrMany<FilePath>;
        /// Accepted ways of encrypting the content's key. A key that names none itself is pinned to the first that fits.
        optional jwe_algorithms: List<KeyManagement>;
        /// Accepted ways of encrypting the content.
        optional jwe_encodings: List<ContentEncryption>;
        /// Longest token that a compressed content (`zip`) may hold, in bytes. 0 refuses compressed ones.
        default jwe_zip_bytes_max: Count<0, { TOKEN_BYTES_MAX as i64 }> = 0;
    }
}

section! {
    /// What is kept of keys that were fetched.
    struct Keys {
        /// Folder where fetched key sets are kept, so that a start does not need their issuers. Unset: the folder
        /// `keys` in the state_dir of [revocation], if there is one.
        optional state_dir: FilePath;
        /// Sharing fetched key sets with other hosts, so that one fetches for all.
        section shared: SharedKeys;
    }
}

section! {
    /// Sharing fetched key sets with other hosts, so that one fetches for all.
    struct SharedKeys {
        /// The address of Redis or Valkey, as of a [[revocation.log]]. Unset: each host fetches for itself.
        optional address: OneOrMany<Text>;
        /// The name of the primary that the addresses, which are then Sentinels, are asked for.
        optional sentinel_primary: Name;
        /// The ACL user.
        optional user: Name;
        /// A file with the ACL user's password.
        optional password_file: FilePath;
        /// Certificates of authorities, in PEM, to trust for TLS instead of the system's.
        optional ca_file: FilePath;
        /// A file with the secrets of those who share, one a line: the first seals what is shared, each opens it.
        optional secret_file: FilePath;
        /// What the keys in Redis begin with.
        default prefix: Text = "jwks:jotd";
    }
}

section! {
    /// A named set of further demands that a caller may ask for. It narrows, and never widens.
    struct RequestPolicy {
        /// What callers call it.
        required name: Name = "every policy has a name of its own, like name = \"payments\"";
        /// Accepted issuers, by name. Unset: every one.
        optional issuers: List<Name>;
        /// `aud` must name one of these as well.
        optional audiences: List<Text>;
        /// `typ` must be one of these as well.
        optional types: List<Text>;
        /// Claims that must be present as well.
        optional required_claims: List<Text>;
        /// Scopes that must all be granted.
        optional scopes: List<Text>;
        /// Longest accepted age, now minus `iat`, in seconds.
        optional age_seconds_max: Count<1, YEAR_SECONDS>;
        /// As of an issuer; "single-use" asks for it of every issuer's tokens.
        default replay: ReplayWord = "allowed";
        /// Accepted tenants, by name; tokens of others are `forbidden`. Unset: every one.
        optional tenants: List<Name>;
    }
}

section! {
    /// Who may ask on the Unix socket. The first entry that fits decides; whom none fits is refused.
    struct Peer {
        /// Fits processes of this user, by number.
        optional uid: Count<0, { u32::MAX as i64 }>;
        /// Fits processes of this user, by name.
        optional user: Name;
        /// Fits processes whose effective group this is, by number.
        optional gid: Count<0, { u32::MAX as i64 }>;
        /// Fits processes whose effective group this is, by name.
        optional group: Name;
        /// Whether they may ask at all.
        default allow: bool = true;
        /// The policy of questions that name none. The peer may then name no other, unless in `policies`.
        optional policy: Name;
        /// The policies that the peer may name. Unset: all, or with `policy` only that one.
        optional policies: List<Name>;
        /// The only tenants about whose tokens they may ask; others are `forbidden`. Unset: every tenant.
        optional tenants: List<Name>;
        /// Most work they may have queued for one worker, in milliseconds of its time. Unset: as in [limits].
        optional queue_ms: Count<1, 10_000>;
        /// Most connections they may have open. Unset: as in [limits].
        optional connections_max: Count<1, 1_000_000>;
    }
}
