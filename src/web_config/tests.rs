//! Tables: every key, every error with its line; text that means harm; files.

mod accepted;
mod files;
mod harm;
mod refused;

/// Not of use to anybody.
const HASH: &str = "$2y$10$......................1234567890123456789012345678902";
