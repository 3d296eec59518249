//! Tables of every key and every error with its line, hostile texts, and files.

mod accepted;
mod files;
mod harm;
mod refused;

/// A hash that no password matches.
const HASH: &str = "$2y$10$......................1234567890123456789012345678902";
