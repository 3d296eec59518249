//! What is wrong with the options, and which of them a mounted handler cannot have.

use std::io;

use crate::util::io_error;

#[derive(Debug, Default)]
pub(super) struct OptionFaults {
    /// By option: a sentence that begins with its name.
    wrong: Vec<(&'static str, String)>,
    /// Options, or flags, that only a server with connections and paths of its own can have.
    of_server: Vec<&'static str>,
}

impl OptionFaults {
    /// Adds what is wrong with one value of an option that may be repeated.
    pub(super) fn add(&mut self, option: &'static str, fault: String) {
        self.wrong.push((option, fault));
    }

    /// Checks an option's new value, which replaces the last one.
    pub(super) fn check(&mut self, option: &'static str, fault: Option<String>) {
        self.wrong.retain(|(known, _)| *known != option);
        self.wrong.extend(fault.map(|fault| (option, fault)));
    }

    /// Checks a limit, which cannot be zero.
    pub(super) fn check_limit<T: Default + PartialEq>(
        &mut self,
        option: &'static str,
        limit: impl Into<Option<T>>,
    ) -> Option<T> {
        let limit = limit.into();
        let is_zero = limit == Some(T::default());
        self.check(option, is_zero.then(|| format!("{option}: must be above zero; None is no limit")));
        limit
    }

    /// Notes that this option has been set, which a mounted handler cannot have.
    pub(super) fn of_server(&mut self, option: &'static str) {
        if !self.of_server.contains(&option) {
            self.of_server.push(option);
        }
    }

    /// An error that has all of it, one fault a line.
    pub(super) fn of_bind(self) -> io::Result<()> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let sentences: Vec<String> = self.wrong.into_iter().map(|(_, fault)| fault).collect();
        Err(io_error::new(io::ErrorKind::InvalidInput, sentences.join("\n")))
    }

    /// The same where the options are those of a mounted handler.
    pub(super) fn of_handler(mut self) -> io::Result<()> {
        if !self.of_server.is_empty() {
            let options = self.of_server.join(", ");
            let reason = "a mounted handler has no connections and no paths of its own: set this in the server around it";
            self.wrong.insert(0, ("", format!("{options}: {reason}")));
        }
        self.of_bind()
    }
}
