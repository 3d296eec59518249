//! Keeps the client and the servers on one core.
//!
//! They take turns, so they need no second one. Otherwise the scheduler chooses, for each process anew, whether a
//! server shares its client's core. With 200 series that changes its CPU time by half: to wake a client on another
//! core is expensive, above all in a virtual machine. A scraper on another machine needs no such wake-up.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::outcome::Outcome;

/// The calling thread and the processes that it starts stay on one core until this is dropped. Those processes stay
/// there until they exit.
pub(crate) struct OneCore {
    before: CpuSet,
}

/// The process 0 is the calling thread (sched_setaffinity(2)).
const THIS_THREAD: Pid = Pid::from_raw(0);

impl OneCore {
    pub(crate) fn keep() -> Outcome<Self> {
        let before = sched_getaffinity(THIS_THREAD)?;
        let allowed = |core: &usize| before.is_set(*core).unwrap_or(false);
        let core = (0..CpuSet::count()).find(allowed).ok_or("no core is allowed")?;
        let mut one = CpuSet::new();
        one.set(core)?;
        sched_setaffinity(THIS_THREAD, &one)?;
        Ok(Self { before })
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        let _ = sched_setaffinity(THIS_THREAD, &self.before);
    }
}
