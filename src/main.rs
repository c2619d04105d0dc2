//! The binary: hands over to the library's `cli` room and turns the outcome into an exit code.

fn main() -> std::process::ExitCode {
    windtunnel::cli::main()
}
