//! Each bound on what the outside may send or make us keep, in one place, and how the bounds relate.
//!
//! A limit that an operator may lower or raise is a default in its room's `Options`; what stands here
//! is the ceiling no configuration lifts. `docs/defaults.md` says why each has its value.

/// Longest compact token accepted, in bytes. Tokens travel in HTTP headers, where 8 to 16 KiB is the
/// usual end of the road; 64 KiB leaves room for those that travel in bodies.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Default for the longest compact token, in bytes; configuration may raise it to [`TOKEN_BYTES_MAX`].
pub const TOKEN_BYTES_DEFAULT: usize = 16 * 1024;

/// Longest protected header, in bytes of JSON after base64url decoding.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;

/// Longest `kid` accepted, in bytes. It is a look-up hint only (RFC 8725 §3.10).
pub const KID_BYTES_MAX: usize = 256;

/// Deepest nesting of JSON arrays and objects in a header, a claims set or a JWK Set.
pub const JSON_DEPTH_MAX: usize = 8;

/// Most members in one JSON object.
pub const JSON_MEMBERS_MAX: usize = 128;

/// Most elements in one JSON array.
pub const JSON_ELEMENTS_MAX: usize = 1024;

/// Longest JSON number, in bytes of its text.
pub const JSON_NUMBER_BYTES_MAX: usize = 32;

/// Longest JSON member name, in bytes of its text.
pub const JSON_NAME_BYTES_MAX: usize = 256;

/// Largest JWK Set document, in bytes. Nimbus' 50 KiB broke users; others allow 1 MiB.
pub const JWKS_BYTES_MAX: usize = 512 * 1024;

/// How long the JWK Set that we serve may be kept, in seconds. Short: keys are rotated, and asking the own host is
/// cheap.
pub const JWKS_MAX_AGE_SECONDS: i64 = 60;

/// Most keys taken from one JWK Set.
pub const JWKS_KEYS_MAX: usize = 128;

/// Most keys of an issuer that one token without a distinguishing `kid` is tried against.
pub const KEY_CANDIDATES_MAX: usize = 4;

/// Largest status list, in bytes as it travels: signed, packed, and in base64url twice.
pub const STATUS_TOKEN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest status list, in bytes once unpacked: 32 million tokens of one bit each.
pub const STATUS_LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most status lists of one issuer that its tokens can make us keep.
pub const STATUS_LISTS_MAX: usize = 64;

/// Smallest RSA modulus, in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2048;

/// Largest RSA modulus, in bits: beyond it one verification costs too much.
pub const RSA_BITS_MAX: usize = 8192;

/// Longest signature of any supported algorithm, in bytes: RSA with the largest modulus.
pub const SIGNATURE_BYTES_MAX: usize = RSA_BITS_MAX / 8;

/// Longest encrypted key of a JWE, in bytes: RSA with the largest modulus.
pub const ENCRYPTED_KEY_BYTES_MAX: usize = RSA_BITS_MAX / 8;

/// Longest initialization vector of a JWE, in bytes: a block of AES.
pub const IV_BYTES_MAX: usize = 16;

/// Longest authentication tag of a JWE, in bytes: that of A256CBC-HS512.
pub const TAG_BYTES_MAX: usize = 32;

/// Most tokens in one frame or one batch call.
pub const FRAME_TOKENS_MAX: usize = 1024;

/// Largest frame on the Unix socket, in bytes, its length prefix not counted.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most tokens a worker verifies before it looks at its mailbox again.
pub const BATCH_TOKENS_MAX: usize = 1024;

/// Default for tokens a worker verifies in one batch.
pub const BATCH_TOKENS_DEFAULT: usize = 128;

/// Work a worker takes on before yielding to other peers, in nanoseconds of estimated cost.
pub const BATCH_COST_NS_MAX: u64 = 200_000;

/// Most tokens that wait for their issuers' keys to be looked at.
pub const PARKED_TOKENS_MAX: usize = 4_096;

/// Most of them of one issuer, and most of one peer: one in a flood must leave the others their places.
pub const PARKED_PART_MAX: usize = PARKED_TOKENS_MAX / 4;

/// Most key ids that an issuer is known not to have: a few kilobytes for each of ten thousand issuers, while a flood of
/// invented ones is forgotten.
pub const ABSENT_KEYS_MAX: usize = 256;

/// Most key sets that are fetched at the same time, of all issuers.
pub const FETCHES_MAX: usize = 256;

/// Most trusted issuers in one configuration.
pub const ISSUERS_MAX: usize = 65_536;

/// Most templates of `iss` in one configuration: an `iss` that is no exact one is held against each.
pub const TEMPLATES_MAX: usize = 64;

/// Largest clock leeway a policy may ask for, in seconds. Beyond minutes it is not leeway.
pub const LEEWAY_SECONDS_MAX: i64 = 600;

/// Default clock leeway, in seconds.
pub const LEEWAY_SECONDS_DEFAULT: i64 = 30;

const _: () = assert!(TOKEN_BYTES_DEFAULT <= TOKEN_BYTES_MAX);
const _: () = assert!(
    TOKEN_BYTES_MAX + 64 <= FRAME_BYTES_MAX,
    "the longest token fits a frame"
);
const _: () = assert!(
    HEADER_BYTES_MAX * 4 / 3 + SIGNATURE_BYTES_MAX * 4 / 3 < TOKEN_BYTES_DEFAULT,
    "the longest header and signature leave room for claims"
);
const _: () = assert!(BATCH_TOKENS_DEFAULT <= BATCH_TOKENS_MAX);
const _: () = assert!(
    BATCH_TOKENS_DEFAULT.is_multiple_of(16),
    "a full batch fills whole lanes, of which the widest kernel has 16"
);
const _: () = assert!(LEEWAY_SECONDS_DEFAULT <= LEEWAY_SECONDS_MAX);
const _: () = assert!(KID_BYTES_MAX < HEADER_BYTES_MAX);
