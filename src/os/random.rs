//! Random bytes from the kernel.
#![forbid(unsafe_code)]

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills a buffer from the kernel's generator, waiting at boot until that is seeded.
///
/// The cryptographic library has a generator of its own, which gathers its seed from the jitter of the CPU:
/// that takes tens of milliseconds, the most of what a start would take.
///
/// # Panics
/// Where the kernel has no such generator. Whatever was to be secret must not then be made up.
pub fn fill_random(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => panic!("the kernel gives no random bytes: {errno}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_filled() {
        // A byte that is never filled stays zero in all of 64 rounds; one that is stays so with 2^-512.
        let mut seen = [0; 300];
        for _ in 0..64 {
            let mut buffer = [0; 300];
            fill_random(&mut buffer);
            seen.iter_mut()
                .zip(buffer)
                .for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|&seen| seen != 0));
    }
}
