//! Writes metrics in Prometheus' text format (version 0.0.4) or in that of `OpenMetrics` (1.0.0). They differ in the name of a counter's family, in
//! the line at the end, and in nothing else that is used here.

use std::fmt::{Display, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::model::metrics::Buckets;

/// The prefix of this program's metrics.
pub(super) const PREFIX: &str = "blueconic_sync_";

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' own.
    Prometheus,
    /// `OpenMetrics`.
    OpenMetrics,
}

impl Format {
    /// The format that a request asks for. Prometheus names `OpenMetrics` first where it takes it.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let mut accepted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let is_named = accepted.any(|value| {
            value.split(',').any(|kind| {
                let mut parts = kind.split(';').map(str::trim);
                let is_open = parts
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
                is_open
                    && parts.all(|part| {
                        part.strip_prefix("q=")
                            .is_none_or(|q| q.trim().parse() != Ok(0.0))
                    })
            })
        });
        if is_named {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The media type of the format.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Lines in a format.
pub(super) struct Page {
    format: Format,
    text: String,
}

/// The samples of one family, which stand together under one heading, as both formats demand.
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: String,
}

impl Page {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// Starts a family of gauges.
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(format!("{PREFIX}{name}"), help, Kind::Gauge)
    }

    /// Starts a family of counters, whose name ends with `_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(format!("{PREFIX}{name}"), help, Kind::Counter)
    }

    /// Starts a family of histograms.
    pub(super) fn histogram(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(format!("{PREFIX}{name}"), help, Kind::Histogram)
    }

    /// A gauge of the process, whose name is not this program's own.
    pub(super) fn process_gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name.to_owned(), help, Kind::Gauge).sample(&[], value);
    }

    /// A counter of the process.
    pub(super) fn process_counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name.to_owned(), help, Kind::Counter)
            .sample(&[], value);
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn family(&mut self, name: String, help: &str, kind: Kind) -> Family<'_> {
        let heading = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(&name),
            _ => &name,
        };
        // Writing to a String cannot fail.
        let _ = write!(
            self.text,
            "# HELP {heading} {help}\n# TYPE {heading} {}\n",
            kind.as_str()
        );
        Family { page: self, name }
    }
}

impl Family<'_> {
    /// A sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// The samples of a histogram.
    pub(super) fn buckets(&mut self, labels: &[(&str, &str)], buckets: &Buckets) -> &mut Self {
        for (bound, count) in &buckets.up_to {
            let bound = format!("{bound:?}");
            self.line("_bucket", &[labels, &[("le", bound.as_str())]].concat(), count);
        }
        self.line("_bucket", &[labels, &[("le", "+Inf")]].concat(), buckets.count);
        self.line("_sum", labels, buckets.sum);
        self.line("_count", labels, buckets.count);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.page.text, "{}{suffix}{labels} {value}", self.name);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_comes_to_whoever_names_it() {
        let wanted = |accept: &'static str| {
            let value = axum::http::HeaderValue::from_static(accept);
            Format::wanted(&HeaderMap::from_iter([(ACCEPT, value)]))
        };
        for accept in [
            "application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "text/plain;q=0.5, Application/OpenMetrics-Text; version=1.0.0; q=0.8",
        ] {
            assert_eq!(wanted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in ["", "*/*", "text/plain", "application/openmetrics-text;q=0"] {
            assert_eq!(wanted(accept), Format::Prometheus, "{accept}");
        }
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::Prometheus);
    }
}
