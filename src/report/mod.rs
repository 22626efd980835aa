//! What a person sees: verdict, tables, JSON.

mod envelope;

pub use envelope::{
    ClassReport, CountsReport, Envelope, LatencyReport, LoadReport, Mean, MetricsReport, Ordered, PairedReport, PlainMean,
    RecoveryReport, SCHEMA, VariantReport, WaitReport, digest_text,
};
