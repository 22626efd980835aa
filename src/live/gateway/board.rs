//! What the policies count, as metrics, read when somebody asks for them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::owner::Owner;
use crate::policy::{Counted, Stats, engine_of};
use crate::request::{Profile, Reason};

/// Reads the policies' numbers.
#[derive(Debug)]
pub struct Board {
    prefix: String,
    owner: Arc<Owner>,
}

impl Board {
    /// Names begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str, owner: Arc<Owner>) -> Self {
        Self { prefix: prefix.to_owned(), owner }
    }
}

/// Writes metrics one by one.
struct Sheet<'a, 'e> {
    prefix: &'a str,
    encoder: DescriptorEncoder<'e>,
}

type Row<V> = (Vec<(&'static str, String)>, V);

impl Sheet<'_, '_> {
    fn one(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let name = format!("{}{name}", self.prefix);
        let encoder = self.encoder.encode_descriptor(&name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.one(name, help, &ConstGauge::new(value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, &ConstCounter::new(value))
    }

    fn family<V>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        rows: &[Row<V>],
        write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let name = format!("{}{name}", self.prefix);
        let mut encoder = self.encoder.encode_descriptor(&name, help, None, kind)?;
        for (labels, value) in rows {
            write(&mut encoder.encode_family(labels)?, value)?;
        }
        Ok(())
    }

    fn gauges(&mut self, name: &str, help: &str, rows: &[Row<f64>]) -> fmt::Result {
        self.family((name, help, MetricType::Gauge), rows, level)
    }

    fn counters(&mut self, name: &str, help: &str, rows: &[Row<u64>]) -> fmt::Result {
        self.family((name, help, MetricType::Counter), rows, count)
    }

    /// Decisions that were carried out, and that were only observed.
    fn by_mode(&mut self, name: &str, help: &str, counted: Counted) -> fmt::Result {
        let rows = modes(counted).map(|(mode, value)| (vec![("mode", mode.to_owned())], value));
        self.counters(name, help, &rows)
    }
}

fn count<V: EncodeCounterValue>(encoder: &mut MetricEncoder<'_>, value: &V) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
}

fn level<V: EncodeGaugeValue>(encoder: &mut MetricEncoder<'_>, value: &V) -> fmt::Result {
    encoder.encode_gauge(value)
}

fn modes(Counted { enforced, observed }: Counted) -> [(&'static str, u64); 2] {
    [("enforced", enforced), ("observed", observed)]
}

impl Collector for Board {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let (_, stats) = self.owner.stats();
        let mut sheet = Sheet { prefix: &self.prefix, encoder };
        now(&mut sheet, &stats)?;
        metered(&mut sheet, &stats)?;
        sums(&mut sheet, &stats)?;
        refusals(&mut sheet, &stats)
    }
}

fn now(sheet: &mut Sheet<'_, '_>, stats: &Stats) -> fmt::Result {
    let now = &stats.now;
    sheet.gauge("queue_depth", "Requests waiting in the queue or for the heavy lane", now.waiting)?;
    sheet.gauge("queue_tokens", "Estimated tokens waiting", stats.queue_tokens)?;
    sheet.gauge("calls_in_flight", "Calls that hold a slot", now.in_flight)?;
    let abandoned = [("counted", now.abandoned_counted), ("running", f64::from(now.abandoned_true))];
    let rows = abandoned.map(|(count, value)| (vec![("count", count.to_owned())], value));
    sheet.gauges("abandoned_requests", "Abandoned calls, as the policy counts them and as they run", &rows)?;
    sheet.gauge("draining", "Whether arrivals are refused", u32::from(stats.draining))?;
    if let Some(slots) = stats.slots {
        sheet.gauge("slots", "Calls that may hold a slot at once", slots)?;
    }
    if let Some(used) = stats.capacity_used {
        sheet.gauge("abandoned_capacity_used", "Counted abandoned work over its capacity", used)?;
    }
    if let Some(threshold) = stats.rejection_threshold {
        sheet.gauge("rejection_threshold", "Share of that capacity from which requests are refused at random", threshold)?;
    }
    if let Some(left) = stats.time_until_reset {
        sheet.gauge("time_until_reset_seconds", "Until the count of abandoned work may go to zero", left.as_secs_f64())?;
    }
    if let Some(mean) = stats.service_time {
        sheet.gauge("service_time_seconds", "Smoothed mean time of a call", mean.as_secs_f64())?;
    }
    Ok(())
}

fn metered(sheet: &mut Sheet<'_, '_>, stats: &Stats) -> fmt::Result {
    if let Some(left) = stats.budget_left {
        sheet.gauge("budget_left_tokens", "Tokens left in the window", left)?;
        sheet.gauge("reserved_tokens", "Tokens reserved for calls that run", stats.reserved)?;
    }
    sheet.gauge("heavy_lane_running", "Heavy calls that run in the lane", stats.lane_running)?;
    sheet.gauge("proxy_circuits_open", "Proxies whose circuit is not closed", stats.circuits_open)?;
    if let Some(multipliers) = stats.multipliers {
        let row = |(kind, value): (usize, f64)| (vec![("class", Profile::kind_name(kind))], value);
        let rows: Vec<_> = multipliers.into_iter().enumerate().map(row).collect();
        sheet.gauges("adaptive_multipliers", "Reservation over estimate, by class of call", &rows)?;
    }
    Ok(())
}

fn sums(sheet: &mut Sheet<'_, '_>, stats: &Stats) -> fmt::Result {
    let counters = &stats.counters;
    for (name, help, value) in [
        ("attempts", "Attempts taken in", counters.arrived),
        ("calls", "Calls started", counters.started),
        ("attempts_completed", "Attempts answered in full", counters.completed),
        ("attempts_failed", "Attempts whose upstream failure was passed on", counters.failed),
        ("attempts_gone", "Attempts whose client left", counters.gone),
        ("attempts_timed_out", "Attempts ended at their timeout", counters.timed_out),
        ("calls_abandoned", "Calls left running at their timeout", counters.abandoned),
        ("stale_inputs", "News about attempts and calls that are over", counters.stale),
        ("rate_limit_trims", "Calls with a lower limit on the answer, to fit the budget", counters.trims),
        ("heavy_lane_acquisitions", "Times that the heavy lane was taken", counters.lane_acquisitions),
        ("proxy_circuit_opens", "Openings of proxy breakers", counters.circuit_opens),
        ("proxy_degradations", "Attempts sent with a lesser vantage policy", counters.proxy_degraded),
        ("redispatches", "Attempts sent through the stack again after a failure", counters.redispatched),
    ] {
        sheet.counter(name, help, value)?;
    }
    sheet.by_mode("waits", "Decisions that an attempt has to wait", counters.waits)?;
    sheet.by_mode("timeouts", "Decisions that a time is up", counters.timeouts)?;
    sheet.by_mode("finalisations", "Last calls before the SLA is missed", counters.finalised)
}

fn refusals(sheet: &mut Sheet<'_, '_>, stats: &Stats) -> fmt::Result {
    let rows = Reason::ALL.into_iter().flat_map(|reason| {
        modes(stats.counters.refused(reason)).map(|(mode, value)| {
            let labels = [("engine", engine_of(reason)), ("reason", reason.name()), ("mode", mode)];
            (labels.map(|(name, value)| (name, value.to_owned())).into(), value)
        })
    });
    sheet.counters("rejections", "Refusals, carried out and only observed", &rows.collect::<Vec<_>>())
}
