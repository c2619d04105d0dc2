//! Temporary driver.
use windtunnel::validation::slurm::*;
fn main() {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap();
    let seeds = args.next().and_then(|s| s.parse().ok()).unwrap_or(20);
    let dirs: Vec<std::path::PathBuf> = args.map(Into::into).collect();
    let dirs: Vec<&std::path::Path> = dirs.iter().map(|d| d.as_path()).collect();
    if mode == "replay" {
        for dir in dirs {
            let e = Experiment::read(dir).unwrap();
            for run in &e.observed {
                let mut n = 0;
                let scores = replay(&e, run, &mut |line| { n += 1; if n <= seeds { println!("  {line}") } });
                println!("{} {} main {:?}\n      backfill {:?}", e.name, run.name, scores[0], scores[1]);
            }
        }
    } else if mode == "run" {
        let e = Experiment::read(dirs[0]).unwrap();
        let out = run_once(&e, seeds);
        println!("{:?} {:?} pending {:?} refused {:?}", out.cycles, out.end, out.pending, out.refused);
        for a in &out.attempts {
            println!("{} {:?} {} start {} end {} {:?} {:?} {:?}", e.specs[a.spec].name, a.task, a.number, a.start, a.end, a.state, a.started_by, a.nodes);
        }
    } else {
        match validate_slurm(&dirs, seeds) {
            Ok(v) => println!("{}", v.to_text()),
            Err(problems) => println!("{problems:#?}"),
        }
    }
}
