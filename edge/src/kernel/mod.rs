//! What the processor can do, and the loops that are written for it. Knows instructions and plain
//! slices: nothing of models, pictures or galleries. `unsafe` stands in the files below alone, each
//! block with its proof; the scalar twin of a kernel defines its result, bit for bit.

use std::fmt;
use std::sync::OnceLock;

pub mod conv;
pub(crate) mod idct;
pub(crate) mod sad;

/// The environment variable that names the kernels to use instead of the fastest.
pub const VARIABLE: &str = "ONELOOK_KERNEL";

/// The kernels that this process uses: those that [`VARIABLE`] names, else the fastest that this processor has.
/// The environment is read once. Networks, the decoder of JPEGs and the search all ask here.
///
/// An operation that has none for a set of instructions uses the nearest smaller one, the scalar twin at last: see
/// `idct::transform` and `sad::sad`.
///
/// # Errors
/// [`NoSuchKernel`] where the variable names none, or none that runs here. Programs ask before they do anything
/// else, so that one without a model refuses it too.
pub fn chosen() -> Result<Isa, NoSuchKernel> {
    static CHOSEN: OnceLock<Result<Isa, NoSuchKernel>> = OnceLock::new();
    let choose = || match std::env::var_os(VARIABLE) {
        Some(asked) if !asked.is_empty() => Isa::named(&asked.to_string_lossy()),
        _ => Ok(Isa::here().next().unwrap_or(Isa::SCALAR)),
    };
    CHOSEN.get_or_init(choose).clone()
}

/// A set of instructions that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// 512 bits and the 8-bit dot product (x86-64: AVX512BW, AVX512VL, AVX512_VNNI, and AVX2).
    Avx512Vnni,
    /// 256 bits and the 8-bit dot product (x86-64: AVX-VNNI, and AVX2).
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

impl Instructions {
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

    fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("avx512f")
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
}

/// Instructions that this processor has. The value is the proof: nothing makes one of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Instructions);

impl Isa {
    /// On every processor.
    pub const SCALAR: Self = Self(Instructions::Scalar);

    /// None where this processor has no such instructions.
    pub fn of(instructions: Instructions) -> Option<Self> {
        instructions.is_here().then_some(Self(instructions))
    }

    /// What this processor has, the fastest first; [`Isa::SCALAR`] always ends it.
    pub fn here() -> impl Iterator<Item = Self> {
        Instructions::ALL.into_iter().filter_map(Self::of)
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

    /// Which instructions they are.
    pub fn instructions(self) -> Instructions {
        self.0
    }

    /// What they are called in [`VARIABLE`] and in reports.
    pub fn name(self) -> &'static str {
        self.0.name()
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
        let absent = Instructions::ALL
            .into_iter()
            .find(|other| Isa::of(*other).is_none())
            .unwrap();
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
        assert_eq!(Isa::here().last(), Some(Isa::SCALAR));
    }
}
