//! `onelook-edge`, where the tests can find it.

fn main() -> std::process::ExitCode {
    onelook_edge::cli::main()
}
