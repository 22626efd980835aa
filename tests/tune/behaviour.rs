//! How a search behaves.
