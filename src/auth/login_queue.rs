//! The queue of logins to verify. No thread, no clock.

use tokio::sync::oneshot;

use super::credentials::Login;
use super::failed_logins::Origin;
use super::login_cache::LoginDigest;

/// Maximum number of queued logins, in addition to the one under verification.
pub(super) const MAX_WAITING: usize = 8;

/// A queue of logins, first in, first out, alternating between addresses.
#[derive(Debug)]
pub(super) struct LoginQueue<R> {
    waiting: Vec<QueuedLogin<R>>,
    /// The origin of the last login taken.
    last: Option<Origin>,
}

/// A login, and the channel for its result.
#[derive(Debug)]
pub(super) struct QueuedLogin<R> {
    pub(super) origin: Origin,
    pub(super) login: Login,
    pub(super) reply: oneshot::Sender<R>,
}

impl<R> LoginQueue<R> {
    pub(super) fn new() -> Self {
        LoginQueue { waiting: Vec::with_capacity(MAX_WAITING), last: None }
    }

    /// Adds a login. If the queue is full, returns the evicted one: a login whose client is gone, else the last one
    /// of the address with the most logins, else the new one. So one address cannot fill the queue.
    pub(super) fn push(&mut self, new: QueuedLogin<R>) -> Option<QueuedLogin<R>> {
        let evicted = if self.waiting.len() < MAX_WAITING {
            None
        } else if let Some(index) = self.evictable(new.origin) {
            Some(self.waiting.remove(index))
        } else {
            return Some(new);
        };
        self.waiting.push(new);
        evicted
    }

    fn evictable(&self, newcomer: Origin) -> Option<usize> {
        if let Some(abandoned) = self.waiting.iter().position(|login| login.reply.is_closed()) {
            return Some(abandoned);
        }
        let count = |origin| self.waiting.iter().filter(|login| login.origin == origin).count();
        // `max_by_key` returns the last of equal items.
        let (index, login) = self.waiting.iter().enumerate().max_by_key(|(_, login)| count(login.origin))?;
        // The other address then still has no fewer logins than the newcomer.
        (count(login.origin) > count(newcomer) + 1).then_some(index)
    }

    /// Takes the next login, from another address than the last one if possible.
    ///
    /// Logins whose client is gone come last, but are verified. A scraper whose timeout is shorter than bcrypt takes
    /// then succeeds from the cache at its next try.
    pub(super) fn pop(&mut self) -> Option<QueuedLogin<R>> {
        let order = |index: &usize| {
            let login = &self.waiting[*index];
            (login.reply.is_closed(), Some(login.origin) == self.last, *index)
        };
        let next = (0..self.waiting.len()).min_by_key(order)?;
        let next = self.waiting.remove(next);
        self.last = Some(next.origin);
        Some(next)
    }

    /// Takes all logins with the same user and password.
    pub(super) fn take_same(&mut self, digest: LoginDigest) -> Vec<QueuedLogin<R>> {
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (same, others) = all.partition(|waiting| waiting.login.digest == digest);
        self.waiting = others;
        same
    }

    pub(super) fn clear(&mut self) -> Vec<QueuedLogin<R>> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;
    use crate::auth::credentials::{Credentials, Evaluation};

    type Replies = Vec<oneshot::Receiver<()>>;

    fn login(password: char) -> Login {
        let mut credentials = Credentials::default();
        credentials.add_user("a", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("a:{password}"));
        match credentials.evaluate(std::iter::once(format!("Basic {pair}").as_bytes())) {
            Evaluation::Login(login) => login,
            other => panic!("{other:?}"),
        }
    }

    /// Each letter is an address. A capital letter marks a login whose client is gone. The password identifies the
    /// login.
    fn waiting(at: usize, address: char, replies: &mut Replies) -> QueuedLogin<()> {
        let (reply, receiver) = oneshot::channel();
        if address.is_lowercase() {
            replies.push(receiver);
        }
        let origin = Origin::V6(u64::from(address.to_ascii_lowercase()));
        let password = char::from_digit(u32::try_from(at).unwrap(), 36).unwrap();
        QueuedLogin { origin, login: login(password), reply }
    }

    fn index(waiting: &QueuedLogin<()>) -> usize {
        let is_it = |index: &usize| {
            let password = char::from_digit(u32::try_from(*index).unwrap(), 36).unwrap();
            login(password).digest == waiting.login.digest
        };
        (0..36).find(is_it).unwrap()
    }

    /// The evicted and the remaining logins.
    #[test]
    fn a_full_queue_is_divided_among_addresses() {
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
        for (arrivals, evicted, left) in table {
            let (mut queue, mut replies, mut gone) = (LoginQueue::new(), Replies::new(), Vec::new());
            let shown = |waiting: &QueuedLogin<()>| arrivals.chars().nth(index(waiting)).unwrap();
            for (at, address) in arrivals.chars().enumerate() {
                gone.extend(queue.push(waiting(at, address, &mut replies)));
            }
            let gone: Vec<String> =
                gone.iter().map(|waiting| format!("{}{}", shown(waiting), index(waiting))).collect();
            assert_eq!(gone.join(" "), evicted, "{arrivals}");
            assert_eq!(queue.clear().iter().map(shown).collect::<String>(), left, "{arrivals}");
        }
    }

    #[test]
    fn addresses_alternate_and_abandoned_logins_come_last() {
        let table = [
            ("", ""),
            ("a", "0"),
            ("ab", "01"),
            ("aab", "021"),
            ("aaab", "0312"),
            ("aabb", "0213"),
            ("abc", "012"),
            ("aBa", "021"),
            ("ABab", "2301"),
        ];
        for (arrivals, order) in table {
            let (mut queue, mut replies) = (LoginQueue::new(), Replies::new());
            for (at, address) in arrivals.chars().enumerate() {
                assert!(queue.push(waiting(at, address, &mut replies)).is_none());
            }
            let taken = std::iter::from_fn(|| queue.pop()).map(|waiting| index(&waiting).to_string());
            assert_eq!(taken.collect::<String>(), order, "{arrivals}");
        }
    }

    #[test]
    fn takes_all_logins_with_the_same_password() {
        let (mut queue, mut replies) = (LoginQueue::new(), Replies::new());
        for (at, address) in [(1, 'a'), (2, 'b'), (1, 'c'), (3, 'd'), (1, 'e')] {
            assert!(queue.push(waiting(at, address, &mut replies)).is_none());
        }
        let first = queue.pop().unwrap();
        assert_eq!(queue.take_same(first.login.digest).len(), 2);
        assert_eq!(queue.clear().iter().map(index).collect::<Vec<_>>(), [2, 3]);
    }
}
