//! What the simulator found, each reduced to the fewest calls that show it.

use super::harness::*;
use crate::config::GroupConfig;
use crate::engine::{ResetGroup, ResetTo};
use crate::ids::Offset;

/// A reset of a group that reads no topic made a journal entry without an operation: it was never written and never
/// answered, every later change of topics and groups waited behind it, and so did the close.
#[test]
fn a_group_without_topics_can_be_reset() {
    let world = World::new();
    let mut engine = world.open();
    let config = GroupConfig::default();
    engine.pump.wait(engine.engine.create_group("work", config)).unwrap();
    let request = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Offset(Offset::ZERO),
        force: false,
    };
    engine.pump.wait(engine.engine.reset_group(request)).unwrap();
    engine.topic("orders");
    engine.pump.wait(engine.engine.close()).unwrap();
}
