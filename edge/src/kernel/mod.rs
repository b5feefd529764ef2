//! What the processor can do, and the loops that are written for it. Knows instructions and plain
//! slices: nothing of models, pictures or galleries. `unsafe` stands in the files below alone, each
//! block with its proof; the scalar twin of a kernel defines its result, bit for bit.

use std::fmt;

pub mod conv;
pub mod idct;
pub mod sad;

/// The environment variable that names the kernels to use instead of the fastest.
pub const VARIABLE: &str = "ONELOOK_KERNEL";

/// A set of instructions that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 512 bits and the 8-bit dot product (x86-64: AVX512BW, AVX512VL, AVX512_VNNI).
    Avx512Vnni,
    /// 256 bits and the 8-bit dot product (x86-64: AVX-VNNI).
    AvxVnni,
    /// 256 bits (x86-64: AVX2).
    Avx2,
    /// 128 bits and the 8-bit dot product (arm64: SDOT).
    NeonDot,
    /// 128 bits (arm64).
    Neon,
    /// One number at a time, on any processor; defines what the others compute.
    Scalar,
}

impl Isa {
    /// All of them, the fastest first.
    pub const ALL: [Self; 6] = [
        Self::Avx512Vnni,
        Self::AvxVnni,
        Self::Avx2,
        Self::NeonDot,
        Self::Neon,
        Self::Scalar,
    ];

    /// What it is called in [`VARIABLE`] and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512-vnni",
            Self::AvxVnni => "avx-vnni",
            Self::Avx2 => "avx2",
            Self::NeonDot => "neon-dot",
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }

    /// Whether this processor has it.
    pub fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => {
                std::arch::is_aarch64_feature_detected!("neon")
                    && std::arch::is_aarch64_feature_detected!("dotprod")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Scalar => true,
            _ => false,
        }
    }

    /// What this processor has, the fastest first; `Scalar` always ends it.
    pub fn here() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_here())
    }

    /// The fastest that this processor has, or the one that the environment asks for.
    ///
    /// # Errors
    /// [`NoSuchKernel`] where [`VARIABLE`] names none, or none that runs here.
    pub fn chosen() -> Result<Self, NoSuchKernel> {
        match std::env::var_os(VARIABLE) {
            Some(asked) if !asked.is_empty() => Self::named(&asked.to_string_lossy()),
            _ => Ok(Self::here().next().unwrap_or(Self::Scalar)),
        }
    }

    /// The one of that name, if it runs here.
    ///
    /// # Errors
    /// [`NoSuchKernel`].
    pub fn named(name: &str) -> Result<Self, NoSuchKernel> {
        let found = Self::here().find(|isa| isa.name() == name);
        found.ok_or_else(|| NoSuchKernel {
            asked: name.to_owned(),
            here: Self::here().map(Self::name).collect(),
        })
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The environment asks for kernels that this processor cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={asked}: no kernels of that name run here; unset it or name one of {}", here.join(", "))]
pub struct NoSuchKernel {
    /// What was asked for.
    pub asked: String,
    /// What there is, the fastest first.
    pub here: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_another_processor_is_refused_with_the_names_of_what_runs_here() {
        let absent = Isa::ALL.into_iter().find(|isa| !isa.is_here()).unwrap();
        for name in [absent.name(), "sse"] {
            let refused = Isa::named(name).unwrap_err().to_string();
            assert!(
                refused.contains(name) && refused.contains("scalar"),
                "{refused}"
            );
        }
    }

    #[test]
    fn every_kernel_that_runs_here_goes_by_its_name() {
        for isa in Isa::here() {
            assert_eq!(Isa::named(isa.name()), Ok(isa));
        }
        assert_eq!(Isa::here().last(), Some(Isa::Scalar));
    }
}
