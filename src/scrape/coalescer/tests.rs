//! Tables. The module `history` has a property test.

mod history;

use super::*;

/// The standard timeout of these tests. Hooks get at most half of it.
const STANDARD: Duration = Duration::from_secs(20);
const REGISTRIES: usize = 3;

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

/// A coalescer with a time base.
struct Table {
    coalescer: Coalescer<u32>,
    start: Instant,
}

impl Table {
    fn new() -> Self {
        Table { coalescer: Coalescer::new(STANDARD, REGISTRIES), start: Instant::now() }
    }

    fn at(&self, seconds: u64) -> Instant {
        after(self.start, seconds)
    }

    fn join(&mut self, at: u64, timeout: u64, registries: &[usize], waiter: u32) -> WaiterId {
        let registries = match registries {
            [] => Selection::All,
            some => Selection::of(some.to_vec(), REGISTRIES),
        };
        let (timeout, deadline) = (Duration::from_secs(timeout), self.at(at + timeout));
        self.coalescer.join(Request { registries, timeout, deadline }, waiter)
    }

    fn begin(&mut self, at: u64) -> bool {
        self.coalescer.begin(self.at(at))
    }

    fn gather(&mut self, at: u64, hooks_are_done: bool) -> Option<GatherInput> {
        self.coalescer.begin_gather(self.at(at), hooks_are_done)
    }

    /// Begins a flight and its gather.
    fn fly(&mut self, at: u64) {
        assert!(self.begin(at));
        assert!(self.gather(at, true).is_some());
    }

    fn land(&mut self, at: u64) -> Vec<u32> {
        let landed = self.coalescer.land(self.at(at));
        landed.waiters.into_iter().map(|(_, waiter)| waiter).collect()
    }
}

#[test]
fn scrapes_join_the_flight_until_it_lands() {
    let mut table = Table::new();
    assert!(!table.begin(0));
    table.join(0, 9, &[], 1);
    assert!(table.begin(0));
    table.join(0, 9, &[], 2);
    assert!(table.gather(0, true).is_some());
    table.join(0, 9, &[], 3);
    assert_eq!(table.land(1), [1, 2, 3]);
    table.join(1, 9, &[], 4);
    table.fly(1);
    assert_eq!(table.land(1), [4]);
    assert!(!table.begin(1));
}

#[test]
fn a_flight_gathers_the_union_and_accepts_its_subsets() {
    let mut table = Table::new();
    table.join(0, 9, &[0], 1);
    assert!(table.begin(0));
    // The union grows until the gather begins.
    table.join(0, 9, &[1], 2);
    assert_eq!(table.gather(0, true).unwrap().registries, Selection::of(vec![0, 1], REGISTRIES));
    for (registries, waiter) in [(&[1][..], 3), (&[0, 1], 4), (&[2], 5), (&[], 6), (&[0], 7)] {
        table.join(0, 9, registries, waiter);
    }
    let landed = table.coalescer.land(table.at(0));
    let wants = |indexes: &[usize]| Selection::of(indexes.to_vec(), REGISTRIES);
    let expected =
        [(wants(&[0]), 1), (wants(&[1]), 2), (wants(&[1]), 3), (wants(&[0, 1]), 4), (wants(&[0]), 7)];
    assert_eq!(landed.waiters, expected);
    assert!(table.begin(0));
    assert_eq!(table.gather(0, true).unwrap().registries, Selection::All);
    assert_eq!(table.land(0), [5, 6]);
}

#[test]
fn union_of_parts_is_all() {
    let mut table = Table::new();
    table.join(0, 9, &[0, 2], 1);
    table.join(0, 9, &[1], 2);
    table.fly(0);
    table.join(0, 9, &[], 3);
    assert_eq!(table.land(0), [1, 2, 3]);
}

#[test]
fn the_union_covers_remaining_waiters_only() {
    let mut table = Table::new();
    let gone = table.join(0, 9, &[0], 1);
    table.join(0, 9, &[1], 2);
    assert!(table.begin(0));
    table.coalescer.leave(gone);
    assert_eq!(table.gather(0, true).unwrap().registries, Selection::of(vec![1], REGISTRIES));
}

#[test]
fn seal_excludes_scrapes_from_earlier_flights() {
    let mut table = Table::new();
    table.join(0, 9, &[], 1);
    assert!(table.begin(0));
    assert_eq!(table.coalescer.seal(), 1);
    table.join(0, 9, &[], 2);
    assert!(table.gather(0, true).is_some());
    table.join(0, 9, &[], 3);
    let landed = table.coalescer.land(table.at(0));
    assert_eq!((landed.epoch, landed.waiters), (0, vec![(Selection::All, 1)]));
    // A flight that has not begun belongs to the new epoch.
    assert_eq!(table.coalescer.seal(), 2);
    table.fly(0);
    let landed = table.coalescer.land(table.at(0));
    assert_eq!((landed.epoch, landed.waiters.len()), (2, 2));
}

#[test]
fn a_gather_serves_waiters_with_a_longer_timeout_than_its_age() {
    let mut table = Table::new();
    // The scrape that began the gather has left, and the gather serves those that joined.
    let impatient = table.join(0, 1, &[], 1);
    table.fly(0);
    table.join(1, 10, &[], 2);
    table.coalescer.leave(impatient);
    table.join(5, 6, &[], 3);
    table.join(5, 5, &[], 4);
    assert_eq!(table.land(6), [2, 3]);
    // The waiter left over is ahead of new ones.
    table.join(6, 9, &[], 5);
    table.fly(6);
    assert_eq!(table.land(6), [4, 5]);
}

#[test]
fn a_gather_serves_earlier_waiters_whatever_its_age() {
    let mut table = Table::new();
    table.join(0, 1, &[], 1);
    assert!(table.begin(0));
    table.join(0, 2, &[], 2);
    assert!(table.gather(0, true).is_some());
    table.join(0, 2, &[], 3);
    assert_eq!(table.land(60), [1, 2]);
}

#[test]
fn a_gather_of_an_hour_serves_no_later_scrape() {
    let mut table = Table::new();
    let first = table.join(0, 10, &[], 1);
    table.fly(0);
    table.coalescer.leave(first);
    table.join(3_599, 10, &[], 2);
    table.join(3_599, 10, &[0], 3);
    assert_eq!(table.land(3_600), []);
    table.fly(3_600);
    assert_eq!(table.land(3_601), [2, 3]);
}

#[test]
fn hooks_get_half_of_the_longest_wait_up_to_the_standard() {
    let mut table = Table::new();
    assert_eq!(table.coalescer.hooks_until(), None);
    table.join(0, 6, &[], 1);
    assert!(table.begin(2));
    // This scrape waits 6 s from 0. The hooks begin at 2 and get half of the remaining 4 s.
    let until = |table: &Table| table.coalescer.hooks_until().map(|until| until - table.start);
    assert_eq!(until(&table), Some(Duration::from_secs(4)));
    let second = table.join(4, 8, &[], 2);
    assert_eq!(until(&table), Some(Duration::from_secs(7)));
    // A timeout above the standard one does not extend the hooks' time.
    let longest = table.join(4, 120, &[], 3);
    assert_eq!(until(&table), Some(Duration::from_secs(12)));
    assert!(table.coalescer.leave(longest));
    assert_eq!(until(&table), Some(Duration::from_secs(7)));
    assert!(table.coalescer.leave(second));
    assert_eq!(until(&table), Some(Duration::from_secs(4)));
}

#[test]
fn cut_off_hooks_serve_no_scrape_with_more_time() {
    // The hooks' time, whether they finished, a timeout, and whether such a scrape joins the flight.
    let table = [
        (2, true, 10, true),
        (2, false, 4, true),
        (2, false, 1, true),
        (2, false, 5, false),
        (2, false, 10, false),
        // The first scrape may have lost a tenth before it joined.
        (9, false, 20, true),
        (8, false, 20, false),
        // The standard timeout is the maximum.
        (10, false, 120, true),
    ];
    for row @ (time, done, timeout, joins) in table {
        let mut table = Table::new();
        table.join(0, 120, &[], 1);
        assert!(table.begin(0));
        assert!(table.gather(time, done).is_some());
        table.join(time, timeout, &[], 2);
        assert_eq!(table.land(time).contains(&2), joins, "{row:?}");
    }
}

#[test]
fn a_late_hook_is_at_fault_if_it_had_the_standard_time() {
    // Timeouts of the waiters, and whether one of them is the standard one.
    let table: [(&[u64], bool); 5] =
        [(&[20], true), (&[120], true), (&[1], false), (&[19, 1], false), (&[1, 20], true)];
    for row @ (timeouts, standard) in table {
        let mut table = Table::new();
        for timeout in timeouts {
            table.join(0, *timeout, &[], 1);
        }
        assert!(table.begin(0));
        assert_eq!(table.gather(10, false).unwrap().has_standard_waiter, standard, "{row:?}");
    }
    let is_all_time = |seconds| suffices(Duration::from_secs(seconds), STANDARD / 2);
    assert_eq!([8, 9, 10].map(is_all_time), [false, true, true]);
}

#[test]
fn a_flight_without_waiters_is_dropped() {
    let mut table = Table::new();
    let first = table.join(0, 9, &[], 1);
    assert!(!table.coalescer.leave(first));
    assert!(!table.begin(0), "a flight without waiters does not begin");

    let (one, two) = (table.join(0, 9, &[], 1), table.join(0, 9, &[], 2));
    assert!(table.begin(0));
    assert!(table.coalescer.leave(one));
    assert!(!table.coalescer.leave(one), "it has already left");
    assert!(table.coalescer.leave(two));
    assert_eq!(table.coalescer.hooks_until(), None);
    // A new scrape can still join.
    let three = table.join(0, 9, &[], 3);
    assert!(table.coalescer.hooks_until().is_some());
    assert!(table.coalescer.leave(three));
    assert_eq!(table.gather(0, false), None);
    table.join(0, 9, &[], 4);
    table.fly(0);
    assert_eq!(table.land(0), [4]);
}

#[test]
fn a_failed_flight_returns_its_waiters() {
    let mut table = Table::new();
    table.join(0, 9, &[0], 1);
    table.fly(0);
    table.join(0, 9, &[1], 2);
    assert_eq!(table.coalescer.fail(), [1]);
    assert_eq!(table.coalescer.fail(), []);
    table.fly(0);
    assert_eq!(table.land(0), [2]);
}
