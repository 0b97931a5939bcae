//! Runs scenarios on all backends at once, several of them at a time, and collects what came of them.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::backend::{Backend, Place};
use super::case::Case;
use super::matrix::{Cell, Matrix};
use super::rendezvous::Host;
use super::scenario::{Scenario, Stage};

/// Scenarios of the shared stage at a time, on one backend.
const AT_ONCE: usize = 10;

/// What one scenario may take.
const LIMIT: Duration = Duration::from_mins(2);

type Came = (&'static str, Place, Cell, Duration);

/// Runs all of them. Backends whose brokers do not run here are left out.
pub async fn run(scenarios: &[Scenario]) -> Matrix {
    let scenarios: Arc<[Scenario]> = scenarios.into();
    let places = std::env::var("SHAREMILL_CONFORMANCE_ON").ok();
    let mut columns = JoinSet::new();
    for place in Place::ALL {
        let scenarios = Arc::clone(&scenarios);
        let wanted = places.as_ref().is_none_or(|places| places.contains(&place.to_string()));
        columns.spawn(async move {
            if !wanted || !runs_here(place) {
                let left_out = scenarios
                    .iter()
                    .map(|one| (one.name, place, Cell::LeftOut, Duration::ZERO));
                return left_out.collect();
            }
            column(place, &scenarios).await
        });
    }
    let mut matrix = Matrix {
        names: scenarios.iter().map(|one| one.name).collect(),
        ..Matrix::default()
    };
    let mut times = Vec::new();
    while let Some(column) = columns.join_next().await {
        for (name, place, cell, time) in column.unwrap() {
            times.push((time, format!("{name} on {place}")));
            matrix.cells.insert((name, place), cell);
        }
    }
    times.sort();
    for (time, what) in times.iter().rev().take(10) {
        eprintln!("{:6.1} s  {what}", time.as_secs_f64());
    }
    matrix
}

fn runs_here(place: Place) -> bool {
    match place {
        Place::Embedded => true,
        Place::Kafka(version) => kafka_cluster::runs_here(version, "conformance"),
    }
}

async fn column(place: Place, scenarios: &[Scenario]) -> Vec<Came> {
    let mut came = Vec::new();
    let began = Instant::now();
    for (stages, brokers) in [(&[Stage::Shared, Stage::Restart][..], 1), (&[Stage::Leaders], 3)] {
        if !scenarios.iter().any(|one| stages.contains(&one.stage)) {
            continue;
        }
        let backend = Arc::new(tokio::task::block_in_place(|| Backend::start(place, brokers)));
        for stage in stages {
            if !scenarios.iter().any(|one| one.stage == *stage) {
                continue;
            }
            let of_stage = scenarios.iter().filter(|one| one.stage == *stage);
            came.extend(work(&backend, *stage, of_stage).await);
            eprintln!("{place}: {stage:?} after {:.1} s", began.elapsed().as_secs_f64());
        }
        // The end of its brokers is waited for.
        tokio::task::block_in_place(|| drop(backend));
    }
    came
}

async fn work<'a>(backend: &Arc<Backend>, stage: Stage, scenarios: impl Iterator<Item = &'a Scenario>) -> Vec<Came> {
    let (mut tasks, host) = (JoinSet::new(), Host::new());
    let most = if stage == Stage::Shared {
        AT_ONCE
    } else {
        usize::MAX >> 4
    };
    let places = Arc::new(Semaphore::new(most));
    for scenario in scenarios {
        let seat = (stage != Stage::Shared).then(|| host.seat());
        let case = Case::new(scenario.name, Arc::clone(backend), seat);
        let (name, place, places) = (scenario.name, backend.place(), Arc::clone(&places));
        let (run, anchor) = scenario.on(place);
        tasks.spawn(async move {
            let _place = places.acquire().await;
            let began = Instant::now();
            // A thread of its own: scenarios block where commands do, and their futures need not move.
            let handle = tokio::runtime::Handle::current();
            let held = move || handle.block_on(async { tokio::time::timeout(LIMIT, run(case)).await });
            let cell = match tokio::task::spawn_blocking(held).await {
                Ok(Ok(())) => anchor.map_or(Cell::Pass, Cell::Differs),
                Ok(Err(_)) => Cell::Failed(format!("not over after {LIMIT:?}")),
                Err(error) => Cell::Failed(said(error)),
            };
            (name, place, cell, began.elapsed())
        });
    }
    if stage != Stage::Shared {
        host.hold(backend.crash()).await;
    }
    tasks.join_all().await
}

/// What a panic says.
fn said(error: JoinError) -> String {
    let panic: Box<dyn Any + Send> = match error.try_into_panic() {
        Ok(panic) => panic,
        Err(error) => return error.to_string(),
    };
    let text = panic.downcast_ref::<String>().cloned();
    let word = panic.downcast_ref::<&str>().map(|word| (*word).to_owned());
    text.or(word).unwrap_or_else(|| "a panic without a word".to_owned())
}
