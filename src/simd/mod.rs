//! What this CPU can do, as values. A kernel that needs an extension asks for its witness; who holds the
//! witness has proof that the instructions exist, and needs no check of its own.
//!
//! Detection reads the CPU alone: no environment variable and no configuration changes what a kernel may
//! assume, only which of the available kernels is chosen.
#![forbid(unsafe_code)]

/// Proof that the CPU has AVX-512 F and BW, and that the operating system keeps their registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx512 {
    /// The proof, if this CPU can give it.
    #[must_use]
    pub fn detect() -> Option<Self> {
        // std asks CPUID and XGETBV once a process and remembers the answer.
        #[cfg(target_arch = "x86_64")]
        let present = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw");
        #[cfg(not(target_arch = "x86_64"))]
        let present = false;
        present.then_some(Self(()))
    }
}
