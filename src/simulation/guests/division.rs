//! What a job lost, by pool, where it is in several: under Slurm's policy a partition may hold nodes of many pools.

use smallvec::SmallVec;

use crate::ids::PoolId;
use crate::simulation::meter::{DeviceTax, Held, Tax};
use crate::time::SimDuration;

/// Amounts of a tax, in the order of its fields.
const KINDS: usize = 7;

/// Divides `tax` on a job that held `asked` for `held`: in proportion, to the unit, and to no pool more than was held
/// there.
pub(super) fn divide(
    tax: &Tax,
    asked: &[(PoolId, Held)],
    held: SimDuration,
) -> impl Iterator<Item = (PoolId, Tax)> {
    let gpu = of_device(&tax.gpu, asked, held, |asked| asked.gpu_units);
    let cpu = of_device(&tax.cpu, asked, held, Held::cpu_units);
    let pools: SmallVec<[PoolId; 4]> = asked.iter().map(|(pool, _)| *pool).collect();
    pools.into_iter().zip(gpu.into_iter().zip(cpu)).map(|(pool, (gpu, cpu))| (pool, Tax { gpu, cpu }))
}

fn of_device(
    tax: &DeviceTax,
    asked: &[(PoolId, Held)],
    held: SimDuration,
    units: impl Fn(&Held) -> u64,
) -> Vec<DeviceTax> {
    let whole: Vec<i128> = asked.iter().map(|(_, asked)| Tax::whole(units(asked), held)).collect();
    let sum: i128 = whole.iter().sum();
    let amounts = amounts_of(tax);
    let part = |whole: &i128| amounts.map(|amount| if sum == 0 { 0 } else { amount * whole / sum });
    let mut parts: Vec<[i128; KINDS]> = whole.iter().map(part).collect();
    for (kind, amount) in amounts.iter().enumerate() {
        // What rounding left goes where there is room.
        let mut rest = amount - parts.iter().map(|part| part[kind]).sum::<i128>();
        for (part, whole) in parts.iter_mut().zip(&whole) {
            let more = rest.min(whole - part.iter().sum::<i128>());
            part[kind] += more;
            rest -= more;
        }
    }
    parts.iter().map(tax_of).collect()
}

fn amounts_of(tax: &DeviceTax) -> [i128; KINDS] {
    [tax.virtualization, tax.neighbours, tax.communication, tax.startup, tax.held_idle, tax.storage, tax.lost]
}

fn tax_of(amounts: &[i128; KINDS]) -> DeviceTax {
    let [virtualization, neighbours, communication, startup, held_idle, storage, lost] = *amounts;
    DeviceTax { virtualization, neighbours, communication, startup, held_idle, storage, lost }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Id;
    use crate::random::Stream;

    #[test]
    fn nothing_is_lost_on_the_way_and_no_pool_pays_more_than_it_held() {
        let mut draw = Stream::new(1, "division", 0, 0);
        for _ in 0..2_000 {
            let mut next = |most: u64| draw.below(most) as u32;
            let pools = 2 + next(3);
            let asked: Vec<(PoolId, Held)> = (0..pools)
                .map(|at| {
                    let amounts = Held { cpus: 1 + next(9), gpu_units: 21_000 * u64::from(next(4)) };
                    (PoolId::new(at as usize), amounts)
                })
                .collect();
            let held = SimDuration::from_micros(1 + i64::from(next(50)));
            let gpus = asked.iter().map(|(_, amounts)| amounts.gpu_units).sum();
            let cpus = asked.iter().map(|(_, amounts)| amounts.cpu_units()).sum();
            let mut random = |units: u64| {
                let mut left = Tax::whole(units, held);
                let amounts = std::array::from_fn(|kind| {
                    let most = u64::try_from(left).unwrap() + 1;
                    let amount = if kind + 1 == KINDS { left } else { i128::from(draw.below(most)) };
                    left -= amount;
                    amount
                });
                tax_of(&amounts)
            };
            let tax = Tax { gpu: random(gpus), cpu: random(cpus) };
            let mut sums = [[0; KINDS]; 2];
            for ((_, part), (_, amounts)) in divide(&tax, &asked, held).zip(&asked) {
                let rows = [(part.gpu, amounts.gpu_units), (part.cpu, amounts.cpu_units())];
                for ((part, units), sum) in rows.into_iter().zip(&mut sums) {
                    assert!(amounts_of(&part).iter().all(|amount| *amount >= 0));
                    assert!(part.sum() <= Tax::whole(units, held));
                    sum.iter_mut().zip(amounts_of(&part)).for_each(|(sum, amount)| *sum += amount);
                }
            }
            assert_eq!(sums, [amounts_of(&tax.gpu), amounts_of(&tax.cpu)]);
        }
    }
}
