//! What a person sees: tables, verdicts, JSON.
