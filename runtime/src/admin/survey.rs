//! What a data directory that nobody has open holds, in the words of the admin interface.

use share_engine::engine::Survey;

use super::embedded::convert;
use super::{GroupSummary, TopicSummary};

/// Topics and groups, as [`super::Admin::topics`] and [`super::Admin::groups`] would answer once it is open.
pub fn summaries(survey: &Survey) -> (Vec<TopicSummary>, Vec<GroupSummary>) {
    let topics = survey.topics.iter().map(convert::topic_summary).collect();
    let groups = survey.groups.iter().map(convert::group_summary).collect();
    (topics, groups)
}
