//! What this CPU can do, as values. A kernel that needs an extension asks for its witness; who holds the
//! witness has proof that the instructions exist, and needs no check of its own.
//!
//! Detection reads the CPU alone: no environment variable and no configuration changes what a kernel may
//! assume, only which of the available kernels is chosen.

mod prefetch;
#[cfg(target_arch = "x86_64")]
mod transpose;

pub(crate) use prefetch::prefetch;

#[cfg(target_arch = "x86_64")]
pub(crate) use transpose::{quarters, transpose};

/// Proof that the CPU has AVX-512 F and BW, and that the operating system keeps their registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(Witness);

/// Where there is no AVX-512 at all, there is no value of its witnesses either.
#[cfg(target_arch = "x86_64")]
type Witness = ();
#[cfg(not(target_arch = "x86_64"))]
type Witness = std::convert::Infallible;

impl Avx512 {
    /// The proof, if this CPU can give it.
    #[must_use]
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Option<Self> {
        // std asks CPUID and XGETBV once a process and remembers the answer.
        let present = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw");
        present.then_some(Self(()))
    }

    /// The proof, which this architecture never gives.
    #[must_use]
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Option<Self> {
        None
    }

    /// What follows from a proof that cannot be given: anything. It stands where the instructions cannot even
    /// be written.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn impossible(self) -> ! {
        match self.0 {}
    }
}

/// Proof that the CPU has AVX-512 with DQ, VL and IFMA besides, and BMI2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Ifma(Witness);

impl Avx512Ifma {
    /// The proof, if this CPU can give it.
    #[must_use]
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Option<Self> {
        let present = Avx512::detect().is_some()
            && std::arch::is_x86_feature_detected!("avx512dq")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512ifma")
            && std::arch::is_x86_feature_detected!("bmi2");
        present.then_some(Self(()))
    }

    /// The proof, which this architecture never gives.
    #[must_use]
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Option<Self> {
        None
    }

    /// What follows from a proof that cannot be given, as for [`Avx512`].
    #[cfg(not(target_arch = "x86_64"))]
    pub fn impossible(self) -> ! {
        match self.0 {}
    }
}

/// Proof that the CPU has AVX-512 with VBMI besides: permutations of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Vbmi(Witness);

impl Avx512Vbmi {
    /// The proof, if this CPU can give it.
    #[must_use]
    #[inline]
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Option<Self> {
        let present =
            Avx512::detect().is_some() && std::arch::is_x86_feature_detected!("avx512vbmi");
        present.then_some(Self(()))
    }

    /// The proof, which this architecture never gives.
    #[must_use]
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Option<Self> {
        None
    }

    /// What follows from a proof that cannot be given, as for [`Avx512`].
    #[cfg(not(target_arch = "x86_64"))]
    pub fn impossible(self) -> ! {
        match self.0 {}
    }
}
