//! SIGHUP: the settings are read again, from the file and from the files of secrets. What `serve` can apply without a restart is
//! applied, the log says what it cannot. The variables of a process never change, so what they set stays.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app;
use crate::config::settings::Settings;
use crate::config::{load, variables};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::telemetry::Terminal;

/// Where the settings come from.
pub(super) struct Reloads {
    signals: Signal,
    file: Option<PathBuf>,
    bind: Option<SocketAddr>,
    terminal: Terminal,
}

impl Reloads {
    /// Listens for SIGHUP from now on; without that, the signal would end the process. `bind` replaces `web.bind`.
    pub(super) fn listen(
        file: Option<PathBuf>,
        bind: Option<SocketAddr>,
        terminal: Terminal,
    ) -> Outcome<Self> {
        let signals = signal(SignalKind::hangup())
            .map_err(|error| Fault::new(Kind::Final, "signals cannot be listened for").because(error))?;
        Ok(Self {
            signals,
            file,
            bind,
            terminal,
        })
    }

    /// Waits until settings were read that differ from the current ones. Settings that cannot be read or are wrong change nothing.
    pub(super) async fn next(&mut self, current: &Settings) -> Settings {
        loop {
            if self.signals.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            match self.read(current) {
                Ok(Some(changed)) => return changed,
                Ok(None) => tracing::info!("SIGHUP: the settings are as they were"),
                Err(fault) => {
                    let hint = fault.hint.as_deref().unwrap_or_default();
                    tracing::error!(hint, "SIGHUP: the former settings stay: {fault}");
                }
            }
        }
    }

    fn read(&self, current: &Settings) -> Outcome<Option<Settings>> {
        let read = load::load(self.file.as_deref(), &variables::of_process(), current.registry);
        let mut read = read.map_err(|error| app::settings_fault(&error))?;
        if let Some(bind) = self.bind {
            read.web.bind = bind;
        }
        if read.sources == current.sources {
            return Ok(None);
        }
        self.terminal
            .refilter(&read.log.filter)
            .map_err(|error| Fault::new(Kind::Settings, error.to_string()).hint(error.hint()))?;
        for notice in &read.notices {
            tracing::warn!("{notice}");
        }
        let kept = keep(current, &mut read);
        if !kept.is_empty() {
            tracing::warn!(
                "SIGHUP: restart the service to apply {}; the former values stay until then",
                kept.join(", ")
            );
        }
        Ok(Some(read))
    }
}

/// Takes over what only a restart can change; returns the names of what differs.
fn keep(current: &Settings, read: &mut Settings) -> Vec<&'static str> {
    let differs = [
        ("`tenant.url`", current.tenant.url != read.tenant.url),
        ("`database.url`", current.database.url != read.database.url),
        (
            "`database.data_dir`",
            current.database.data_dir != read.database.data_dir,
        ),
        ("`web.bind`", current.web.bind != read.web.bind),
        ("`web.token_file`", current.web.token_file != read.web.token_file),
        ("`web.hosts`", current.web.hosts != read.web.hosts),
        ("`log.format`", current.log.format != read.log.format),
    ];
    read.tenant.url.clone_from(&current.tenant.url);
    read.database.url = current.database.url.clone();
    read.database.data_dir.clone_from(&current.database.data_dir);
    read.web = current.web.clone();
    read.log.format = current.log.format;
    let differing = differs.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(name, _)| name).collect()
}
