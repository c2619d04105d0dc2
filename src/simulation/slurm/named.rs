//! Names of GRES types in requests, where they are names of boards or of their instances.

use crate::cluster::ClusterSpec;
use crate::cluster::mig::GpuModel;
use crate::ids::Id;
use crate::scheduler::shared::SharedSetup;
use crate::scheduler::slurm::config::{NodeConf, SlurmConfig};
use crate::workload::{Request, Workload};

/// The jobs with the names of boards and MIG profiles in place of those of slurm.conf; `None` where nobody uses such.
///
/// A type that ends with a profile of the boards of its nodes (`1g.10gb`, `h100_1g.10gb`) asks for that profile; any
/// other type of such nodes for whole boards.
pub(super) fn named_parts(
    workload: &Workload,
    (cluster, setup): (&ClusterSpec, &SharedSetup),
    config: &SlurmConfig,
) -> Option<Workload> {
    let mut first = 0;
    let mut cut: Vec<(&NodeConf, &'static GpuModel, &str)> = Vec::new();
    for (pool, cards) in cluster.pools.iter().zip(&setup.cards) {
        let node = config.nodes.get(first);
        first += pool.count as usize;
        let model = cards.mig().map(|mig| mig.model);
        let boards = node.zip(model).zip(pool.node.gpu_type.as_deref());
        cut.extend(boards.map(|((node, model), board)| (node, model, board)));
    }
    if cut.is_empty() {
        return None;
    }
    let mut named = workload.clone();
    let mut any = false;
    for at in 0..workload.jobs.len() {
        let job = Id::new(at);
        let request = workload.requests.get(workload.jobs[job].request);
        let Some(renamed) = renamed(request, &mut named, &cut, config) else { continue };
        named.jobs[job].request = named.requests.intern(&renamed);
        any = true;
    }
    any.then_some(named)
}

fn renamed(
    request: &Request,
    named: &mut Workload,
    cut: &[(&NodeConf, &'static GpuModel, &str)],
    config: &SlurmConfig,
) -> Option<Request> {
    let [text] = request.gpu_types.as_slice() else { return None };
    let kind = named.texts.get(*text).to_owned();
    let device = config.find_device_type(&kind)?;
    let has = |node: &NodeConf| node.gres.iter().any(|gres| gres.device_type == Some(device));
    let (_, model, board) = cut.iter().find(|(node, ..)| has(node))?;
    let profile = kind.rsplit_once('_').map_or(kind.as_str(), |(_, profile)| profile);
    let mut renamed = request.clone();
    if model.find(profile).is_ok() {
        renamed.mig_profile = Some(named.texts.intern(profile));
    }
    if *board != kind {
        let board = named.texts.intern(board);
        renamed.gpu_types = std::iter::once(board).collect();
    }
    (renamed != *request).then_some(renamed)
}
