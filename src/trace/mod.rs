//! Production logs and recorded arrivals.
