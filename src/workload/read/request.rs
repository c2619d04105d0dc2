//! The cells that say what a job asks for, and who and what it is.

use super::cells::Cell;
use super::columns::Column as C;
use super::problem::Problem;
use crate::workload::{Labels, Request, Texts};

/// Puts one cell of a request into `request`. Zero GPUs, GPU shares and memory mean the same as an
/// empty cell: none asked for; zero nodes, tasks or CPUs are out of range.
pub(super) fn put_request(
    request: &mut Request,
    column: C,
    cell: Cell<'_>,
    texts: &mut Texts,
) -> Result<(), Problem> {
    let some_above_zero = |n: u32| Some(n).filter(|n| *n > 0);
    match column {
        C::Nodes => request.nodes = Some(cell.count(1)?),
        C::Tasks => request.tasks = Some(cell.count(1)?),
        C::TasksPerNode => request.tasks_per_node = Some(cell.count(1)?),
        C::Cpus => request.cpus = Some(cell.count(1)?),
        C::CpusPerTask => request.cpus_per_task = Some(cell.count(1)?),
        C::MemMb => request.mem_mb_per_node = amount(cell)?,
        C::Gpus => request.gpus = some_above_zero(cell.count(0)?),
        C::GpusPerNode => request.gpus_per_node = some_above_zero(cell.count(0)?),
        C::GpusPerTask => request.gpus_per_task = some_above_zero(cell.count(0)?),
        C::GpuType => request.gpu_types = list(cell, '|', texts)?,
        C::GpuMilli => {
            let milli = cell.integer(0, 1000).map_err(|p| p.help("1000 is one whole GPU; more is `gpus`"))?;
            request.gpu_milli = u32::try_from(milli).ok().filter(|n| *n > 0);
        }
        C::GpuMemMib => request.gpu_mem_mib = amount(cell)?,
        C::MigProfile => request.mig_profile = Some(texts.intern(cell.str())),
        C::Features => request.features = list(cell, '&', texts)?,
        C::Exclusive => request.exclusive = cell.yes_no()?,
        _ => unreachable!("only columns of the request part come here"),
    }
    Ok(())
}

/// An amount of memory; zero = not said.
fn amount(cell: Cell<'_>) -> Result<Option<u64>, Problem> {
    // 2^40 MiB is more than any node will have and keeps sums over nodes far from overflow.
    let value = cell.integer(0, 1 << 40)?;
    Ok(u64::try_from(value).ok().filter(|n| *n > 0))
}

fn list(
    cell: Cell<'_>,
    separator: char,
    texts: &mut Texts,
) -> Result<smallvec::SmallVec<[crate::ids::TextId; 1]>, Problem> {
    cell.str()
        .split(separator)
        .map(|word| match word.trim() {
            "" => Err(cell.wrong_type(&format!("a list of names with '{separator}' between them"))),
            word => Ok(texts.intern(word)),
        })
        .collect()
}

/// Puts one cell of the labels into `labels`.
pub(super) fn put_label(labels: &mut Labels, column: C, cell: Cell<'_>, texts: &mut Texts) {
    let id = Some(texts.intern(cell.str()));
    match column {
        C::User => labels.user = id,
        C::Account => labels.account = id,
        C::Partition => labels.partition = id,
        C::Qos => labels.qos = id,
        C::Name => labels.name = id,
        C::Class => labels.class = id,
        C::Tenant => labels.tenant = id,
        _ => unreachable!("only columns of the labels part come here"),
    }
}
