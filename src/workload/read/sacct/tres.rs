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
    /// A part that cannot be read.
    pub unread: Option<String>,
    /// Shares of GPUs (`gres/shard`, `gres/mps`).
    pub has_shares: bool,
    /// Devices that are no GPUs, or a TRES that is not known.
    pub has_others: bool,
    /// GPUs of more than one type.
    pub has_several_types: bool,
    /// Licences as `--licenses` names them.
    pub licences: String,
}

/// TRES that say nothing about what a job needs here.
const WITHOUT_NEED: [&str; 4] = ["billing", "energy", "vmem", "pages"];

impl Tres {
    /// Reads ReqTRES or AllocTRES. What is not used is passed over or, where it may matter, noted.
    pub fn read(text: &str) -> Self {
        let mut tres = Self::default();
        let mut typed = 0u32;
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let name_and_value = pair.split_once('=').map(|(name, value)| (name.to_ascii_lowercase(), value));
            let Some((name, value)) = name_and_value else {
                tres.unread.get_or_insert_with(|| pair.to_owned());
                continue;
            };
            let number = count(value);
            let known = match name.as_str() {
                "cpu" => number.map(|n| tres.cpus = n),
                "node" => number.map(|n| tres.nodes = n),
                "mem" => size_mib(value).map(|mib| tres.mem_mib = Some(mib)),
                "gres/gpu" => number.map(|n| tres.gpus = Some(n.unwrap_or(0))),
                "gres/shard" | "gres/mps" => number.map(|n| tres.has_shares |= n.is_some()),
                _ if name.starts_with("gres/gpu:") => number.map(|n| {
                    typed = typed.saturating_add(n.unwrap_or(0));
                    if n.is_some() {
                        tres.set_kind(&pair["gres/gpu:".len()..pair.len() - value.len() - 1]);
                    }
                }),
                _ if name.starts_with("gres/shard:") || name.starts_with("gres/mps:") => {
                    number.map(|n| tres.has_shares |= n.is_some())
                }
                _ if WITHOUT_NEED.contains(&name.as_str()) => Some(()),
                _ if name.starts_with("license/") => number.map(|n| {
                    let name = &pair["license/".len()..pair.len() - value.len() - 1];
                    tres.add_licence(name, n.unwrap_or(0));
                }),
                _ if ["fs/", "bb/", "ic/", "interconnect/"].iter().any(|k| name.starts_with(k)) => Some(()),
                _ => {
                    tres.has_others = true;
                    Some(())
                }
            };
            if known.is_none() {
                tres.unread.get_or_insert_with(|| pair.to_owned());
            }
        }
        tres.gpus = tres.gpus.or((typed > 0).then_some(typed));
        tres
    }

    fn add_licence(&mut self, name: &str, count: u32) {
        if count > 0 {
            let before = if self.licences.is_empty() { "" } else { "," };
            self.licences += &format!("{before}{name}:{count}");
        }
    }

    /// Reads ReqGRES or AllocGRES of versions before 20.11: `gpu:2`, `gpu:a100:2`, `gres:gpu:a100:2`.
    pub fn read_gres(text: &str) -> Self {
        let mut tres = Self::default();
        for word in without_sockets(text).split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let word = word.strip_prefix("PER_NODE:").unwrap_or(word);
            let word = word.strip_prefix("gres:").or_else(|| word.strip_prefix("gres/")).unwrap_or(word);
            let parts: Vec<&str> = word.split(':').collect();
            let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
            let (kind, number) = match parts[..] {
                ["gpu"] => ("", "1"),
                ["gpu", number] if is_number(number) => ("", number),
                ["gpu", kind] => (kind, "1"),
                ["gpu", kind, number] => (kind, number),
                ["shard" | "mps", ..] => {
                    tres.has_shares = true;
                    continue;
                }
                ["(null)" | "N/A" | "none"] | ["0"] => continue,
                _ => {
                    tres.has_others = true;
                    continue;
                }
            };
            let Some(n) = count(number) else {
                tres.unread.get_or_insert_with(|| word.to_owned());
                continue;
            };
            tres.gpus = Some(tres.gpus.unwrap_or(0) + n.unwrap_or(0));
            if !kind.is_empty() {
                tres.set_kind(kind);
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
        let before = (self.gpu_type.take(), self.mig_profile.take());
        self.gpu_type = Some(board.to_owned()).filter(|board| !board.is_empty());
        self.mig_profile = Some(profile.to_owned()).filter(|profile| !profile.is_empty());
        let is_first = before == (None, None);
        self.has_several_types |= !is_first && before != (self.gpu_type.clone(), self.mig_profile.clone());
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

/// A count as sacct prints it: `64`, `64.0` (a spreadsheet was here), `2K` (2048); zero says that there is none.
/// `None` where it is no count.
pub(super) fn count(text: &str) -> Option<Option<u32>> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let whole = match (digits.len() == text.len(), digits.split_once('.')) {
        (true, Some((whole, fraction))) => {
            fraction.bytes().all(|c| c == b'0').then_some(())?;
            whole.parse::<u64>().ok()?
        }
        (true, None) => digits.parse::<u64>().ok()?,
        (false, _) => size_bytes(text, 1)?,
    };
    let number = i32::try_from(whole).ok()?;
    Some(u32::try_from(number).ok().filter(|n| *n > 0))
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
    /// `48000Mn`, `4Gc`, `32G`; `2147486448Mn` is 2800 MiB per CPU, the mark left in the number. `None` where
    /// it is no size, `Some(None)` where it says that none was asked for.
    pub fn read(text: &str) -> Option<Option<Self>> {
        let (size, per) = match text.strip_suffix('n') {
            Some(size) => (size, 'n'),
            None => text.strip_suffix('c').map_or((text, ' '), |size| (size, 'c')),
        };
        let mib = size_bytes(size, 1 << 20)?.div_ceil(1 << 20);
        let read = match per {
            'n' if mib >= MEM_PER_CPU => Self::PerCpu(mib - MEM_PER_CPU),
            'n' => Self::PerNode(mib),
            'c' => Self::PerCpu(mib),
            _ => Self::Total(mib),
        };
        Some(Some(read).filter(|mem| !matches!(mem, Self::PerNode(0) | Self::PerCpu(0) | Self::Total(0))))
    }

    /// Memory of each node.
    pub fn per_node(self, cpus: Option<u32>, nodes: Option<u32>) -> Option<u64> {
        let nodes = u64::from(nodes.unwrap_or(1).max(1));
        match self {
            Self::PerNode(mib) => Some(mib),
            Self::PerCpu(mib) => Some(mib.saturating_mul(u64::from(cpus?)).div_ceil(nodes)),
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
        assert_eq!(Tres::read("cpu=abc,node=1").unread.as_deref(), Some("cpu=abc"));
        assert!(Tres::read("cpu=8,gres/shard=4").has_shares);
        assert!(Tres::read("gres/gpu:3g.40gb=2,gres/gpu:4g.40gb=1").has_several_types);
        assert!(!Tres::read("gres/gpu:a100=2,gres/gpu=2,billing=3,license/x=1").has_several_types);
        assert_eq!(Tres::read_gres("gpu:a100:2(S:0-1)").gpus, Some(2));
        assert_eq!(Tres::read_gres("gpu:a100:2(S:0,3),craynetwork:1").gpus, Some(2));
        assert_eq!(Tres::read_gres("craynetwork:1,gpu:4").gpus, Some(4));
        assert_eq!(usage("cpu=00:01:00,gres/gpuutil=54,mem=1K", "gres/gpuutil"), Some("54"));
    }

    #[test]
    fn counts() {
        for (text, want) in [
            ("64", Some(Some(64))),
            ("64.0", Some(Some(64))),
            ("2K", Some(Some(2048))),
            ("1.50K", Some(Some(1536))),
            ("0", Some(None)),
            ("4.5", None),
            ("abc", None),
            ("4Q", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(count(text), want, "{text}");
        }
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
        assert_eq!(ReqMem::read("48000Mn"), Some(Some(ReqMem::PerNode(48_000))));
        assert_eq!(ReqMem::read("4Gc"), Some(Some(ReqMem::PerCpu(4096))));
        assert_eq!(ReqMem::read("199G"), Some(Some(ReqMem::Total(199 * 1024))));
        assert_eq!(ReqMem::read("2147486448Mn"), Some(Some(ReqMem::PerCpu(2800))));
        assert_eq!(ReqMem::read("0n"), Some(None), "none asked for");
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
