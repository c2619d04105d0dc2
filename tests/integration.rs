//! Behaviour tests, one binary: a file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod integration {
    mod backtest;
    mod builders;
    mod cells;
    mod cli_bad_scenario;
    mod cli_bad_trace;
    mod cli_commands;
    mod cli_output;
    mod cli_repeat;
    mod costs_and_verdicts;
    mod dedicated_hosts;
    mod defects_hours;
    mod defects_lives;
    mod differential;
    mod exports;
    mod generator;
    mod goodness_of_fit;
    mod held_jobs;
    mod invariants;
    mod matrix;
    mod metamorphic;
    mod mutants;
    mod my_policy;
    mod oracles;
    mod other_gpus;
    mod parts_on_whole_gpus;
    mod preemptive_policies;
    mod published_gpu_results;
    mod published_traces;
    mod readme;
    mod recorded_on;
    mod reference;
    mod replicas;
    mod report_page;
    mod result_schema;
    mod scenario_errors;
    mod scenario_loading;
    mod shared;
    mod shared_gpus;
    mod shared_gpus_random;
    mod shared_gpus_scenarios;
    mod shared_hosts;
    mod shipped_traces;
    mod slurm_files;
    mod slurm_import;
    mod slurm_parts;
    mod slurm_policy;
    mod slurm_recordings;
    mod slurm_tenancy;
    mod sweeps;
    mod tenancy;
    mod tenancy_life;
    mod terminal;
    mod terminal_table;
    mod theory;
    mod trace_errors;
    mod trace_files;
    mod trace_round_trip;
    mod trace_sacct;
    mod usage;
    mod vgpu_shapes;
    mod worked_examples;
}
