//! Tables; in `history` a property.

mod history;

use super::*;

/// The standard timeout of these tests; hooks have half of it at most.
const STANDARD: Duration = Duration::from_secs(20);
const REGISTRIES: usize = 3;

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

/// A coalescer, and joins at a time of its own.
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

    fn gather(&mut self, at: u64, hooks_are_done: bool) -> Option<Gather> {
        self.coalescer.begin_gather(self.at(at), hooks_are_done)
    }

    /// Begins to gather, what does not matter.
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
fn scrape_joins_the_flight_until_it_lands() {
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
fn flight_gathers_the_union_and_takes_those_within_it() {
    let mut table = Table::new();
    table.join(0, 9, &[0], 1);
    assert!(table.begin(0));
    // Until it gathers, the union grows.
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
fn union_is_of_those_who_still_wait() {
    let mut table = Table::new();
    let gone = table.join(0, 9, &[0], 1);
    table.join(0, 9, &[1], 2);
    assert!(table.begin(0));
    table.coalescer.leave(gone);
    assert_eq!(table.gather(0, true).unwrap().registries, Selection::of(vec![1], REGISTRIES));
}

#[test]
fn seal_keeps_scrapes_out_of_what_began_before_it() {
    let mut table = Table::new();
    table.join(0, 9, &[], 1);
    assert!(table.begin(0));
    assert_eq!(table.coalescer.seal(), 1);
    table.join(0, 9, &[], 2);
    assert!(table.gather(0, true).is_some());
    table.join(0, 9, &[], 3);
    let landed = table.coalescer.land(table.at(0));
    assert_eq!((landed.epoch, landed.waiters), (0, vec![(Selection::All, 1)]));
    // What has not begun is as good as what is asked for now.
    assert_eq!(table.coalescer.seal(), 2);
    table.fly(0);
    let landed = table.coalescer.land(table.at(0));
    assert_eq!((landed.epoch, landed.waiters.len()), (2, 2));
}

#[test]
fn gather_goes_to_those_for_whom_it_is_not_older_than_their_timeout() {
    let mut table = Table::new();
    // Who began it is gone, and its gather is for those who joined.
    let impatient = table.join(0, 1, &[], 1);
    table.fly(0);
    table.join(1, 10, &[], 2);
    table.coalescer.leave(impatient);
    table.join(5, 6, &[], 3);
    table.join(5, 5, &[], 4);
    assert_eq!(table.land(6), [2, 3]);
    // The other one is there before who comes now.
    table.join(6, 9, &[], 5);
    table.fly(6);
    assert_eq!(table.land(6), [4, 5]);
}

#[test]
fn gather_goes_to_those_who_asked_before_it_however_long_it_took() {
    let mut table = Table::new();
    table.join(0, 1, &[], 1);
    assert!(table.begin(0));
    table.join(0, 2, &[], 2);
    assert!(table.gather(0, true).is_some());
    table.join(0, 2, &[], 3);
    assert_eq!(table.land(60), [1, 2]);
}

#[test]
fn gather_of_an_hour_goes_to_nobody_who_came_since() {
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
fn hooks_have_half_of_the_latest_waiters_time_and_of_the_standard_at_most() {
    let mut table = Table::new();
    assert_eq!(table.coalescer.hooks_until(), None);
    table.join(0, 6, &[], 1);
    assert!(table.begin(2));
    // Waits since 0 for 6 s: the hooks have half of the 4 s that are left when they begin, at 2.
    let until = |table: &Table| table.coalescer.hooks_until().map(|until| until - table.start);
    assert_eq!(until(&table), Some(Duration::from_secs(4)));
    let second = table.join(4, 8, &[], 2);
    assert_eq!(until(&table), Some(Duration::from_secs(7)));
    // Beyond the standard timeout nobody lengthens them.
    let longest = table.join(4, 120, &[], 3);
    assert_eq!(until(&table), Some(Duration::from_secs(12)));
    assert!(table.coalescer.leave(longest));
    assert_eq!(until(&table), Some(Duration::from_secs(7)));
    assert!(table.coalescer.leave(second));
    assert_eq!(until(&table), Some(Duration::from_secs(4)));
}

#[test]
fn cut_hooks_are_for_nobody_who_had_more_time() {
    // The hooks' time, whether they were done, a timeout, and whether it joins the flight.
    let table = [
        (2, true, 10, true),
        (2, false, 4, true),
        (2, false, 1, true),
        (2, false, 5, false),
        (2, false, 10, false),
        // A tenth less is what the first one has lost on its way.
        (9, false, 20, true),
        (8, false, 20, false),
        // Nobody has more than the standard timeout.
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
fn late_hook_is_at_fault_if_it_had_the_time_of_a_standard_scraper() {
    // Timeouts of those who wait, and whether one of them is the standard one.
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
fn flight_for_nobody_is_forgotten() {
    let mut table = Table::new();
    let first = table.join(0, 9, &[], 1);
    assert!(!table.coalescer.leave(first));
    assert!(!table.begin(0), "it has not begun, and does not begin");

    let (one, two) = (table.join(0, 9, &[], 1), table.join(0, 9, &[], 2));
    assert!(table.begin(0));
    assert!(table.coalescer.leave(one));
    assert!(!table.coalescer.leave(one), "it is gone already");
    assert!(table.coalescer.leave(two));
    assert_eq!(table.coalescer.hooks_until(), None);
    // Who comes now takes part all the same.
    let three = table.join(0, 9, &[], 3);
    assert!(table.coalescer.hooks_until().is_some());
    assert!(table.coalescer.leave(three));
    assert_eq!(table.gather(0, false), None);
    table.join(0, 9, &[], 4);
    table.fly(0);
    assert_eq!(table.land(0), [4]);
}

#[test]
fn failed_flight_is_over_for_those_who_waited_for_it() {
    let mut table = Table::new();
    table.join(0, 9, &[0], 1);
    table.fly(0);
    table.join(0, 9, &[1], 2);
    assert_eq!(table.coalescer.fail(), [1]);
    assert_eq!(table.coalescer.fail(), []);
    table.fly(0);
    assert_eq!(table.land(0), [2]);
}
