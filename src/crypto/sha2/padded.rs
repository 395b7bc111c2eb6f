//! A message as the blocks that SHA-2 compresses, padding included, its middle borrowed and not copied.
#![forbid(unsafe_code)]

/// How many blocks a message of this length makes: its bytes, a one bit, and the length.
pub(super) fn block_count<const BLOCK_BYTES: usize>(message_bytes: usize) -> usize {
    (message_bytes + 1 + length_bytes(BLOCK_BYTES)).div_ceil(BLOCK_BYTES)
}

/// Bytes of the length at the end of the last block: two words, an eighth of a block.
const fn length_bytes(block_bytes: usize) -> usize {
    block_bytes / 8
}

/// A padded message (FIPS 180-4 §5.1).
pub(super) struct Padded<'a, const BLOCK_BYTES: usize> {
    /// The first block, where a prefix and the message's beginning share it.
    head: Option<[u8; BLOCK_BYTES]>,
    /// Whole blocks of the message.
    middle: &'a [[u8; BLOCK_BYTES]],
    /// The last bytes with the padding.
    tail: [[u8; BLOCK_BYTES]; 2],
    /// One or two.
    tail_blocks: usize,
}

impl<'a, const BLOCK_BYTES: usize> Padded<'a, BLOCK_BYTES> {
    /// Where the length begins in the last block.
    const LENGTH_AT: usize = BLOCK_BYTES - length_bytes(BLOCK_BYTES);

    /// Pads `prefix || message`, which follow `absorbed_bytes` that are in the state already.
    pub(super) fn new<const PREFIX_BYTES: usize>(
        absorbed_bytes: usize,
        prefix: &[u8; PREFIX_BYTES],
        message: &'a [u8],
    ) -> Self {
        const {
            assert!(
                PREFIX_BYTES < BLOCK_BYTES,
                "a prefix leaves room in its block"
            )
        };
        let mut head = None;
        let mut tail = [[0; BLOCK_BYTES]; 2];
        let bytes = tail.as_flattened_mut();
        let (middle, tail_bytes) = match message.split_at_checked(BLOCK_BYTES - PREFIX_BYTES) {
            // The prefix and the message's beginning fill a block of their own.
            Some((beginning, rest)) if PREFIX_BYTES > 0 => {
                let mut block = [0; BLOCK_BYTES];
                block[..PREFIX_BYTES].copy_from_slice(prefix);
                block[PREFIX_BYTES..].copy_from_slice(beginning);
                head = Some(block);
                let (middle, rest) = rest.as_chunks();
                bytes[..rest.len()].copy_from_slice(rest);
                (middle, rest.len())
            }
            // There is no prefix, or both are shorter than a block.
            _ => {
                let (middle, rest) = message.as_chunks();
                bytes[..PREFIX_BYTES].copy_from_slice(prefix);
                bytes[PREFIX_BYTES..][..rest.len()].copy_from_slice(rest);
                (middle, PREFIX_BYTES + rest.len())
            }
        };
        bytes[tail_bytes] = 0x80;
        let tail_blocks = if tail_bytes < Self::LENGTH_AT { 1 } else { 2 };
        let bits = 8 * (absorbed_bytes + PREFIX_BYTES + message.len()) as u64;
        // The length's upper bytes, eight of SHA-512's sixteen, are zero already: no message is so long.
        tail[tail_blocks - 1][BLOCK_BYTES - size_of::<u64>()..]
            .copy_from_slice(&bits.to_be_bytes());
        Self {
            head,
            middle,
            tail,
            tail_blocks,
        }
    }

    /// The block at an index, or `None` past the last.
    pub(super) fn block(&self, index: usize) -> Option<&[u8; BLOCK_BYTES]> {
        let index = match &self.head {
            Some(head) if index == 0 => return Some(head),
            Some(_) => index - 1,
            None => index,
        };
        match index.checked_sub(self.middle.len()) {
            None => self.middle.get(index),
            Some(index) => self.tail[..self.tail_blocks].get(index),
        }
    }

    /// All blocks in order, in runs that lie together.
    pub(super) fn runs(&self) -> [&[[u8; BLOCK_BYTES]]; 3] {
        [
            self.head.as_slice(),
            self.middle,
            &self.tail[..self.tail_blocks],
        ]
    }
}
