//! The cameras that the kernel lists, whether this program reads them or not. Opens none.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel lists them.
pub(crate) const LISTED: &str = "/sys/class/video4linux";

/// The numbers of the nodes that `folder` lists, in order, each with its entry there.
pub(crate) fn listed(folder: &Path) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut nodes: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix("video")?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    nodes.sort();
    nodes
}
