//! The example of a policy of one's own stays short and runs.

#[path = "../../examples/my_policy.rs"]
mod example;

#[test]
fn it_is_short_and_runs() {
    let text = std::fs::read_to_string("examples/my_policy.rs").unwrap();
    assert!(text.lines().count() < 60, "{} lines", text.lines().count());
    example::main().unwrap();
}
