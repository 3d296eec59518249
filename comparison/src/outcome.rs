//! What can go wrong, told in words: this is a program for people.

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type Outcome<T> = Result<T, Failure>;
