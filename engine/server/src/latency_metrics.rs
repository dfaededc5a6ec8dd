//! The shards' latencies as Prometheus sees them: percentiles of the latest interval, in seconds.

use latency::Metric;
use metrics::{Counter, Gauge, Unit};

use crate::housekeeping::{Quantile, Summaries};

const NAME: &str = "tipring_latency_seconds";
const LOST: &str = "tipring_latency_lost_total";

/// Handles for every shard, metric and quantile, and where their values come from.
pub(crate) struct LatencyGauges {
    gauges: Vec<Vec<[Gauge; 4]>>,
    lost: Counter,
    summaries: Summaries,
}

impl LatencyGauges {
    /// Registers and describes everything with the recorder that is installed.
    pub(crate) fn register(shards: usize, summaries: Summaries) -> LatencyGauges {
        metrics::describe_gauge!(
            NAME,
            Unit::Seconds,
            "Latencies of the last interval, by metric and quantile (1 is the longest); NaN: there were none."
        );
        metrics::describe_counter!(
            LOST,
            Unit::Count,
            "Intervals that could not be written to the latency log. Should stay 0."
        );
        let of_shard = |shard: usize| Metric::ALL.map(|metric| of_metric(shard, metric)).into();
        LatencyGauges {
            gauges: (0..shards).map(of_shard).collect(),
            lost: metrics::counter!(LOST),
            summaries,
        }
    }

    /// Copies the latest summaries.
    pub(crate) fn copy(&self) {
        self.lost.absolute(self.summaries.lost());
        for (gauges, summary) in self.gauges.iter().zip(self.summaries.read()) {
            for (gauges, seconds) in gauges.iter().zip(summary) {
                for (gauge, seconds) in gauges.iter().zip(seconds) {
                    gauge.set(seconds);
                }
            }
        }
    }
}

fn of_metric(shard: usize, metric: Metric) -> [Gauge; 4] {
    Quantile::ALL.map(|quantile| {
        metrics::gauge!(NAME, "shard" => shard.to_string(), "metric" => metric.name(),
            "quantile" => quantile.label())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn percentiles_are_exposed_by_shard_metric_and_quantile() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let summaries = Summaries::new(2);
        let mut set = latency::Set::new(&Metric::NAMES);
        set.record(Metric::Turn.index(), 6_400, 100);
        summaries.renew(1, &set);
        metrics::with_local_recorder(&recorder, || {
            LatencyGauges::register(2, summaries).copy();
        });
        let text = recorder.handle().render();
        let line =
            "tipring_latency_seconds{shard=\"1\",metric=\"turn\",quantile=\"0.99\"} 0.0000064";
        assert!(text.contains(line), "{text}");
        let none = "tipring_latency_seconds{shard=\"0\",metric=\"turn\",quantile=\"1\"} NaN";
        assert!(text.contains(none), "{text}");
        assert!(text.contains("tipring_latency_lost_total 0"), "{text}");
    }
}
