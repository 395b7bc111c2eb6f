//! Fuzz bodies for everything that decodes. They run in `cargo test` over seeds and mutations of them,
//! and under cargo-fuzz from `fuzz/fuzz_targets/frame.rs`.
#![forbid(unsafe_code)]

use super::{
    Ask, FaultReport, Framing, Head, Hello, RemoteVerdict, Standing, Verdicts, encode_verdicts,
    next_frame,
};
use crate::verdict::{Cause, ClaimsJson, Refusal, Signer, Trusted, Unavailable, Verdict};
use std::sync::Arc;

/// Tokens a frame may have here: few, so that the bound is met often.
const FRAME_TOKENS_MAX: usize = 8;

const FRAME_BYTES_MAX: usize = 64 * 1024;

/// No bytes make a decoder panic, and what one understands survives being said again.
pub fn any_bytes(data: &[u8]) {
    if let Ok(Some((hello, bytes))) = Hello::decode(data) {
        let mut again = Vec::new();
        hello.encode(&mut again);
        if hello.version == super::VERSION {
            assert_eq!(&again[..], &data[..bytes], "a hello has one spelling");
        }
    }
    let _ = FaultReport::decode(data);
    if let Ok(verdicts) = Verdicts::decode(data) {
        assert_eq!(verdicts.iter().count(), verdicts.len());
        let _ = verdicts.to_remote();
    }
    if let Ok(Framing::Complete(head, bytes)) = next_frame(data, FRAME_BYTES_MAX) {
        ask_again(head, &data[..bytes]);
    }
}

fn ask_again(head: Head, frame: &[u8]) {
    let Ok((ask, tokens)) = Ask::decode(head, frame, FRAME_TOKENS_MAX) else {
        return;
    };
    let tokens: Vec<_> = tokens.iter().collect();
    assert!(tokens.len() <= FRAME_TOKENS_MAX, "the bound holds");
    let mut again = Vec::new();
    ask.encode(&tokens, FRAME_BYTES_MAX, &mut again)
        .expect("what was decoded from a frame fits one");
    let head = Head::decode(&again).expect("our own head");
    let (ask_again, tokens_again) =
        Ask::decode(head, &again, FRAME_TOKENS_MAX).expect("our own frame");
    assert_eq!(ask_again, ask);
    assert!(tokens_again.iter().eq(tokens));
}

/// Verdicts of every kind, built from the data, arrive as they were sent.
pub fn any_verdicts(data: &[u8]) {
    let signers: Vec<_> = (0..12u8).map(|nth| Arc::new(signer(nth))).collect();
    let (records, _) = data.as_chunks::<10>();
    let verdicts: Vec<_> = records
        .iter()
        .take(1024)
        .map(|record| verdict(*record, &signers))
        .collect();
    let mut frame = Vec::new();
    let standing = Standing::default();
    if encode_verdicts(&mut frame, 7, &verdicts, standing, FRAME_BYTES_MAX).is_err() {
        assert!(
            frame.is_empty(),
            "a frame that is too large leaves nothing behind"
        );
        return;
    }
    let decoded = Verdicts::decode(&frame)
        .and_then(|verdicts| verdicts.to_remote())
        .expect("our own frame");
    let sent: Vec<_> = verdicts.iter().map(RemoteVerdict::from).collect();
    assert_eq!(decoded, sent);
}

fn signer(nth: u8) -> Signer {
    Signer {
        issuer: "i".repeat(usize::from(nth)).into(),
        tenant: "default".into(),
        alg: "ES256",
        kid: (!nth.is_multiple_of(3)).then(|| "k".repeat(usize::from(nth / 3)).into()),
    }
}

fn verdict([kind, pick, rest @ ..]: [u8; 10], signers: &[Arc<Signer>]) -> Verdict {
    let number = i64::from_le_bytes(rest);
    let bit = |nth: u8| kind >> nth & 1 == 1;
    match kind % 4 {
        0 | 1 => Verdict::Valid(Trusted {
            signer: Arc::clone(&signers[usize::from(pick) % signers.len()]),
            claims: match bit(2) {
                true => ClaimsJson::new(rest.into()),
                false => ClaimsJson::default(),
            },
            expires_at: bit(3).then_some(number),
            expires_in: bit(4).then_some(!number),
            cached: bit(5),
            revocation: crate::verdict::Freshness::default(),
        }),
        2 => Verdict::Invalid(match pick % 4 {
            0 => Refusal::Expired {
                expired_at: number,
                ago_seconds: 1,
            },
            1 => Refusal::NotYetValid { not_before: number },
            2 => Refusal::MissingClaim("jti".into()),
            _ => Refusal::BadSignature,
        }),
        _ => Verdict::Unavailable(Unavailable {
            cause: Cause::ALL[usize::from(pick) % Cause::ALL.len()],
            retry_after_ms: u32::from(pick),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, FaultCode, FrameKind, encode_bare};
    use super::*;
    use crate::verify::Want;

    /// Marsaglia's xorshift64: the same mutations in every run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end.max(1) as u64) as usize
        }
    }

    fn seeds() -> Vec<Vec<u8>> {
        let mut seeds = vec![Vec::new(); 6];
        Hello::CLIENT.encode(&mut seeds[0]);
        encode_bare(&mut seeds[1], FrameKind::Ping, 1);
        Fault::of_connection(FaultCode::BadFrame).encode(&mut seeds[2]);
        let ask = Ask {
            want: Want::Members(["sub".into()].into()),
            policy: Some("payments"),
            traceparent: Some("00-00-00-01"),
            ..Ask::default()
        };
        ask.encode(&["a.b.c", "", "d.e.f"], FRAME_BYTES_MAX, &mut seeds[3])
            .expect("short");
        let plain = Ask::default();
        plain
            .encode(&["token"; 8], FRAME_BYTES_MAX, &mut seeds[4])
            .expect("short");
        let signers = [Arc::new(signer(1)), Arc::new(signer(2))];
        let verdicts: Vec<_> = (0..8u8)
            .map(|nth| verdict([nth << 2 | nth & 3; 10], &signers))
            .collect();
        encode_verdicts(
            &mut seeds[5],
            1,
            &verdicts,
            Standing::default(),
            FRAME_BYTES_MAX,
        )
        .expect("short");
        seeds
    }

    fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
        let at = random.below(bytes.len());
        match random.next() % 6 {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            4 => {
                let end = at + random.below(bytes.len() - at);
                bytes.extend_from_within(at..end);
            }
            _ => {
                // A frame whose prefix is right again is looked into more deeply.
                let length = bytes.len().saturating_sub(4) as u32;
                if let Some(prefix) = bytes.first_chunk_mut() {
                    *prefix = length.to_le_bytes();
                }
            }
        }
    }

    #[test]
    fn seeds_and_their_mutations_are_harmless() {
        let mut random = Random(0x6a09_e667_f3bc_c908);
        for seed in seeds() {
            any_bytes(&seed);
            any_verdicts(&seed);
            for _ in 0..20_000 {
                let mut bytes = seed.clone();
                for _ in 0..=random.below(4) {
                    mutate(&mut random, &mut bytes);
                }
                any_bytes(&bytes);
            }
        }
    }

    #[test]
    fn verdicts_of_every_kind_arrive_as_they_were_sent() {
        let mut random = Random(0xbb67_ae85_84ca_a73b);
        for length in 0..400 {
            let data: Vec<u8> = (0..length * 3).map(|_| random.next() as u8).collect();
            any_verdicts(&data);
        }
    }
}
