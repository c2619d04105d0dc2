//! Pseudonyms for what names people and projects: a trace that can leave the house.
//!
//! The same text under the same salt becomes the same pseudonym, in every trace; without the salt it
//! cannot be found by trying names. Replaced: users, accounts, partitions, QOS, job names, tenants,
//! reservations; job ids become 1, 2, 3, ...; the file header and the texts of refused rows are dropped.
//! Kept, because designs are compared by them: classes, GPU types, MIG profiles, features, states.

use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use super::{Extras, JobName, Labels, Request, Texts, Workload};
use crate::diagnostic::Diagnostics;
use crate::ids::{Id, JobId, TextId};
use crate::time::{SimTime, parse_seconds_micros};

/// What is hidden, and under which salt.
#[derive(Clone, Debug)]
pub struct Anonymizer {
    /// Secret that makes the pseudonyms; the same salt gives the same pseudonyms.
    pub salt: String,
    /// Keep times as they are; otherwise they are shifted so that the first submission is at 0.
    pub keep_times: bool,
    /// Keep sizes as they are; otherwise counts and memory are rounded up to powers of two.
    pub keep_sizes: bool,
}

impl Anonymizer {
    /// The pseudonym of a text: kind and 40 bits of a salted SHA-256.
    #[must_use]
    pub fn pseudonym(&self, kind: &str, text: &str) -> String {
        let mut hash = Sha256::new();
        // Lengths in front, so that no two different triples give the same bytes.
        for part in [self.salt.as_str(), kind, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let hex: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}-{hex}")
    }
}

/// The workload under pseudonyms. No text of the original stays in it except those named above.
#[must_use]
pub fn anonymize(workload: Workload, how: &Anonymizer) -> Workload {
    let mut work = Work { how, old: &workload.texts, texts: Texts::default() };
    let shift = if how.keep_times { 0 } else { workload.first_submit().micros() };
    let mut new = Workload { repairs: workload.repairs.clone(), ..Workload::default() };
    new.unused_columns.clone_from(&workload.unused_columns);
    new.repairs.forget_texts();
    new.warnings = Diagnostics::default();
    for (_, labels) in workload.labels.iter() {
        new.labels.push_row(work.labels(labels));
    }
    for (_, request) in workload.requests.iter() {
        new.requests.push_row(work.request(request));
    }
    new.jobs = workload.jobs.clone();
    new.extras = workload
        .extras
        .iter()
        .map(|(id, extras)| (*id, work.extras(extras, shift)))
        .collect::<Vec<_>>()
        .into();
    rename_jobs(&workload, &mut new, &mut work.texts);
    for job in new.jobs.as_mut_slice() {
        job.submit = moved(job.submit, shift);
    }
    for id in workload.jobs.ids() {
        let mut row = workload.recorded(id);
        for time in
            [&mut row.start, &mut row.work_start, &mut row.end, &mut row.eligible].into_iter().flatten()
        {
            *time = moved(*time, shift);
        }
        row.state = row.state.map(|state| work.state(state));
        row.exit_code = row.exit_code.map(|code| work.keep(code));
        row.ran_gpu_type = row.ran_gpu_type.map(|name| work.keep(name));
        if !how.keep_sizes {
            for count in
                [&mut row.alloc_nodes, &mut row.alloc_cpus, &mut row.alloc_gpus].into_iter().flatten()
            {
                *count = count.checked_next_power_of_two().map_or(*count, |n| n.min(1 << 30));
            }
        }
        new.recorded.set(id, &row);
    }
    new.texts = work.texts.into();
    new
}

fn moved(time: SimTime, shift: i64) -> SimTime {
    SimTime::from_micros((time.micros() - shift).max(0))
}

/// The texts before and after.
struct Work<'w> {
    how: &'w Anonymizer,
    old: &'w Texts,
    texts: Texts,
}

impl Work<'_> {
    fn hide(&mut self, kind: &str, text: Option<TextId>) -> Option<TextId> {
        text.map(|text| self.texts.intern(&self.how.pseudonym(kind, self.old.get(text))))
    }

    fn keep(&mut self, text: TextId) -> TextId {
        self.texts.intern(self.old.get(text))
    }

    /// The first word of a state: Slurm adds who cancelled a job (`CANCELLED by 1000`).
    fn state(&mut self, text: TextId) -> TextId {
        let word = self.old.get(text).split_whitespace().next().unwrap_or_default();
        self.texts.intern(word)
    }

    fn labels(&mut self, labels: &Labels) -> Labels {
        Labels {
            user: self.hide("user", labels.user),
            account: self.hide("account", labels.account),
            partition: self.hide("partition", labels.partition),
            qos: self.hide("qos", labels.qos),
            name: self.hide("job", labels.name),
            class: labels.class.map(|class| self.keep(class)),
            tenant: self.hide("tenant", labels.tenant),
        }
    }

    fn request(&mut self, request: &Request) -> Request {
        let mut new = request.clone();
        new.gpu_types = request.gpu_types.iter().map(|text| self.keep(*text)).collect();
        new.features = request.features.iter().map(|text| self.keep(*text)).collect();
        new.mig_profile = request.mig_profile.map(|text| self.keep(text));
        if !self.how.keep_sizes {
            for count in [
                &mut new.nodes,
                &mut new.tasks,
                &mut new.tasks_per_node,
                &mut new.cpus,
                &mut new.cpus_per_task,
                &mut new.gpus,
                &mut new.gpus_per_node,
                &mut new.gpus_per_task,
            ]
            .into_iter()
            .flatten()
            {
                *count = count.checked_next_power_of_two().map_or(*count, |n| n.min(1 << 30));
            }
            for amount in [&mut new.mem_mb_per_node, &mut new.gpu_mem_mib].into_iter().flatten() {
                *amount = amount.next_power_of_two();
            }
        }
        new
    }

    fn extras(&mut self, extras: &Extras, shift: i64) -> Extras {
        let mut new = extras.clone();
        for time in [&mut new.begin, &mut new.cancel].into_iter().flatten() {
            *time = moved(*time, shift);
        }
        new.other = extras
            .other
            .iter()
            .map(|(name, value)| {
                let (key, text) = (self.old.get(*name), self.old.get(*value));
                let text = match (key, parse_seconds_micros(text.as_bytes())) {
                    ("reservation", _) => self.how.pseudonym(key, text),
                    ("deadline_s", Ok(micros)) => moved(SimTime::from_micros(micros), shift).to_string(),
                    _ => text.to_owned(),
                };
                (self.texts.intern(key), self.texts.intern(&text))
            })
            .collect();
        new
    }
}

/// Job ids become 1, 2, 3, ... in submit order; the tasks of an array share one number.
fn rename_jobs(old: &Workload, new: &mut Workload, texts: &mut Texts) {
    let mut arrays: FxHashMap<TextId, u32> = FxHashMap::default();
    let mut last = 0;
    let mut at_extras = 0;
    for at in 0..old.jobs.len() {
        let id = JobId::new(at);
        while new.extras.get(at_extras).is_some_and(|(extra, _)| *extra < id) {
            at_extras += 1;
        }
        let extras =
            new.extras.get_mut(at_extras).filter(|(extra, _)| *extra == id).map(|(_, extras)| extras);
        let array = extras.and_then(|extras| extras.array.as_mut());
        let mut next = || {
            last += 1;
            last
        };
        new.jobs[id].name = match array {
            None => JobName::Number(next()),
            Some((array, index)) => {
                let number = *arrays.entry(*array).or_insert_with(next);
                *array = texts.intern(&number.to_string());
                JobName::Text(texts.intern(&format!("{number}_{index}")))
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::{ReadOptions, read_stream};
    use crate::workload::write::write_csv;

    const TRACE: &str = "job_id,submit_s,run_s,user,account,name,nodes,array,after,reservation,state,deadline_s\n\
        500,1000,60,ann,physics,secret-run,3,0-1%1,,,COMPLETED,2000\n\
        700,1010,60,bob,physics,,5,,afterok:500_1,maintenance,CANCELLED by 1000,\n";

    fn hidden(how: &Anonymizer) -> String {
        let trace = read_stream(TRACE.as_bytes(), "t.csv", &ReadOptions::default()).expect("valid");
        let mut text = Vec::new();
        write_csv(&anonymize(trace, how), &mut text).expect("memory takes all");
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn names_go_and_structure_stays() {
        let how = Anonymizer { salt: "pepper".to_owned(), keep_times: false, keep_sizes: false };
        let text = hidden(&how);
        for secret in ["ann", "bob", "physics", "secret", "maintenance", "500", "700", "by 1000"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let (ann, physics) = (how.pseudonym("user", "ann"), how.pseudonym("account", "physics"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with(&format!("1,0,60,{ann},{physics},")), "{}", lines[1]);
        assert!(lines[1].contains(",4,") && lines[1].contains("0%1"), "{}", lines[1]);
        assert!(lines[3].starts_with("2,10,60,") && lines[3].contains("afterok:1_1"), "{}", lines[3]);
        assert!(lines[3].ends_with("CANCELLED"), "{}", lines[3]);
        assert_eq!(text, hidden(&how));
    }

    #[test]
    fn another_salt_gives_other_names_and_kept_values_stay() {
        let how = |salt: &str| Anonymizer { salt: salt.to_owned(), keep_times: true, keep_sizes: true };
        assert_ne!(how("a").pseudonym("user", "ann"), how("b").pseudonym("user", "ann"));
        assert_ne!(how("a").pseudonym("user", "ann"), how("a").pseudonym("account", "ann"));
        let text = hidden(&how("a"));
        assert!(text.contains("1,1000,60,") && text.contains(",3,"), "{text}");
    }
}
