//! `onelook`, where the tests can find it.

fn main() -> std::process::ExitCode {
    onelook::cli::main()
}
