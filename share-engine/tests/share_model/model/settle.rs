//! What becomes of held records when a member says so: leases, acknowledgements, a member that leaves.

use crate::words::{AckBatch, Lease, Model, No, Plan, Rec, Say, State, Why};

impl Model {
    /// Held under this lease, and nothing is under way.
    fn held_by(&self, lease: Lease) -> Result<Rec, No> {
        let rec = self.recs.get(&lease.offset).filter(|_| lease.offset >= self.start);
        let rec = rec.filter(|rec| rec.state == State::Held).ok_or(No::Stale)?;
        match (rec.count, rec.continuation, self.epoch) == (lease.count, lease.continuation, lease.epoch) {
            true if rec.busy => Err(No::InTransition),
            true => Ok(rec.clone()),
            false => Err(No::Stale),
        }
    }

    pub(crate) fn settle(&mut self, plan: &mut Plan, lease: Lease, say: Say, now: u64) -> Result<(), No> {
        let (offset, mut rec) = (lease.offset, self.held_by(lease)?);
        let over = self.over(&rec, now);
        plan.exhausted += u32::from(over && matches!(say, Say::Renew(..)));
        rec = match say {
            Say::Accept => {
                rec = self.end(offset, Why::Reject);
                rec.state = State::Acked;
                rec
            }
            Say::Reject => self.end(offset, Why::Reject),
            Say::Gap => self.end(offset, Why::Gap),
            Say::Release(until, note) => self.fail(offset, until, note),
            Say::Renew(..) if over => self.fail(offset, 0, false),
            Say::Renew(until, checkpoint) => {
                rec.checkpoint = checkpoint.unwrap_or(rec.checkpoint);
                (rec.state, rec.until, rec.resume) = (State::Parked, until, true);
                rec
            }
            Say::GiveBack => {
                (rec.state, rec.until, rec.resume, rec.attempt) = (State::Parked, now, true, u64::MAX);
                rec
            }
        };
        self.plan(plan, offset, rec);
        Ok(())
    }

    pub(crate) fn extend(&mut self, lease: Lease, now: u64) -> Result<u64, No> {
        let until = self.until(&self.held_by(lease)?, now);
        if until <= now {
            return Err(No::Exhausted);
        }
        self.at(lease.offset).until = until;
        Ok(until)
    }

    pub(crate) fn leave(&mut self, member: u32) -> Plan {
        let mut plan = Plan::default();
        for offset in self.found(|rec| rec.state == State::Held && rec.member == member && !rec.busy) {
            self.plan(&mut plan, offset, self.fail(offset, 0, false));
        }
        plan
    }

    /// All batches or none, but what was renewed stays renewed.
    pub(crate) fn acknowledge(&mut self, member: u32, batches: &[AckBatch], now: u64) -> Result<Plan, No> {
        let mut plan = Plan::default();
        for (first, last, says) in batches {
            if let Err(no) = self.acknowledge_batch(member, (*first, *last), says, &mut plan, now) {
                plan.to.iter().for_each(|(offset, _)| self.at(*offset).busy = false);
                return Err(no);
            }
        }
        Ok(plan)
    }

    fn acknowledge_batch(
        &mut self,
        member: u32,
        (first, last): (u64, u64),
        says: &[Option<Say>],
        plan: &mut Plan,
        now: u64,
    ) -> Result<(), No> {
        let fits = says.len() == 1 || says.len() as u64 == last - first + 1;
        let known = |offset| matches!(self.recs.get(&offset), Some(rec) if rec.state != State::Hole);
        if fits && last < self.start {
            return Ok(());
        } else if fits && self.start == self.next {
            return Err(No::State(first));
        } else if !fits || last >= self.next || !known(last) || first >= self.start && !known(first) {
            return Err(No::Request(first, last));
        }
        for offset in first.max(self.start)..=last {
            let Rec {
                state,
                count,
                continuation,
                member: holder,
                ..
            } = self.recs[&offset];
            let lease = Lease {
                offset,
                count,
                continuation,
                epoch: self.epoch,
            };
            let done = match says[usize::try_from(offset - first).unwrap() % says.len()] {
                _ if state == State::Hole => Ok(()),
                _ if holder != member => Err(No::Stale),
                Some(say) => self.settle(plan, lease, say, now),
                None => self.extend(lease, now).map(|_| ()),
            };
            done.map_err(|_| No::State(offset))?;
        }
        Ok(())
    }
}
