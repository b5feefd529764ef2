//! The twin network: its layers as a recipe names them (`spec`), its weights in Burn, which trains them on a GPU and
//! steps them everywhere (`burn`), the same layers by code of our own, which computes on a CPU (`cpu`), and its
//! weights as plain numbers for the export (`plain`). Knows nothing of data, schedules or files.

pub mod burn;
pub mod cpu;
pub(crate) mod plain;
pub(crate) mod spec;
