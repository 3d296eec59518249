//! The distinct representations of a flight, and their order of encoding.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::exposition::{Recipient, Representation, ScrapeError, ScrapeResult};
use super::selection::Selection;

/// The waiters for one representation of one selection.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) registries: Selection,
    pub(super) representation: Representation,
    replies: Vec<oneshot::Sender<ScrapeResult>>,
}

impl Group {
    pub(super) fn is_waited_for(&self) -> bool {
        !self.replies.iter().all(oneshot::Sender::is_closed)
    }

    pub(super) fn reply(self, outcome: &ScrapeResult) {
        for reply in self.replies {
            let _ = reply.send(outcome.clone());
        }
    }

    pub(super) fn is_of_a_part(&self) -> bool {
        self.representation.is_of_a_part(&self.registries)
    }
}

/// Groups the waiters and orders the groups for encoding. Whole expositions come before parts, because Prometheus
/// must not wait for a hundred filters. Then come groups with the most waiters. Groups of one selection are
/// neighbours, so that it is merged once: the first of them determines the place of all.
pub(super) fn group(recipients: Vec<(Selection, Recipient)>) -> VecDeque<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut indexes = HashMap::new();
    for (registries, Recipient { representation, reply }) in recipients {
        let index = *indexes.entry((registries.clone(), representation.clone())).or_insert_with(|| {
            groups.push(Group { registries, representation, replies: Vec::new() });
            groups.len() - 1
        });
        groups[index].replies.push(reply);
    }
    let rank = |group: &Group| (group.is_of_a_part(), Reverse(group.replies.len()));
    let mut first = HashMap::new();
    for group in &groups {
        let first = first.entry(group.registries.clone()).or_insert_with(|| rank(group));
        *first = rank(group).min(*first);
    }
    groups.sort_by(|a, b| {
        let of_selection = |group: &Group| first.get(&group.registries);
        of_selection(a)
            .cmp(&of_selection(b))
            .then_with(|| a.registries.cmp(&b.registries))
            .then_with(|| rank(a).cmp(&rank(b)))
    });
    groups.into()
}

/// Takes the next group that is waited for, if it `belongs`. A group with a rejection gets that, and the one after it is
/// next.
pub(super) fn take_next(
    groups: &mut VecDeque<Group>,
    belongs: impl Fn(&Group) -> bool,
    rejection: &mut dyn FnMut(&Group) -> Option<ScrapeError>,
) -> Option<Group> {
    groups.retain(Group::is_waited_for);
    while groups.front().is_some_and(&belongs) {
        let group = groups.pop_front()?;
        let Some(error) = rejection(&group) else { return Some(group) };
        group.reply(&Err(error));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::compress::Coding;
    use crate::exposition::encode::FALLBACK;
    use crate::http::query::Query;

    #[test]
    fn whole_expositions_come_first_then_the_most_requested() {
        let representation = |query: &str, coding| {
            let names = Query::parse(query).unwrap().names;
            Representation { format: FALLBACK, coding, names }
        };
        let plain = |query| representation(query, Coding::Identity);
        let gzip = representation("", Coding::Gzip);
        let part = |index| Selection::of(vec![index], 3);
        // In order of arrival: the registries, the representation, the number of waiters.
        let asked = [
            (part(0), plain("name[]=a"), 1),
            (part(1), plain(""), 1),
            (part(0), plain(""), 1),
            (Selection::All, plain("name[]=a"), 1),
            (part(2), plain(""), 3),
            (part(1), gzip.clone(), 1),
            (Selection::All, plain(""), 1),
            (Selection::All, gzip.clone(), 2),
            (part(2), plain("name[]=a"), 1),
        ];
        let recipients = (0..3).flat_map(|round| {
            asked.iter().filter(move |(.., count)| *count > round).map(|(registries, representation, _)| {
                let (reply, _) = oneshot::channel();
                (registries.clone(), Recipient { representation: representation.clone(), reply })
            })
        });
        let groups = group(recipients.collect());
        let order: Vec<(Selection, Representation, usize)> = groups
            .into_iter()
            .map(|Group { registries, representation, replies }| (registries, representation, replies.len()))
            .collect();
        let expected = [7, 6, 3, 4, 8, 0, 2, 1, 5].map(|index| asked[index].clone());
        assert_eq!(order, expected);
    }
}
