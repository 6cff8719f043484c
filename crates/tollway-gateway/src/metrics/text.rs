//! The numbers as Prometheus reads them: OpenMetrics text, written anew at each look.

use std::fmt;
use std::sync::{Arc, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use super::{Calls, Metrics, Outcome, ServiceMetrics};
use crate::upstream::Condition;

/// What the text is, for `Content-Type`.
pub(crate) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The prefix of every name.
const PREFIX: &str = "tollway";

impl Metrics {
    /// Everything counted so far, and how the servers behind each service are.
    pub(crate) fn text(self: &Arc<Self>, upstreams: Vec<(String, Condition)>) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        let look = Look { metrics: Arc::clone(self), upstreams };
        registry.register_collector(Box::new(look));
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }
}

type Named<'a> = [(&'a str, Arc<ServiceMetrics>)];

/// What one text is written from.
#[derive(Debug)]
struct Look {
    metrics: Arc<Metrics>,
    /// Each with its service.
    upstreams: Vec<(String, Condition)>,
}

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let services = metrics.services.read().unwrap_or_else(PoisonError::into_inner);
        let services: Vec<(&str, Arc<ServiceMetrics>)> =
            services.iter().map(|(name, one)| (name.as_str(), Arc::clone(one))).collect();
        metrics.requests(&mut encoder, &services)?;
        sales(&mut encoder, &services)?;
        limits(&mut encoder, &services)?;
        calls(&mut encoder, &[("node", &metrics.node), ("store", &metrics.store)])?;
        self.upstreams(&mut encoder)?;
        metrics.process(&mut encoder)
    }
}

impl Look {
    fn upstreams(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all = || {
            self.upstreams.iter().map(|(service, one)| {
                ([("service", service.as_str()), ("upstream", one.server.as_str())], one)
            })
        };
        let help =
            "Whether a server of a service answers (1) or not (0), by its checks and by requests";
        let kind = MetricType::Gauge;
        let mut family = encoder.encode_descriptor("upstream_healthy", help, None, kind)?;
        for (labels, one) in all() {
            family.encode_family(&labels)?.encode_gauge(&i64::from(one.healthy))?;
        }
        let kind = MetricType::Counter;
        let help = "Requests that a server took no notice of, broke off or did not answer in time";
        let mut family = encoder.encode_descriptor("upstream_failures", help, None, kind)?;
        for (labels, one) in all() {
            let mut line = family.encode_family(&labels)?;
            line.encode_counter::<NoLabelSet, _, u64>(&one.failures, None)?;
        }
        let help = "How often a server was left alone for a while because it kept failing";
        let mut family = encoder.encode_descriptor("upstream_ejections", help, None, kind)?;
        for (labels, one) in all() {
            let mut line = family.encode_family(&labels)?;
            line.encode_counter::<NoLabelSet, _, u64>(&one.ejections, None)?;
        }
        Ok(())
    }
}

impl Metrics {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>, services: &Named<'_>) -> fmt::Result {
        let help = "Requests by what became of them; without a service, those that belong to none";
        let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        let all = || services.iter().map(|(name, one)| (*name, &**one)).chain([("", &self.nobody)]);
        for (service, metrics) in all() {
            for outcome in Outcome::ALL {
                let labels = [("service", service), ("outcome", outcome.word())];
                counter(&mut family, &labels, &metrics.requests[outcome as usize])?;
            }
        }
        let help = "Time from a request's head to the head of its answer";
        let unit = Some(&Unit::Seconds);
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor("request_duration", help, unit, kind)?;
        for (service, metrics) in all() {
            histogram(&mut family, &[("service", service)], &metrics.latency)?;
        }
        Ok(())
    }

    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut plain = |name, help, counter: &Counter| {
            let mut one = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            one.encode_counter::<NoLabelSet, _, u64>(&counter.get(), None)
        };
        plain("connections_accepted", "Connections taken", &self.accepted)?;
        let help = "Connections that are open";
        let mut one = encoder.encode_descriptor("connections", help, None, MetricType::Gauge)?;
        one.encode_gauge(&self.connections.get())?;
        let help = "Configurations read again, by whether they could be put in force";
        let mut family = encoder.encode_descriptor("reloads", help, None, MetricType::Counter)?;
        counter(&mut family, &[("result", "ok")], &self.reloaded)?;
        counter(&mut family, &[("result", "failed")], &self.not_reloaded)?;
        let help = "The version that runs";
        let mut one = encoder.encode_descriptor("build", help, None, MetricType::Info)?;
        one.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

fn sales(encoder: &mut DescriptorEncoder<'_>, services: &Named<'_>) -> fmt::Result {
    let help = "Challenges in 402 answers, by scheme";
    let mut family = encoder.encode_descriptor("challenges", help, None, MetricType::Counter)?;
    for (service, metrics) in services {
        let offered = [("l402", &metrics.tokens_offered), ("payment", &metrics.charges_offered)];
        for (scheme, number) in offered {
            counter(&mut family, &[("service", *service), ("scheme", scheme)], number)?;
        }
    }
    let help = "Payments seen for the first time";
    let mut family = encoder.encode_descriptor("settlements", help, None, MetricType::Counter)?;
    for (service, metrics) in services {
        counter(&mut family, &[("service", *service)], &metrics.settled)?;
    }
    let help = "What those payments came to, in millisatoshi";
    let mut family = encoder.encode_descriptor("revenue_msat", help, None, MetricType::Counter)?;
    for (service, metrics) in services {
        counter(&mut family, &[("service", *service)], &metrics.revenue)?;
    }
    Ok(())
}

fn limits(encoder: &mut DescriptorEncoder<'_>, services: &Named<'_>) -> fmt::Result {
    let help = "Requests that came too often: for a limit of the service, or for the one on bills";
    let mut family = encoder.encode_descriptor("limited", help, None, MetricType::Counter)?;
    for (service, metrics) in services {
        let hit = [("requests", &metrics.too_many_requests), ("bills", &metrics.too_many_bills)];
        for (limit, number) in hit {
            counter(&mut family, &[("service", *service), ("limit", limit)], number)?;
        }
    }
    Ok(())
}

/// For each of those we ask: how often, how long it took, and whether they answer at the moment.
fn calls(encoder: &mut DescriptorEncoder<'_>, asked: &[(&str, &Calls)]) -> fmt::Result {
    let help = "Questions to the node and to the store, by whether they were answered";
    let mut family = encoder.encode_descriptor("calls", help, None, MetricType::Counter)?;
    for (of, calls) in asked {
        counter(&mut family, &[("of", *of), ("result", "ok")], &calls.good)?;
        counter(&mut family, &[("of", *of), ("result", "failed")], &calls.failed)?;
    }
    let help = "Questions in a row that were not answered; 0 is good health";
    let mut family = encoder.encode_descriptor("failing", help, None, MetricType::Gauge)?;
    for (of, calls) in asked {
        gauge(&mut family, &[("of", *of)], &calls.failing)?;
    }
    let (unit, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
    let help = "Time that the node and the store took to answer";
    let mut family = encoder.encode_descriptor("call_duration", help, unit, kind)?;
    for (of, calls) in asked {
        histogram(&mut family, &[("of", *of)], &calls.latency)?;
    }
    Ok(())
}

fn counter(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    counter: &Counter,
) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&counter.get(), None)
}

fn gauge(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    gauge: &Gauge,
) -> fmt::Result {
    family.encode_family(labels)?.encode_gauge(&gauge.get())
}

fn histogram(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    histogram: &Histogram,
) -> fmt::Result {
    let seen = histogram.look();
    let mut one = family.encode_family(labels)?;
    one.encode_histogram::<NoLabelSet>(seen.sum, seen.count, &seen.buckets, None)
}
