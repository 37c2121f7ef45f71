//! Logging to stderr: text on a terminal, one JSON object per line elsewhere, times in UTC. Attached progress bars are
//! suspended while a line is written.

use std::env::VarError;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::MultiProgress;
use tracing::field::Field;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use crate::config::settings::LogFormat;
use crate::model::sanitize;

pub mod traces;

use traces::Exporter;

/// What is logged unless `RUST_LOG` says otherwise: the service (`blueconic_sync`) and its private cluster (`embedded_postgres`)
/// from `info` on.
const DEFAULT_FILTER: &str = "info,sqlx=error,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn,tower=warn,\
                              tokio_cron_scheduler=warn";

/// Where a filter comes from.
const VARIABLE: &str = "the variable `RUST_LOG`";
const SETTING: &str = "`log.filter`";

/// An error of setting up logging.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is invalid.
    #[error("{origin} cannot be `{value}`: {why}")]
    Filter {
        /// Where it comes from.
        origin: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something else in this process logs already.
    #[error("logging is set up already")]
    Already(#[from] tracing_subscriber::util::TryInitError),
}

impl TelemetryError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "set it to something like `info,blueconic_sync=debug`, or unset it",
            Self::Already(_) => "this is a defect of blueconic-sync: please report it",
        }
    }
}

/// Sets up logging for the process. `given` is the filter of the settings, `terminal` says whether stderr is one, and `traces` takes the
/// spans.
///
/// Progress bars are attached to the returned terminal.
pub fn init(
    format: LogFormat,
    given: &str,
    terminal: bool,
    traces: Option<&Exporter>,
) -> Result<Terminal, TelemetryError> {
    let asked = std::env::var("RUST_LOG");
    let for_a_person = asked.is_err() && given.is_empty();
    let (filter, handle) = reload::Layer::new(filter(asked, given)?);
    let shared = Terminal {
        json: is_json(format, terminal),
        filter: Some(handle),
        ..Terminal::default()
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(shared.clone());
    // The filter is that of the lines alone: spans go to a collector whatever is logged.
    let lines = if shared.json {
        let json = lines.json().flatten_event(true);
        json.with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed()
    } else {
        let text = lines.with_target(false).with_ansi(terminal && wants_colour());
        if for_a_person {
            text.fmt_fields(debug_fn(sentence)).with_filter(filter).boxed()
        } else {
            // With `RUST_LOG` set, somebody is looking for details.
            text.fmt_fields(debug_fn(everything)).with_filter(filter).boxed()
        }
    };
    let registry = tracing_subscriber::registry().with(lines);
    registry.with(traces.map(Exporter::layer)).try_init()?;
    Ok(shared)
}

/// Writes a field for a person. Sentences contain their numbers, so only fields that sentences leave out follow.
fn sentence(line: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" | "fault" | "why" | "hint" | "data_dir" => everything(line, field, value),
        _ => Ok(()),
    }
}

/// Writes a field, sanitized: its value may come from outside, and must neither forge a log line nor control a terminal.
fn everything(line: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut line = sanitize::Line(line);
    match field.name() {
        "message" => write!(line, "{value:?}"),
        name => write!(line, " {name}={value:?}"),
    }
}

const fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

/// <https://no-color.org>: set and not empty means no.
fn wants_colour() -> bool {
    let no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !no && !dumb
}

/// The filter of the variable, else that of the settings, else the program's own.
fn filter(asked: Result<String, VarError>, given: &str) -> Result<EnvFilter, TelemetryError> {
    let (text, origin) = match asked {
        Ok(text) if !text.trim().is_empty() => (text, VARIABLE),
        Ok(_) | Err(VarError::NotPresent) if !given.trim().is_empty() => (given.to_owned(), SETTING),
        Ok(_) | Err(VarError::NotPresent) => (DEFAULT_FILTER.to_owned(), SETTING),
        Err(VarError::NotUnicode(value)) => {
            return Err(TelemetryError::Filter {
                origin: VARIABLE,
                value: value.to_string_lossy().into_owned(),
                why: "it is no valid Unicode".to_owned(),
            });
        }
    };
    EnvFilter::try_new(&text).map_err(|error| TelemetryError::Filter {
        origin,
        value: text,
        why: error.to_string(),
    })
}

/// The target of log lines: stderr, with attached progress bars suspended.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    bars: Arc<Mutex<Option<MultiProgress>>>,
    /// Lines are JSON documents.
    json: bool,
    /// The filter in use; none before logging is set up.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
}

impl Terminal {
    /// Filters by this setting from now on; `RUST_LOG` wins over it.
    pub fn refilter(&self, given: &str) -> Result<(), TelemetryError> {
        let filter = filter(std::env::var("RUST_LOG"), given)?;
        if let Some(handle) = &self.filter
            && let Err(error) = handle.reload(filter)
        {
            tracing::debug!(%error, "the log filter could not be changed");
        }
        Ok(())
    }

    /// Suspends these bars while log lines are written, until the returned value is dropped.
    #[must_use = "the bars are attached for as long as this lives"]
    pub fn attach(&self, bars: &MultiProgress) -> Attached {
        self.set(Some(bars.clone()));
        Attached {
            terminal: self.clone(),
        }
    }

    fn set(&self, bars: Option<MultiProgress>) {
        *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = bars;
    }
}

/// Bars that are suspended while log lines are written.
#[derive(Debug)]
pub struct Attached {
    terminal: Terminal,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.terminal.set(None);
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Line {
            bars,
            json: self.json,
        }
    }
}

/// Writes a log line. tracing-subscriber writes an event at once, so the bars are suspended once. A line that cannot be written
/// is lost and the work continues; tracing-subscriber would report the error on stderr and panic there.
#[derive(Debug)]
pub struct Line {
    bars: Option<MultiProgress>,
    json: bool,
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write_all(text)?;
        Ok(text.len())
    }

    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        // JSON escapes only control characters in ASCII, so a document is sanitized here; a text was sanitized by field.
        let document = self.json.then(|| String::from_utf8_lossy(text));
        let document = document.as_deref().map(sanitize::json);
        let shown = document.as_deref().map_or(text, str::as_bytes);
        let write = || {
            let _lost = io::stderr().lock().write_all(shown);
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _lost = io::stderr().flush();
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn text_on_a_terminal_json_elsewhere_unless_set() {
        let shapes = [LogFormat::Auto, LogFormat::Text, LogFormat::Json]
            .map(|format| [true, false].map(|terminal| is_json(format, terminal)));
        assert_eq!(shapes, [[false, true], [false, false], [true, true]]);
    }

    #[test]
    fn a_wrong_filter_is_named_and_an_empty_one_is_none() {
        let error = filter(Ok("info,blueconic_sync=loud".to_owned()), "warn").unwrap_err();
        assert!(
            error.to_string().contains("`info,blueconic_sync=loud`"),
            "{error}"
        );
        for unset in [Ok(String::new()), Err(VarError::NotPresent)] {
            assert!(
                filter(unset.clone(), "")
                    .unwrap()
                    .to_string()
                    .contains("sqlx=error")
            );
            assert_eq!(filter(unset.clone(), "debug").unwrap().to_string(), "debug");
            let error = filter(unset, "blueconic_sync=loud").unwrap_err();
            assert!(error.to_string().starts_with("`log.filter` cannot be"), "{error}");
        }
    }

    #[test]
    fn the_private_cluster_is_logged_from_the_same_level_on_as_the_service() {
        let by_default = tracing_subscriber::registry().with(filter(Err(VarError::NotPresent), "").unwrap());
        tracing::subscriber::with_default(by_default, || {
            assert!(tracing::enabled!(target: "blueconic_sync::sync", tracing::Level::INFO));
            assert!(!tracing::enabled!(target: "blueconic_sync::sync", tracing::Level::DEBUG));
            assert!(tracing::enabled!(target: "embedded_postgres", tracing::Level::INFO));
            assert!(!tracing::enabled!(target: "embedded_postgres", tracing::Level::DEBUG));
            assert!(!tracing::enabled!(target: "sqlx::query", tracing::Level::WARN));
        });
    }

    #[test]
    fn bars_are_let_go_when_the_command_is_done_with_them() {
        let terminal = Terminal::default();
        let attached = terminal.attach(&MultiProgress::new());
        assert!(terminal.make_writer().bars.is_some());
        drop(attached);
        assert!(terminal.make_writer().bars.is_none());
    }
}
