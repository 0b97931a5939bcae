//! The style rules of this repository as a test: what a reviewer would say again and again, said by a machine, with
//! file, line and what to do. Rules are data where they can be; each is shown to fail on a planted sample.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod dependencies;
mod edges;
mod lexer;
mod manifests;
mod samples;
mod text;
mod tree;

use std::fmt;

use tree::Tree;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1.
    line: usize,
    /// What is wrong and what to do.
    advice: String,
}

impl Finding {
    fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

/// Fails with one line for each finding.
fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), lines.join("\n"));
}

fn check(rule: impl Fn(&Tree) -> Vec<Finding>) {
    assert_none(&rule(&Tree::of_repository()));
}

#[test]
fn files_are_short() {
    check(text::long_files);
}

#[test]
fn inline_tests_are_short() {
    check(text::long_inline_tests);
}

#[test]
fn files_say_what_they_own() {
    check(text::missing_headers);
}

#[test]
fn source_is_ascii() {
    check(text::not_ascii);
}

#[test]
fn nothing_is_left_over() {
    check(text::markers);
}

#[test]
fn no_test_is_switched_off() {
    check(text::switched_off_tests);
}

#[test]
fn nothing_sleeps() {
    check(text::sleeps);
}

#[test]
fn unsafe_stands_where_it_is_listed() {
    check(text::unsafe_code);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    check(text::strange_words);
}

#[test]
fn addresses_lead_to_known_hosts() {
    check(text::unknown_hosts);
}

#[test]
fn modules_use_what_they_may() {
    check(edges::module_edges);
}

#[test]
fn outside_names_stay_where_they_belong() {
    check(edges::outside_names);
}

#[test]
fn versions_stand_in_one_place() {
    check(manifests::dependency_versions);
}

#[test]
fn packages_inherit_from_the_workspace() {
    check(manifests::inherited_keys);
}

#[test]
fn locks_know_one_registry() {
    check(manifests::lock_sources);
}

#[test]
fn licences_are_allowed() {
    assert_none(&dependencies::forbidden_licences(&dependencies::of_all_workspaces()));
}

#[test]
fn duplicates_of_direct_dependencies_are_listed() {
    assert_none(&dependencies::unlisted_duplicates(&dependencies::of_workspace(".")));
}
