//! The `onelook-edge` program.

fn main() -> std::process::ExitCode {
    onelook_edge::cli::main()
}
