//! The example is read as it stands, and every kind of mistake is found where it stands.

use super::*;

const EXAMPLE: &str = include_str!("../../../../gateway.example.toml");

fn mistakes(text: &str) -> Vec<String> {
    Config::read(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_example_is_a_configuration() {
    Config::read(EXAMPLE).unwrap();
}
