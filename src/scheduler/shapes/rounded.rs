//! Parts of a GPU asked for where GPUs are given whole: the job gets a whole one.
//!
//! What it did not ask for is slack. A profile that the board does not have stays a refusal: it says that the job is
//! meant for other hardware, and nothing tells what part of this one it needs.

use super::Infeasible;
use crate::cluster::NodeSpec;
use crate::cluster::cards::{CARD_UNITS, slice_units};
use crate::cluster::mig::{SliceShare, find_model};
use crate::scheduler::shared::demand::Reference;
use crate::workload::{Request, Workload};

/// The part of a board that a job asks for, and gets a whole board instead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoardPart {
    /// In hours units; less than those of a whole GPU.
    pub units: u32,
    /// What the job was measured on.
    pub reference: Reference,
}

impl BoardPart {
    /// The part that each GPU of a request is on nodes that give GPUs whole; `None` = a whole one.
    ///
    /// # Errors
    /// [`Infeasible::NoProfile`] where the node's board does not have the profile.
    pub fn of(request: &Request, workload: &Workload, node: &NodeSpec) -> Result<Option<Self>, Infeasible> {
        if let Some(text) = request.mig_profile {
            let (name, board) =
                (workload.texts.get(text), node.gpu_type.as_deref().unwrap_or("the GPU of the pool"));
            let found = find_model(board).ok();
            let found = found.and_then(|model| model.find(name).ok().map(|id| (model, model.profile(id))));
            let Some((model, profile)) = found else {
                return Err(Infeasible::NoProfile { profile: name.to_owned(), gpu: board.to_owned() });
            };
            let units = slice_units(model, profile.compute_slices);
            let reference = Reference::Instance(SliceShare::of(model, profile));
            return Ok((units < CARD_UNITS).then_some(Self { units, reference }));
        }
        let milli = request.gpu_milli.filter(|milli| *milli > 0 && *milli < 1000).map(|milli| milli as u16);
        Ok(milli.map(|milli| Self {
            units: u32::from(milli) * (CARD_UNITS / 1000),
            reference: Reference::Milli(milli),
        }))
    }
}
