//! Which device computes. Knows nothing of networks.

use burn::tensor::{Device, DeviceKind, DeviceType};

use super::TrainError;

/// Where the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compute {
    /// A GPU where there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU (Burn wgpu).
    Gpu,
    /// wgpu on a software Vulkan: slow, to test the GPU path without a GPU.
    SoftwareGpu,
}

/// A device, ready to compute.
pub(super) struct OpenDevice {
    pub(super) device: Device,
    /// As `run.toml` calls it.
    pub(super) name: String,
}

/// # Errors
/// `NoGpu`.
pub(super) fn open(compute: Compute) -> Result<OpenDevice, TrainError> {
    let cpu = || OpenDevice {
        device: Device::flex(),
        name: "CPU".to_owned(),
    };
    let gpu = || {
        // A machine without any Vulkan at all may panic inside. One with a software Vulkan alone
        // lists that, which is slower than the CPU itself.
        let found = std::panic::catch_unwind(|| {
            let software = Device::wgpu(DeviceKind::Cpu);
            let mut listed = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter();
            listed.find(|device| *device != software)
        });
        let device = found.ok().flatten()?;
        let name = format!("GPU (Burn wgpu, {device:?})");
        Some(OpenDevice { device, name })
    };
    match compute {
        Compute::Cpu => Ok(cpu()),
        Compute::Gpu => gpu().ok_or(TrainError::NoGpu),
        Compute::Auto => Ok(gpu().unwrap_or_else(cpu)),
        Compute::SoftwareGpu => Ok(OpenDevice {
            device: Device::wgpu(DeviceKind::Cpu),
            name: "software GPU (Burn wgpu)".to_owned(),
        }),
    }
}
