//! What the dispatcher sees of its stations: what they measured, which of them are wedged, how much they may still be given.

use std::sync::atomic::Ordering;
use std::time::Duration;

use share_engine::time::Instant;

use super::{Dispatcher, LOOK};

/// What a station had measured when it was last looked at.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    healthy: u64,
    unhealthy: u64,
    wall: u64,
    busy: u64,
}

impl Dispatcher {
    pub(super) fn look_at_stations(&mut self, now: Instant) {
        let (mut places, mut lanes) = (0, 0);
        let shared = self.parts.shared.clone();
        for ((station, seen), wedged) in shared.stations.iter().zip(&mut self.seen).zip(&mut self.wedged) {
            let measured = &station.measured;
            let new = Seen {
                healthy: measured.healthy.load(Ordering::Relaxed),
                unhealthy: measured.unhealthy.load(Ordering::Relaxed),
                wall: measured.wall_nanos.load(Ordering::Relaxed),
                busy: measured.busy_nanos.load(Ordering::Relaxed),
            };
            let old = std::mem::replace(seen, new);
            let (healthy, unhealthy) = (new.healthy - old.healthy, new.unhealthy - old.unhealthy);
            let wall = Duration::from_nanos(new.wall - old.wall);
            let busy = Duration::from_nanos(new.busy - old.busy);
            // A handler that measures no time of its lane holds it for the whole call.
            let busy = if busy.is_zero() { wall } else { busy };
            self.pace.handle_calls(healthy + unhealthy, wall, busy);
            self.breaker.handle_calls(now, healthy, unhealthy, busy);
            let is_wedged = !station.is_alive(now);
            if is_wedged != *wedged {
                *wedged = is_wedged;
                shared.metrics.set_wedged(station.lane, is_wedged);
                let (deployment, lane) = (&*shared.spec.name, station.lane);
                if is_wedged {
                    tracing::error!(
                        deployment,
                        lane,
                        "lane shows no progress: it gets nothing new, its leases run out"
                    );
                } else {
                    tracing::info!(deployment, lane, "lane goes on");
                }
            }
            if !is_wedged {
                places += station.places;
                lanes += 1;
            }
        }
        self.pace.set_places(places, lanes);
        if now.since(self.load_told_at) >= LOOK {
            self.load_told_at = now;
            self.load_told = (shared.held(), shared.settling());
            shared.metrics.set_load(self.load_told.0, self.load_told.1);
        }
    }

    /// Tells the stations from where on room is worth a word.
    pub(super) fn set_refill(&self) {
        let refill_at = i64::try_from(self.pace.refill_at()).unwrap_or(i64::MAX);
        let places: usize = self.parts.shared.stations.iter().map(|station| station.places).sum();
        let lanes = i64::try_from(self.parts.shared.stations.len().max(1)).unwrap_or(1);
        let over = refill_at - i64::try_from(places).unwrap_or(i64::MAX);
        for station in &self.parts.shared.stations {
            let own = i64::try_from(station.places).unwrap_or(i64::MAX);
            let level = if over < 0 { own - 1 } else { own + over / lanes };
            station.refill_at.store(level, Ordering::Release);
        }
    }

    /// Bytes that may still be acquired; what was asked for counts as acquired.
    pub(super) fn byte_room(&self) -> u64 {
        let shared = &self.parts.shared;
        // What a wedged lane holds does not come back as long as it is wedged.
        let stations = shared.stations.iter().zip(&self.wedged);
        let held: u64 = stations
            .filter(|(_, wedged)| !**wedged)
            .map(|(station, _)| station.held_bytes.get())
            .sum();
        let taken = held.saturating_add(self.requested_bytes);
        shared.spec.max_waiting_bytes.saturating_sub(taken)
    }
}
