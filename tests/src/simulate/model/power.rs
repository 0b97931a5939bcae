//! Loss of power where answers do not wait for the disk: what was acknowledged since the last known sync may be lost, from
//! some moment on and everywhere. What is left has to be how everything stood at that moment.

use super::{Ghosts, LETTERS, Model, Redrive, Rules};

impl Model {
    /// The power was lost, after [`Model::crash`].
    pub(crate) fn drown(&mut self, now: u64) {
        self.forgive(|_| true);
        for limbo in self.limbo.values_mut() {
            limbo.sure = false;
        }
        for log in self.topics.values_mut().flat_map(|topic| &mut topic.logs) {
            log.cut = true;
        }
        for group in self.groups.values_mut() {
            for share in group.shares.values_mut() {
                share.start = share.base;
                share.unseen = true;
                let rules = Rules {
                    limit: group.limit,
                    limit_high: group.limit_high,
                    limits_ever: (group.limit_least, group.limit_ever),
                    max_lease: group.bounds.max_lease,
                    drops: false,
                    ghosts: Ghosts::default(),
                    fickle: true,
                    now,
                };
                for record in share.records.values_mut() {
                    record.drown(&rules);
                }
            }
        }
    }

    /// The journal was opened: what is there now was synced.
    pub(crate) fn synced(&mut self) {
        let shares = self.groups.values_mut().flat_map(|group| group.shares.values_mut());
        for record in shares.flat_map(|share| share.records.values_mut()) {
            record.past.clear();
        }
    }

    /// Everything was read after an open: so much was synced by it. What an open writes itself, it writes to the dead
    /// letters: they may end later by now.
    pub(crate) fn logs_synced(&mut self) {
        let topics = self.topics.iter_mut().filter(|(topic, _)| **topic < LETTERS);
        for log in topics.flat_map(|(_, topic)| &mut topic.logs) {
            log.synced = log.end;
        }
    }

    /// A log ended at `end`, and what lay behind is lost.
    pub(super) fn cut(&mut self, topic: u8, partition: u32, end: u64) {
        let Some(log) = self.log_mut(topic, partition) else {
            return;
        };
        log.cut = false;
        log.end = end;
        log.read = log.read.min(end);
        for offset in log.entries.split_off(&end).into_keys() {
            self.origins.remove(&(topic, offset));
            self.redriven.remove(&(topic, offset));
            if let Some(of) = self.stands.remove(&(topic, offset)) {
                let count = self.letters.entry(of).or_default();
                *count = count.saturating_sub(1);
                let left = *count;
                if let Some(before) = self.share(of.0).and_then(|share| share.lettered.get_mut(&of.1)) {
                    *before = left.min(*before);
                }
            }
            // More than one letter may have gone back as the same record.
            let sent = self.redriven.values_mut();
            let sent = sent.filter(|one| one.to == topic && one.at == Some((partition, offset)));
            sent.for_each(Redrive::lose);
        }
    }
}
