//! The scenario file: parse, validate, diagnose, lint, build.
