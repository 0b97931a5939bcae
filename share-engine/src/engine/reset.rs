//! What of a group is set back, and where to. Plain values.

use crate::config::Start;
use crate::ids::Offset;

/// What of a group is set back, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetGroup {
    /// The group.
    pub group: String,
    /// Only this topic.
    pub topic: Option<String>,
    /// Only this partition.
    pub partition: Option<u32>,
    /// Where to.
    pub to: ResetTo,
    /// Even if the group has members.
    pub force: bool,
}

/// Where a group is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// As a new group would begin.
    Start(Start),
    /// At this offset.
    Offset(Offset),
}
