//! Contains only tests.
