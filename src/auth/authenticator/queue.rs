//! The passwords that are being verified: who gets a place, and whose turn it is. Knows no thread and no clock.

use crate::auth::credentials::{Entry, Login, Origin, Verification};

/// Of which no more are verified or wait for it: each is 4 KiB, and takes from the others' time.
pub(super) const PLACES: usize = 8;

/// Logins that wait for their verdict, with whatever brings it to them.
#[derive(Debug)]
pub(super) struct Queue<R> {
    jobs: Vec<Job<R>>,
    /// How many turns there have been.
    turns: u64,
    last_id: u64,
}

#[derive(Debug)]
pub(super) struct Job<R> {
    id: u64,
    pub(super) origin: Origin,
    pub(super) user: Option<usize>,
    pub(super) entry: Entry,
    /// It is with the thread while it has its turn.
    verification: Option<Verification>,
    pub(super) reply: R,
    last_turn: u64,
}

/// What waits for a verdict, or has gone.
pub(super) trait Reply {
    fn has_gone(&self) -> bool;
}

/// A piece of work.
#[derive(Debug)]
pub(super) struct Turn {
    id: u64,
    pub(super) verification: Verification,
}

impl<R: Reply> Queue<R> {
    pub(super) fn new() -> Self {
        Queue { jobs: Vec::with_capacity(PLACES), turns: 0, last_id: 0 }
    }

    /// Gives the login a place, if need be another's; returns who got or keeps none.
    ///
    /// What nobody waits for any more gives way first. Then whoever has the most places, if that leaves him no fewer than
    /// the newcomer: no address fills the queue against another. He loses the one that came last.
    pub(super) fn join(&mut self, origin: Origin, login: Login, reply: R) -> Option<(Origin, R)> {
        let mut loser = None;
        if self.jobs.len() >= PLACES {
            let Some(place) = self.dispensable(origin) else {
                return Some((origin, reply));
            };
            let job = self.jobs.remove(place);
            loser = Some((job.origin, job.reply));
        }
        self.last_id += 1;
        let Login { user, entry, verification } = login;
        let (id, verification) = (self.last_id, Some(verification));
        self.jobs.push(Job { id, origin, user, entry, verification, reply, last_turn: 0 });
        loser
    }

    fn dispensable(&self, newcomer: Origin) -> Option<usize> {
        if let Some(abandoned) = self.jobs.iter().position(|job| job.reply.has_gone()) {
            return Some(abandoned);
        }
        // Jobs stand as they came; `max_by_key` gives the last of equals.
        let (place, job) = self.jobs.iter().enumerate().max_by_key(|(_, job)| self.places(job.origin))?;
        (self.places(job.origin) > self.places(newcomer) + 1).then_some(place)
    }

    fn places(&self, origin: Origin) -> usize {
        self.jobs.iter().filter(|job| job.origin == origin).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whose turn it is: addresses take turns, and so do the logins of one. What nobody waits for goes on when there is
    /// nothing else to do, and is not dropped: a scraper whose patience is shorter than a bcrypt would never get in, but so
    /// its next try is remembered.
    pub(super) fn turn(&mut self) -> Option<Turn> {
        let last_of =
            |origin| self.jobs.iter().filter(|job| job.origin == origin).map(|job| job.last_turn).max();
        let order = |job: &Job<R>| (job.reply.has_gone(), last_of(job.origin), job.last_turn, job.id);
        let next = (0..self.jobs.len()).min_by_key(|place| order(&self.jobs[*place]))?;
        self.turns += 1;
        let job = &mut self.jobs[next];
        job.last_turn = self.turns;
        let verification = job.verification.take()?;
        Some(Turn { id: job.id, verification })
    }

    /// The turn is over without a verdict. Who has lost the place meanwhile is dropped.
    pub(super) fn put_back(&mut self, turn: Turn) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == turn.id) {
            job.verification = Some(turn.verification);
        }
    }

    /// There is a verdict: for this one, and for all who said the same.
    pub(super) fn finish(&mut self, turn: &Turn) -> Vec<Job<R>> {
        let Some(entry) = self.jobs.iter().find(|job| job.id == turn.id).map(|job| job.entry) else {
            return Vec::new();
        };
        let (told, left) = std::mem::take(&mut self.jobs).into_iter().partition(|job| job.entry == entry);
        self.jobs = left;
        told
    }

    /// Takes all away.
    pub(super) fn clear(&mut self) -> Vec<Job<R>> {
        std::mem::take(&mut self.jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::credentials::{Claim, Keyring};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Client(u64, bool);

    impl Reply for Client {
        fn has_gone(&self) -> bool {
            self.1
        }
    }

    fn login(password: char) -> Login {
        use base64::Engine;
        let mut keyring = Keyring::default();
        keyring.push_user("a", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("a:{password}"));
        match keyring.judge(std::iter::once(format!("Basic {pair}").as_bytes())) {
            Claim::Login(login) => login,
            other => panic!("{other:?}"),
        }
    }

    /// Each from its address; a capital letter has gone again. Those that get no place, and those that keep theirs.
    #[test]
    fn who_gets_a_place() {
        let table = [
            ("", "", ""),
            ("aaaaaaaa", "", "aaaaaaaa"),
            ("aaaaaaaaa", "a8", "aaaaaaaa"),
            ("aaaaaaaab", "a7", "aaaaaaab"),
            ("aaaaaaaabbbbb", "a7 a6 a5 a4 b12", "aaaabbbb"),
            ("aaaabbbbc", "b7", "aaaabbbc"),
            ("aabbccddd", "d8", "aabbccdd"),
            ("abcdefghi", "i8", "abcdefgh"),
            ("abcdefgha", "a8", "abcdefgh"),
            ("aaabcdefg", "a2", "aabcdefg"),
            ("abcDefghi", "D3", "abcefghi"),
            ("aaaaaaBab", "B6", "aaaaaaab"),
        ];
        for (arrivals, losers, left) in table {
            let mut queue = Queue::new();
            let mut lost = Vec::new();
            for (at, arrival) in (0..).zip(arrivals.chars()) {
                let origin = Origin::V6(u64::from(arrival.to_ascii_lowercase()));
                let client = Client(at, arrival.is_uppercase());
                lost.extend(queue.join(origin, login('x'), client));
            }
            let arrival = |at: u64| arrivals.chars().nth(usize::try_from(at).unwrap()).unwrap();
            let lost: Vec<String> =
                lost.iter().map(|(_, client)| format!("{}{}", arrival(client.0), client.0)).collect();
            assert_eq!(lost.join(" "), losers, "{arrivals}");
            let kept: String = queue.clear().iter().map(|job| arrival(job.reply.0)).collect();
            assert_eq!(kept, left, "{arrivals}");
        }
    }

    #[test]
    fn whose_turn_it_is() {
        // Letters are addresses; in capitals they have gone.
        let table = [
            ("", ""),
            ("a", "000"),
            ("ab", "010101"),
            ("aab", "021202"),
            ("aaab", "0313230313"),
            ("abc", "012012"),
            ("aB", "0000"),
            ("AB", "0101"),
        ];
        for (arrivals, turns) in table {
            let mut queue = Queue::new();
            for (at, arrival) in (0..).zip(arrivals.chars()) {
                let origin = Origin::V6(u64::from(arrival.to_ascii_lowercase()));
                assert!(queue.join(origin, login('x'), Client(at, arrival.is_uppercase())).is_none());
            }
            let mut taken = String::new();
            while taken.len() < turns.len() {
                let turn = queue.turn().unwrap();
                taken.push_str(&(turn.id - 1).to_string());
                queue.put_back(turn);
            }
            assert_eq!(taken, turns, "{arrivals}");
        }
    }

    #[test]
    fn who_said_the_same_hears_the_same() {
        let mut queue = Queue::new();
        for (at, password) in (0..).zip("xyxzx".chars()) {
            assert!(queue.join(Origin::V6(at), login(password), Client(at, false)).is_none());
        }
        let turn = queue.turn().unwrap();
        let told: Vec<u64> = queue.finish(&turn).iter().map(|job| job.reply.0).collect();
        assert_eq!(told, [0, 2, 4]);
        assert_eq!(queue.jobs.len(), 2);
        // It has no place any more.
        assert!(queue.finish(&turn).is_empty());
        queue.put_back(turn);
        assert_eq!(queue.jobs.len(), 2);
    }
}
