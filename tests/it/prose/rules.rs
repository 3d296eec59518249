//! What plain English is, as far as a program can tell.

/// Words in a sentence at most.
const MOST_WORDS: usize = 25;

/// Words and phrases that the project does not use, and what it uses.
const FORBIDDEN: &[(&str, &str)] = &[
    ("as it stands", "unchanged"),
    ("beside", "besides, in addition to, next to"),
    ("but for", "except"),
    ("can not", "cannot"),
    ("crowd", "concurrent scrapes"),
    ("denial", "rejection"),
    ("door", "listener"),
    ("doors", "listeners"),
    ("gives way", "is evicted"),
    ("has it", "does"),
    ("he", "they"),
    ("her", "their"),
    ("him", "them"),
    ("his", "their"),
    ("is told", "returns, logs"),
    ("judge", "the name of the program"),
    ("judged", "checked, validated"),
    ("judges", "the names of the programs"),
    ("keyring", "credentials"),
    ("leave away", "omit"),
    ("leaves away", "omits"),
    ("leaves out", "skips"),
    ("left away", "omitted"),
    ("left out", "skipped"),
    ("pen", "writer"),
    ("refusal", "rejection"),
    ("room", "space"),
    ("seat", "permit"),
    ("she", "they"),
    ("spares", "buffer pool"),
    ("the house", "the project"),
    ("unanswered", "rejected"),
    ("victim", "host program"),
    ("whoever", "a client, a program, a user"),
];

/// After ", for", what shows that it is a preposition.
const AFTER_FOR: &[&str] =
    &["each", "every", "example", "instance", "itself", "now", "which", "whom", "whose"];

/// Every fault of a paragraph.
pub(super) fn faults(paragraph: &str) -> Vec<String> {
    let mut found = Vec::new();
    for sentence in sentences(paragraph) {
        let words: Vec<String> =
            sentence.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect();
        let lower = format!(" {} ", words.join(" ").to_lowercase());
        for (phrase, instead) in FORBIDDEN {
            if lower.contains(&format!(" {phrase} ")) {
                found.push(format!("{phrase:?} (write: {instead}) in: {sentence}"));
            }
        }
        if is_reason(&sentence) {
            found.push(format!("\", for\" (write: because) in: {sentence}"));
        }
        if words.len() > MOST_WORDS {
            found.push(format!("{} words in: {sentence}", words.len()));
        }
    }
    found
}

/// Whether ", for" joins two clauses.
fn is_reason(sentence: &str) -> bool {
    sentence.match_indices(", for ").any(|(at, separator)| {
        let next = bare(sentence[at + separator.len()..].split_whitespace().next().unwrap_or_default());
        !AFTER_FOR.contains(&next.as_str())
    })
}

/// A word without what surrounds it.
fn bare(word: &str) -> String {
    word.trim_matches(|character: char| !character.is_alphanumeric()).to_owned()
}

/// A sentence ends with a mark before a space and a capital, or with the paragraph.
fn sentences(paragraph: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut words = paragraph.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let sentence = sentences.last_mut().expect("it begins with one");
        sentence.push_str(word);
        sentence.push(' ');
        let end = word.trim_end_matches(['"', '\'', ')', '*', '_']);
        let is_last = end.ends_with(['.', '!', '?', ':', ';']) && !["e.g.", "i.e."].contains(&end);
        let is_capital = |next: &&str| !next.starts_with(char::is_lowercase);
        if is_last && (end.ends_with([':', ';']) || words.peek().is_some_and(is_capital)) {
            sentences.push(String::new());
        }
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// Whether it begins as a sentence does and ends as one.
pub(super) fn is_sentence(line: &str) -> bool {
    let begins = line.starts_with(|first: char| !first.is_lowercase());
    begins && line.ends_with(['.', ':', '?'])
}

/// Whether its first word is a verb in the third person, as in "Returns the …".
pub(super) fn starts_with_verb(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    first.ends_with('s') && !["As", "This", "Its"].contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_style_forbids() {
        let long = ["word"; MOST_WORDS + 1].join(" ") + ".";
        let table = [
            ("A scrape joins the running gather.", 0),
            ("It can not fail.", 1),
            ("Two, for nobody asks.", 1),
            ("Two, for example.", 0),
            ("Who asks gets his metrics.", 1),
            ("The history of this.", 0),
            (&long, 1),
            ("It ends. Beside it there is a door.", 2),
        ];
        for (text, expected) in table {
            println!("{expected} in {text:?}");
            assert_eq!(faults(text).len(), expected, "{text}");
        }
    }

    #[test]
    fn knows_a_sentence() {
        for (line, sentence, verb) in
            [("Returns it.", true, true), ("the name", false, false), ("A server.", true, false)]
        {
            println!("{line:?}");
            assert_eq!((is_sentence(line), starts_with_verb(line)), (sentence, verb), "{line}");
        }
    }
}
