//! Temporary driver.
fn main() {
    let mut args = std::env::args().skip(1);
    let seeds = args.next().and_then(|s| s.parse().ok()).unwrap_or(20);
    let dirs: Vec<std::path::PathBuf> = args.map(Into::into).collect();
    let dirs: Vec<&std::path::Path> = dirs.iter().map(|d| d.as_path()).collect();
    match windtunnel::validation::slurm::validate_slurm(&dirs, seeds) {
        Ok(v) => println!("{}", v.to_text()),
        Err(problems) => println!("{problems:#?}"),
    }
}
