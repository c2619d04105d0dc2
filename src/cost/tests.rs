//! The room's arithmetic against worked examples, and its sums to the millionth.

use super::flow::cash_flow;
use super::*;

fn money(units: f64) -> Money {
    Money::from_decimal(units).unwrap()
}

fn hours(h: i64) -> SimDuration {
    SimDuration::from_s(h * 3600)
}

fn years(years: i64) -> SimDuration {
    SimDuration::from_s(years * 31_557_600)
}

fn share(share: f64) -> Share {
    Share::from_decimal(share).unwrap()
}

fn rented(per: Per, amount: f64, currency: Currency) -> CostTerms {
    CostTerms::Rented(Box::new(Rented::new(currency, Price { per, amount: money(amount) })))
}

fn node_price(amount: f64) -> Price {
    Price { per: Per::Node, amount: money(amount) }
}

fn owned(price: Price, energy: Option<Energy>) -> CostTerms {
    CostTerms::Owned(Box::new(Owned { energy, ..Owned::new(Currency::USD, price, hours(1000)) }))
}

fn used(useful_gpu_us: i128, jobs: u64) -> Use {
    Use { useful_gpu_us, jobs, ..Use::default() }
}

fn figures(bills: &[PoolBill<'_>], use_of: &Use) -> Result<Option<CostFigures>, CostError> {
    let horizon = bills.first().map_or(SimDuration::from_s(0), |bill| bill.horizon);
    cost(&DesignBill { pools: bills.to_vec(), lines: &[], horizon }, use_of, WaitPrice::default())
}

#[test]
fn rent_is_paid_for_all_installed_hours() {
    let terms = rented(Per::Gpu, 2.5, Currency::USD);
    let bill = PoolBill::installed(&terms, 2, 8, hours(10));
    let figures = figures(&[bill], &used(80 * US_PER_HOUR, 4)).unwrap().unwrap();
    assert_eq!(figures.total, money(400.0), "2 nodes x 8 GPUs x 10 h x 2.50");
    assert_eq!(figures.per_gpu_hour, Some(money(2.5)));
    assert_eq!(figures.per_useful_gpu_hour, Some(money(5.0)), "half of the 160 GPU-hours was useful");
    assert_eq!(figures.per_job, Some(money(100.0)));
    assert_eq!(figures.parts, [(Part::Rent, money(400.0))]);
}

#[test]
fn owned_spreads_the_price_over_the_lifetime_and_adds_electricity() {
    let energy =
        Energy { watts_per_node: 8000, idle_watts_per_node: 2000, pue_milli: 1500, per_kwh: money(0.1) };
    let terms = owned(node_price(100_000.0), Some(energy));
    let busy = PoolBill::installed(&terms, 3, 8, hours(10));
    let all = figures(&[busy], &used(0, 0)).unwrap().unwrap();
    // 3 x 100000 x 10/1000 = 3000; 3 x 8 kW x 1.5 x 10 h x 0.1 = 36
    assert_eq!(all.total, money(3036.0));
    assert_eq!((all.per_useful_gpu_hour, all.per_job, all.per_allocated_gpu_hour), (None, None, None));
    let quarter = PoolBill { at_work: (1, 4), ..busy };
    let quarter = figures(&[quarter], &used(0, 0)).unwrap().unwrap();
    // 3 x (2 + 6/4) kW x 1.5 x 10 h x 0.1 = 15.75
    assert_eq!(quarter.total, money(3015.75));
}

#[test]
fn every_part_of_ownership_is_what_the_paper_says() {
    let terms = CostTerms::Owned(Box::new(Owned {
        network: Some(Attached::PerNode(money(8.0 * 2_000.0))),
        storage: Some(Attached::OfNodes(share(0.05))),
        spare_nodes: 1,
        residual: share(0.2),
        financing: share(0.06),
        support: share(0.1),
        colocation: Some(Colocation { watts_per_node: 10_200, per_kw_month: money(184.06) }),
        staff: Some(Staff { fte_milli: 500, per_fte_year: money(220_000.0) }),
        licences: vec![
            Licence {
                name: "vgpu".to_owned(),
                units_per_node: 8,
                least_units: 0,
                per_year: money(4500.0),
                once: Money::ZERO,
                per_hour: Money::ZERO,
            },
            Licence {
                name: "hypervisor".to_owned(),
                units_per_node: 112,
                least_units: 300,
                per_year: Money::ZERO,
                once: money(100.0),
                per_hour: Money::ZERO,
            },
        ],
        ..Owned::new(Currency::USD, node_price(300_000.0), years(5))
    }));
    let figures = figures(&[PoolBill::installed(&terms, 2, 8, years(1))], &used(0, 0)).unwrap().unwrap();
    let expected = [
        (Part::Hardware, 600_000.0 * 0.8 / 5.0),
        (Part::Network, 32_000.0 * 0.8 / 5.0),
        (Part::Storage, 30_000.0 * 0.8 / 5.0),
        (Part::Spares, 300_000.0 * 0.8 / 5.0),
        // (600000 + 32000 + 30000 + 300000) x 1.2/2 x 6 %; a licence has no residual: half of 300 x 100
        (Part::Financing, 962_000.0 * 0.6 * 0.06 + 30_000.0 * 0.5 * 0.06),
        (Part::Colocation, 20.4 * 12.0 * 184.06),
        (Part::Support, 66_200.0),
        (Part::Staff, 110_000.0),
        (Part::Licences, 16.0 * 4500.0 + 30_000.0 / 5.0),
    ];
    assert_eq!(figures.parts, expected.map(|(part, amount)| (part, money(amount))));
    assert_eq!(figures.total, figures.parts.iter().map(|(_, amount)| *amount).sum());
}

#[test]
fn owned_per_gpu_counts_gpus() {
    let terms = owned(Price { per: Per::Gpu, amount: money(1000.0) }, None);
    let figures = figures(&[PoolBill::installed(&terms, 2, 4, hours(1000))], &used(0, 0)).unwrap().unwrap();
    assert_eq!(figures.total, money(8000.0));
}

#[test]
fn rent_has_steps_discounts_and_extras() {
    let mut plain = Rented::new(Currency::USD, Price { per: Per::Gpu, amount: money(2.0) });
    plain.billing = Billing { while_used: true, step: hours(1) };
    plain.discount = share(0.25);
    plain.extras = Extras { per_month: money(365.25), of_rent: share(0.4) };
    assert_eq!(plain.billing.billed_us(US_PER_HOUR + 1), 2 * US_PER_HOUR);
    let terms = CostTerms::Rented(Box::new(plain));
    let bill =
        PoolBill { used_node_us: Some(30 * US_PER_HOUR), ..PoolBill::installed(&terms, 4, 8, hours(24)) };
    let figures = figures(&[bill], &used(0, 0)).unwrap().unwrap();
    // 30 h x 8 x 2 x 0.75 = 360; 12 for the day and 40 % of the rent
    assert_eq!(figures.parts, [(Part::Storage, money(12.0 + 144.0)), (Part::Rent, money(360.0))]);
}

#[test]
fn what_is_committed_has_the_discount_and_the_rest_has_not() {
    let mut reserved = Rented::new(Currency::USD, Price { per: Per::Node, amount: money(10.0) });
    reserved.discount = share(0.4);
    reserved.committed_months = 12;
    let terms = CostTerms::Rented(Box::new(reserved));
    let bill = PoolBill {
        used_node_us: Some(30 * US_PER_HOUR),
        on_demand_node_us: 6 * US_PER_HOUR,
        ..PoolBill::installed(&terms, 4, 8, hours(24))
    };
    let figures = figures(&[bill], &used(0, 0)).unwrap().unwrap();
    // 24 h x 10 x 0.6 and 6 h x 10.
    assert_eq!(figures.parts, [(Part::Rent, money(144.0 + 60.0))]);
}

#[test]
fn splits_sum_to_the_total_to_the_millionth() {
    let terms = owned(node_price(333_333.333_333), None);
    let bill = PoolBill::installed(&terms, 7, 8, hours(777));
    let mut use_of = used(12_345 * US_PER_HOUR, 997);
    for seed in 1..200i128 {
        use_of.hours = [seed * 7919 % 1009, seed * 104_729 % 997, seed * 1_299_709 % 1013];
        let figures = figures(&[bill], &use_of).unwrap().unwrap();
        let four = figures.four_parts;
        assert_eq!(four.licences + four.overhead + four.idle + four.at_work, figures.total);
    }
}

#[test]
fn undefined_figures_are_none() {
    let terms = rented(Per::Node, 1.0, Currency::USD);
    let no_gpus = figures(&[PoolBill::installed(&terms, 2, 0, hours(1))], &used(0, 0)).unwrap().unwrap();
    assert_eq!((no_gpus.total, no_gpus.per_gpu_hour), (money(2.0), None));
    let no_time = figures(&[PoolBill::installed(&terms, 2, 8, hours(0))], &used(0, 0)).unwrap().unwrap();
    assert_eq!((no_time.total, no_time.per_gpu_hour, no_time.per_month), (Money::ZERO, None, None));
    assert_eq!(figures(&[], &used(0, 0)), Ok(None));
}

#[test]
fn currencies_do_not_mix() {
    let euro = Currency::from_code("EUR").unwrap();
    let (a, b) = (rented(Per::Node, 1.0, Currency::USD), rented(Per::Node, 1.0, euro));
    let bills = [PoolBill::installed(&a, 1, 0, hours(1)), PoolBill::installed(&b, 1, 0, hours(1))];
    assert_eq!(figures(&bills, &used(0, 0)), Err(CostError::MixedCurrencies(Currency::USD, euro)));
}

#[test]
fn large_sites_and_long_horizons_stay_in_range() {
    let energy =
        Energy { watts_per_node: 120_000, idle_watts_per_node: 30_000, pue_milli: 2000, per_kwh: money(1.0) };
    let terms = CostTerms::Owned(Box::new(Owned {
        energy: Some(energy),
        residual: share(0.3),
        financing: share(0.0725),
        support: share(0.1),
        ..Owned::new(Currency::USD, node_price(4e6), hours(5 * 8766))
    }));
    let bill = PoolBill::installed(&terms, 100_000, 72, hours(100 * 8766));
    assert!(figures(&[bill], &used(1, 1)).is_ok());
}

#[test]
fn waiting_has_a_price_beside_the_total() {
    let terms = rented(Per::Node, 1.0, Currency::USD);
    let use_of = Use { waited_gpu_us: 30 * US_PER_HOUR, waited_us: 10 * US_PER_HOUR, ..Use::default() };
    let bill = DesignBill {
        pools: vec![PoolBill::installed(&terms, 1, 0, hours(1))],
        lines: &[],
        horizon: hours(1),
    };
    let price = WaitPrice { per_gpu_hour: Some(money(2.0)), per_job_hour: Some(money(50.0)) };
    let figures = cost(&bill, &use_of, price).unwrap().unwrap();
    assert_eq!((figures.total, figures.waiting), (money(1.0), Some(money(560.0))));
}

#[test]
fn a_purchase_and_rent_meet_on_the_calendar() {
    let buy = CostTerms::Owned(Box::new(Owned {
        residual: share(0.1),
        phase: Phase { payment_month: 1, delivery_month: 3 },
        ..Owned::new(Currency::USD, node_price(60_000.0), years(5))
    }));
    let rent = rented(Per::Node, 1.0, Currency::USD);
    let of = |terms: &CostTerms, months, once| {
        let pools = vec![PoolBill::installed(terms, 1, 8, years(1))];
        cash_flow(&DesignBill { pools, lines: &[], horizon: years(1) }, months, once).unwrap()
    };
    let bought = of(&buy, 36, money(500.0));
    assert_eq!(bought.months[0], money(500.0), "the migration");
    assert_eq!(bought.months[1], money(60_000.0));
    // 33 of 60 months of 54000 are written off.
    assert_eq!(bought.returned, money(60_000.0 - 54_000.0 * 33.0 / 60.0));
    assert_eq!(bought.total(), money(500.0) + money(54_000.0 * 33.0 / 60.0));
    assert_eq!(bought.years().into_iter().sum::<Money>(), bought.total());
    assert_eq!(bought.present_value(Share::ZERO), Some(bought.total()));
    assert!(bought.present_value(share(0.1)).unwrap() > bought.total(), "what comes back is worth less");
    let hired = of(&rent, 36, Money::ZERO);
    assert_eq!(hired.months[0], money(730.5), "8766 h in 12 months");
    // Over 84 months the machine is bought twice, the second time for 27 of its 60 months.
    let twice = of(&buy, 90, Money::ZERO);
    assert_eq!(twice.months[63], money(60_000.0));
    assert_eq!(twice.total(), money(54_000.0 + 54_000.0 * 27.0 / 60.0));
}

#[test]
fn payback_is_the_month_from_which_less_was_paid() {
    let flow = |months: &[f64]| super::flow::CashFlow {
        months: months.iter().map(|m| money(*m)).collect(),
        returned: Money::ZERO,
    };
    let rent = flow(&[10.0; 6]);
    assert_eq!(flow(&[25.0, 5.0, 5.0, 5.0, 5.0, 5.0]).payback(&rent), Some(3));
    assert_eq!(flow(&[9.0; 6]).payback(&rent), Some(0));
    assert_eq!(flow(&[90.0, 1.0, 1.0, 1.0, 1.0, 1.0]).payback(&rent), None);
}

#[test]
fn a_commitment_is_owed_to_the_end_of_its_term() {
    let mut terms = Rented::new(Currency::USD, node_price(1.0));
    terms.committed_months = 12;
    let terms = CostTerms::Rented(Box::new(terms));
    let bill = DesignBill {
        pools: vec![PoolBill::installed(&terms, 1, 8, years(1))],
        lines: &[],
        horizon: years(1),
    };
    assert_eq!(cash_flow(&bill, 18, Money::ZERO).unwrap().total(), money(8766.0 * 2.0));
}
