//! A property test: compares flights with an oracle that derives them from the history of all events.

use proptest::prelude::*;

use super::{REGISTRIES, STANDARD, after};
use crate::scrape::coalescer::*;

/// An event of a coalescer.
#[derive(Clone, Debug)]
enum Event {
    Join {
        registries: u8,
        timeout: u64,
    },
    Leave(prop::sample::Index),
    Seal,
    Wait(u64),
    /// The next transition: a flight begins, begins to gather, or lands.
    Step {
        hooks_are_done: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (1..1_u8 << REGISTRIES, 1..30_u64)
            .prop_map(|(registries, timeout)| Event::Join { registries, timeout }),
        2 => any::<prop::sample::Index>().prop_map(Event::Leave),
        1 => Just(Event::Seal),
        3 => (1..8_u64).prop_map(Event::Wait),
        5 => any::<bool>().prop_map(|hooks_are_done| Event::Step { hooks_are_done }),
    ]
}

/// A history, from which each query derives its result anew. A moment is the number of an event.
#[derive(Default)]
struct Oracle {
    moment: usize,
    second: u64,
    scrapes: Vec<Scrape>,
    flights: Vec<Flown>,
    seals: Vec<usize>,
}

struct Scrape {
    id: WaiterId,
    asked: usize,
    asked_second: u64,
    registries: u8,
    timeout: u64,
    is_gone: bool,
    is_served: bool,
}

#[derive(Clone)]
struct Flown {
    began: usize,
    began_second: u64,
    gather: Option<Gathered>,
    is_over: bool,
}

#[derive(Clone)]
struct Gathered {
    began: usize,
    began_second: u64,
    hooks_are_done: bool,
    union: u8,
}

impl Oracle {
    fn flight(&self) -> Option<&Flown> {
        self.flights.last().filter(|flight| !flight.is_over)
    }

    fn waits(&self) -> impl Iterator<Item = &Scrape> {
        self.scrapes.iter().filter(|scrape| !scrape.is_gone && !scrape.is_served)
    }

    fn takes_part(&self, scrape: &Scrape, flight: &Flown) -> bool {
        let was_sealed = self.seals.iter().any(|seal| (flight.began..scrape.asked).contains(seal));
        let before = |moment: usize| scrape.asked < moment;
        let in_time = |gather: &Gathered| {
            let (hooks, wanted) =
                (gather.began_second - flight.began_second, scrape.timeout.min(STANDARD.as_secs()));
            let lacks_hooks = !gather.hooks_are_done && 20 * hooks < 9 * wanted;
            before(gather.began) || scrape.registries & !gather.union == 0 && !lacks_hooks
        };
        before(flight.began) || !was_sealed && flight.gather.as_ref().is_none_or(in_time)
    }

    /// Returns the scrapes of the current flight.
    fn on_board(&self) -> Vec<&Scrape> {
        let Some(flight) = self.flight() else { return Vec::new() };
        self.waits().filter(|scrape| self.takes_part(scrape, flight)).collect()
    }

    fn epoch_at(&self, moment: usize) -> Epoch {
        self.seals.iter().filter(|seal| **seal < moment).count() as Epoch
    }

    fn hooks_until(&self) -> Option<Duration> {
        let flight = self.flight()?;
        let deadline = |scrape: &&Scrape| scrape.asked_second + scrape.timeout;
        let latest = self.on_board().iter().map(deadline).max()?;
        let left = latest.saturating_sub(flight.began_second).min(STANDARD.as_secs());
        Some(Duration::from_millis(1_000 * flight.began_second + 500 * left))
    }
}

fn selection(bits: u8) -> Selection {
    Selection::of((0..REGISTRIES).filter(|index| bits >> index & 1 == 1).collect(), REGISTRIES)
}

/// Advances both by one step and compares them.
fn step(oracle: &mut Oracle, coalescer: &mut Coalescer<WaiterId>, now: Instant, hooks_are_done: bool) {
    let (moment, second) = (oracle.moment, oracle.second);
    let on_board: Vec<WaiterId> = oracle.on_board().iter().map(|scrape| scrape.id).collect();
    match oracle.flight().cloned() {
        None => {
            let expected = oracle.waits().next().is_some();
            assert_eq!(coalescer.begin(now), expected);
            if expected {
                oracle.flights.push(Flown {
                    began: moment,
                    began_second: second,
                    gather: None,
                    is_over: false,
                });
            }
        }
        Some(Flown { gather: None, .. }) => {
            let union = oracle.on_board().iter().fold(0, |union, scrape| union | scrape.registries);
            let has_standard_waiter =
                oracle.on_board().iter().any(|scrape| scrape.timeout >= STANDARD.as_secs());
            let expected = (!on_board.is_empty())
                .then(|| GatherInput { registries: selection(union), has_standard_waiter });
            assert_eq!(coalescer.begin_gather(now, hooks_are_done), expected);
            let flight = oracle.flights.last_mut().unwrap();
            flight.is_over = expected.is_none();
            flight.gather = Some(Gathered { began: moment, began_second: second, hooks_are_done, union });
        }
        Some(Flown { gather: Some(gather), began, .. }) => {
            let age = second - gather.began_second;
            let served: Vec<_> = oracle
                .on_board()
                .iter()
                .filter(|scrape| scrape.asked < gather.began || age <= scrape.timeout)
                .map(|scrape| (selection(scrape.registries), scrape.id))
                .collect();
            let epoch = oracle.epoch_at(began);
            for scrape in &mut oracle.scrapes {
                scrape.is_served |= served.iter().any(|(_, id)| *id == scrape.id);
            }
            oracle.flights.last_mut().unwrap().is_over = true;
            assert_eq!(coalescer.land(now), Landed { epoch, waiters: served });
        }
    }
}

proptest! {
    #[test]
    fn flights_match_the_history(events in prop::collection::vec(event(), 0..60)) {
        let start = Instant::now();
        let (mut oracle, mut coalescer) = (Oracle::default(), Coalescer::new(STANDARD, REGISTRIES));
        for event in events {
            oracle.moment += 1;
            let (asked, now) = (oracle.moment, after(start, oracle.second));
            match event {
                Event::Join { registries, timeout } => {
                    let deadline = after(now, timeout);
                    let request =
                        Request { registries: selection(registries), timeout: Duration::from_secs(timeout), deadline };
                    let expected = oracle.scrapes.len() as WaiterId + 1;
                    let id = coalescer.join(request, expected);
                    prop_assert_eq!(id, expected);
                    let asked_second = oracle.second;
                    oracle.scrapes.push(Scrape {
                        id, asked, asked_second, registries, timeout, is_gone: false, is_served: false,
                    });
                }
                // The index may also name a scrape that has left or was served.
                Event::Leave(index) if !oracle.scrapes.is_empty() => {
                    let at = index.index(oracle.scrapes.len());
                    let id = oracle.scrapes[at].id;
                    let shortens = oracle.flight().is_some_and(|flight| flight.gather.is_none())
                        && oracle.on_board().iter().any(|scrape| scrape.id == id);
                    prop_assert_eq!(coalescer.leave(id), shortens);
                    oracle.scrapes[at].is_gone = true;
                }
                Event::Leave(_) => {}
                Event::Seal => {
                    oracle.seals.push(oracle.moment);
                    prop_assert_eq!(coalescer.seal(), oracle.seals.len() as Epoch);
                }
                Event::Wait(seconds) => oracle.second += seconds,
                Event::Step { hooks_are_done } => step(&mut oracle, &mut coalescer, now, hooks_are_done),
            }
            let until = coalescer.hooks_until().map(|until| until - start);
            prop_assert_eq!(until, oracle.hooks_until());
        }
        // Without further events, two flights serve all waiters: the rest of this one, and the next.
        let now = after(start, oracle.second);
        for _ in 0..6 {
            oracle.moment += 1;
            step(&mut oracle, &mut coalescer, now, true);
        }
        prop_assert_eq!(oracle.waits().count(), 0);
    }
}
