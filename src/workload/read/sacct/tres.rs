//! TRES strings (`cpu=12,mem=48000M,node=1,gres/gpu:a100=2`), GRES of older versions (`gpu:a100:2`),
//! memory sizes and job ids.

/// Bit that marks ReqMem as memory per CPU in raw values of older versions.
const MEM_PER_CPU: u64 = 1 << 31;

/// The amounts of one TRES string that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::workload::read) struct Tres {
    pub cpus: Option<u32>,
    pub nodes: Option<u32>,
    /// In all, MiB.
    pub mem_mib: Option<u64>,
    pub gpus: Option<u32>,
    /// Of typed GPUs: type and, for a MIG instance, its profile.
    pub gpu_type: Option<String>,
    pub mig_profile: Option<String>,
}

impl Tres {
    /// Reads ReqTRES or AllocTRES; what is not known is passed over.
    pub fn read(text: &str) -> Self {
        let mut tres = Self::default();
        let mut typed = 0u32;
        for (name, value) in text.split(',').filter_map(|pair| pair.split_once('=')) {
            match name {
                "cpu" => tres.cpus = count(value),
                "node" => tres.nodes = count(value),
                "mem" => tres.mem_mib = size_mib(value),
                "gres/gpu" => tres.gpus = value.parse().ok(),
                _ => {
                    if let Some(kind) = name.strip_prefix("gres/gpu:") {
                        typed += value.parse::<u32>().unwrap_or(0);
                        tres.set_kind(kind);
                    }
                }
            }
        }
        tres.gpus = tres.gpus.or((typed > 0).then_some(typed));
        tres
    }

    /// Reads ReqGRES or AllocGRES of versions before 20.11: `gpu:2`, `gpu:a100:2`, `gres:gpu:a100:2`.
    pub fn read_gres(text: &str) -> Self {
        let mut tres = Self::default();
        for word in without_sockets(text).split(',') {
            let word = word.strip_prefix("gres:").or_else(|| word.strip_prefix("gres/")).unwrap_or(word);
            let parts: Vec<&str> = word.split(':').collect();
            match parts[..] {
                ["gpu"] => tres.gpus = Some(1),
                ["gpu", number] if number.bytes().all(|c| c.is_ascii_digit()) => {
                    tres.gpus = number.parse().ok()
                }
                ["gpu", kind] => {
                    tres.gpus = Some(1);
                    tres.set_kind(kind);
                }
                ["gpu", kind, number] => {
                    tres.gpus = number.parse().ok();
                    tres.set_kind(kind);
                }
                _ => {}
            }
        }
        tres
    }

    /// `a100`, `a100_1g.10gb` or `1g.10gb`.
    fn set_kind(&mut self, kind: &str) {
        let (board, profile) = match kind.rsplit_once('_') {
            Some((board, profile)) if is_mig(profile) => (board, profile),
            _ if is_mig(kind) => ("", kind),
            _ => (kind, ""),
        };
        if !board.is_empty() {
            self.gpu_type = Some(board.to_owned());
        }
        if !profile.is_empty() {
            self.mig_profile = Some(profile.to_owned());
        }
    }
}

/// `1g.10gb`, with an optional suffix such as `+me`.
fn is_mig(text: &str) -> bool {
    let Some((slices, memory)) = text.split_once("g.") else { return false };
    let gigabytes = memory.split("gb").next().unwrap_or("");
    !slices.is_empty()
        && slices.bytes().all(|c| c.is_ascii_digit())
        && memory.contains("gb")
        && !gigabytes.is_empty()
        && gigabytes.bytes().all(|c| c.is_ascii_digit())
}

fn count(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|n| *n > 0 && i32::try_from(*n).is_ok())
}

/// The value of one TRES (`gres/gpuutil`) in a usage string.
pub(super) fn usage<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name).map(|(_, v)| v)
}

/// `48000M`, `199G`, `4.1T`, `7954688K`, or bytes without unit (`mem=0`), in MiB, rounded up.
pub(super) fn size_mib(text: &str) -> Option<u64> {
    size_bytes(text, 1).map(|bytes| bytes.div_ceil(1 << 20))
}

/// A size in bytes; a number without unit counts in `plain` bytes.
pub(super) fn size_bytes(text: &str, plain: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => plain,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        "T" | "t" => 1 << 40,
        "P" | "p" => 1 << 50,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: u64 = whole.parse().ok()?;
    let digits: String = fraction.chars().take(4).collect();
    let part = match digits.parse::<u64>() {
        Ok(part) => u128::from(part) * u128::from(unit) / 10u128.pow(digits.len() as u32),
        Err(_) if fraction.is_empty() => 0,
        Err(_) => return None,
    };
    let bytes = u128::from(whole) * u128::from(unit) + part;
    u64::try_from(bytes).ok().filter(|bytes| *bytes < 1 << 60)
}

/// What ReqMem says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReqMem {
    PerNode(u64),
    PerCpu(u64),
    /// Of the whole job (versions from 21.08 on, which print no mark).
    Total(u64),
}

impl ReqMem {
    /// `48000Mn`, `4Gc`, `32G`; `2147486448Mn` is 2800 MiB per CPU, the mark left in the number.
    pub fn read(text: &str) -> Option<Self> {
        let (size, per) = match text.strip_suffix('n') {
            Some(size) => (size, 'n'),
            None => text.strip_suffix('c').map_or((text, ' '), |size| (size, 'c')),
        };
        let mib = size_bytes(size, 1 << 20)? >> 20;
        match per {
            'n' if mib >= MEM_PER_CPU => Some(Self::PerCpu(mib - MEM_PER_CPU)),
            'n' => Some(Self::PerNode(mib)),
            'c' => Some(Self::PerCpu(mib)),
            _ => Some(Self::Total(mib)),
        }
        .filter(|mem| !matches!(mem, Self::PerNode(0) | Self::PerCpu(0) | Self::Total(0)))
    }

    /// Memory of each node.
    pub fn per_node(self, cpus: Option<u32>, nodes: Option<u32>) -> Option<u64> {
        let nodes = u64::from(nodes.unwrap_or(1).max(1));
        match self {
            Self::PerNode(mib) => Some(mib),
            Self::PerCpu(mib) => Some((mib * u64::from(cpus?)).div_ceil(nodes)),
            Self::Total(mib) => Some(mib.div_ceil(nodes)),
        }
    }
}

/// A job id of Slurm, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JobKey<'a> {
    /// The job without step: `123`, `123_4`, `123+1`.
    pub job: &'a str,
    /// The id before `_` or `+`.
    pub base: &'a str,
    /// Indices of an array of which no task has started (`1-5%2`), without brackets.
    pub waiting_tasks: Option<&'a str>,
    pub is_het: bool,
    pub step: Option<&'a str>,
}

impl<'a> JobKey<'a> {
    /// `None` where the text is no id of Slurm.
    pub fn read(text: &'a str) -> Option<Self> {
        let (job, step) = match text.split_once('.') {
            None => (text, None),
            Some((job, step)) => (job, Some(step)),
        };
        let end = job.find(['_', '+']).unwrap_or(job.len());
        let base = &job[..end];
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let tail = &job[end..];
        let is_het = tail.contains('+');
        let waiting_tasks = tail.strip_prefix("_[").and_then(|tail| tail.strip_suffix(']'));
        let good_tail = tail.is_empty() || waiting_tasks.is_some() || tail[1..].split('+').all(is_number);
        (is_number(base) && good_tail).then_some(Self { job, base, waiting_tasks, is_het, step })
    }
}

/// Leaves out what stands in parentheses: `(S:0-1)`, the sockets of a device.
fn without_sockets(text: &str) -> String {
    let mut inside = false;
    let outside = |c: &char| {
        let keep = !inside && *c != '(';
        inside = (inside || *c == '(') && *c != ')';
        keep
    };
    text.chars().filter(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tres_strings() {
        let tres = Tres::read("billing=24,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=199G,node=1");
        assert_eq!((tres.cpus, tres.nodes, tres.gpus), (Some(8), Some(1), Some(2)));
        assert_eq!(tres.mem_mib, Some(199 * 1024));
        assert_eq!(tres.gpu_type.as_deref(), Some("a100"));
        let mig = Tres::read("cpu=1,gres/gpu:h100_1g.10gb=1");
        assert_eq!((mig.gpus, mig.gpu_type.as_deref()), (Some(1), Some("h100")));
        assert_eq!(mig.mig_profile.as_deref(), Some("1g.10gb"));
        assert_eq!(Tres::read(""), Tres::default());
        assert_eq!(Tres::read_gres("gpu:a100:2(S:0-1)").gpus, Some(2));
        assert_eq!(Tres::read_gres("gpu:a100:2(S:0,3),craynetwork:1").gpus, Some(2));
        assert_eq!(Tres::read_gres("craynetwork:1,gpu:4").gpus, Some(4));
        assert_eq!(usage("cpu=00:01:00,gres/gpuutil=54,mem=1K", "gres/gpuutil"), Some("54"));
    }

    #[test]
    fn sizes() {
        assert_eq!(size_mib("7954688K"), Some(7769), "7768.25 is rounded up");
        assert_eq!(size_mib("1.5G"), Some(1536));
        assert_eq!(size_mib("0"), Some(0));
        assert_eq!(size_mib("5X"), None);
    }

    #[test]
    fn requested_memory() {
        assert_eq!(ReqMem::read("48000Mn"), Some(ReqMem::PerNode(48_000)));
        assert_eq!(ReqMem::read("4Gc"), Some(ReqMem::PerCpu(4096)));
        assert_eq!(ReqMem::read("199G"), Some(ReqMem::Total(199 * 1024)));
        assert_eq!(ReqMem::read("2147486448Mn"), Some(ReqMem::PerCpu(2800)));
        assert_eq!(ReqMem::read("0n"), None);
        assert_eq!(ReqMem::read("?"), None);
        assert_eq!(ReqMem::PerCpu(2800).per_node(Some(12), Some(2)), Some(16_800));
    }

    #[test]
    fn job_ids() {
        let key = JobKey::read("123_4.batch").expect("a step");
        assert_eq!((key.job, key.base, key.step), ("123_4", "123", Some("batch")));
        assert_eq!(JobKey::read("123_[1-5%2]").expect("an array").waiting_tasks, Some("1-5%2"));
        assert!(JobKey::read("123+1.0").expect("a component").is_het);
        assert_eq!(JobKey::read("123").expect("a job").job, "123");
        for text in ["", "abc", "12x", "_3", "123_a", "12+"] {
            assert_eq!(JobKey::read(text), None, "{text}");
        }
    }
}
