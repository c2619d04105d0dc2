//! Licences: who waits for them, whom that blocks, and what reservations hold.

use super::super::config::Licence;
use super::super::controller::Refusal;
use super::super::{LicenceAsk, Reservation, ReservationRequest};
use super::*;
use crate::workload::wishes::Licences;

fn with_licences(mut config: SlurmConfig, counts: &[(&str, u32)]) -> SlurmConfig {
    let licence = |(name, count): &(&str, u32)| Licence { name: (*name).to_owned(), count: *count };
    config.licences = counts.iter().map(licence).collect();
    config
}

/// A job of one node and minute so many that asks for licences too.
fn asking(config: &SlurmConfig, gpus: u32, text: &str) -> JobSpec {
    let list = Licences::read(text).unwrap();
    JobSpec { licences: Some(Box::new(LicenceAsk::on(config, &list))), ..job(1, gpus, 10) }
}

#[test]
fn a_job_without_its_licences_waits_and_blocks_nobody() {
    // 4 of `a`: two jobs of 2 run, the third waits though its node is free, and what stands behind it starts
    let config = with_licences(site(2), &[("a", 4)]);
    let hardware = hardware_of(&config);
    let specs =
        [asking(&config, 1, "a:2"), asking(&config, 1, "a:2"), asking(&config, 1, "a:2"), job(1, 1, 10)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 1, 3]);
    assert_eq!(reason(&controller, 2), "Licenses");
    assert_eq!(controller.licences_used(0), 4);
    // the backfill thread passes it over too: no start, no plan
    assert_eq!(cycle(&mut controller, 30), Vec::<usize>::new());
    assert_eq!(controller.job(JobIx(2)).start_s, 0);
    end(&mut controller, 0, true, 60);
    assert_eq!(controller.licences_used(0), 2);
    assert_eq!(cycle(&mut controller, 61), [2]);
}

#[test]
fn of_a_or_b_the_first_that_is_there_is_taken() {
    let config = with_licences(site(1), &[("a", 1), ("b", 2)]);
    let hardware = hardware_of(&config);
    let specs = [(); 4].map(|()| asking(&config, 1, "a:1|b:1"));
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 1, 2]);
    assert_eq!((controller.licences_used(0), controller.licences_used(1)), (1, 2));
    // the first gives `a` back, and the fourth takes that
    end(&mut controller, 0, true, 60);
    assert_eq!(pass(&mut controller, 61), [3]);
    assert_eq!((controller.licences_used(0), controller.licences_used(1)), (1, 2));
}

#[test]
fn what_the_site_does_not_have_is_refused() {
    let config = with_licences(site(1), &[("a", 2)]);
    let hardware = hardware_of(&config);
    let texts = ["a:2", "a:3", "c:1", "a:3|a:9", "a:1"];
    let specs = texts.map(|text| asking(&config, 1, text));
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    let taken: Vec<bool> = (0..specs.len()).map(|spec| controller.submit(spec, 0).is_ok()).collect();
    assert_eq!(taken, [true, false, false, false, true]);
    assert_eq!(controller.submit(2, 0), Err(Refusal::Licences));
}

#[test]
fn what_a_reservation_holds_is_nobody_elses_while_it_overlaps() {
    // 2 of 3 are reserved from 300 s to 900 s: a job of 10 min that begins at 3 s overlaps it, one of 4 min does not
    let config = with_licences(site(2), &[("a", 3)]);
    let hardware = hardware_of(&config);
    let short = JobSpec { limit_min: Some(4), ..asking(&config, 1, "a:2") };
    let inside = JobSpec { reservation: Some("r".into()), ..asking(&config, 1, "a:2") };
    let specs = [asking(&config, 1, "a:2"), short, inside];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    let mut nodes = config.no_nodes();
    nodes.insert(1);
    let reservation = Reservation {
        name: "r".into(),
        start_s: 300,
        end_s: 900,
        nodes,
        users: vec!["u1".into()],
        accounts: Vec::new(),
        licences: smallvec![(0, 2)],
        maint: false,
        overlap: false,
        gone: false,
    };
    controller.create_reservation(ReservationRequest { reservation, ignore_jobs: false }, 0).unwrap();
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [1]);
    assert_eq!(reason(&controller, 0), "Licenses");
    end(&mut controller, 1, true, 200);
    // its own job does not count what the reservation holds, and the other still does
    assert_eq!(pass(&mut controller, 301), [2]);
    end(&mut controller, 2, true, 800);
    assert_eq!(pass(&mut controller, 901), [0]);
}
