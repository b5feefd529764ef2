//! The `onelook` program.

fn main() -> std::process::ExitCode {
    onelook::cli::main()
}
