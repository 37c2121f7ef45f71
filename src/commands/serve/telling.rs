//! Tells the webhook of what is wrong and the dead-man switch that the service works, beside the schedule and with the same settings.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::commands::status;
use crate::config::settings::Settings;
use crate::model::fault::Outcome;
use crate::model::liveness::Liveness;
use crate::model::metrics::Messages;
use crate::model::ports::Observer as _;
use crate::model::status::Status;
use crate::notify::rounds::{Pace, Rounds};
use crate::notify::sender::Sender;
use crate::web::server::Health;

/// Heartbeats of the schedule between two looks at what is wrong.
const HEARTBEATS_OF_A_ROUND: u32 = 3;

/// Tells until `stop`, where the settings say to whom.
pub(super) async fn tell(
    settings: &Settings,
    app: &App,
    sender: Sender,
    (liveness, messages): (&Liveness, &Arc<Messages>),
    stop: &CancellationToken,
) {
    if !sender.has_webhook() && !sender.has_heartbeat() {
        return;
    }
    let notify = &settings.notify;
    let health = Health::new(liveness.clone(), settings.schedule.heartbeat);
    let rounds = Rounds {
        store: Arc::new(app.store.clone()),
        sender,
        pace: Pace {
            every: settings.schedule.heartbeat * HEARTBEATS_OF_A_ROUND,
            remind_after: notify.remind_after,
            remind_at_most: notify.remind_at_most,
            heartbeat_every: notify.heartbeat_every,
            longest_silence: health.longest_silence(),
        },
        goals: settings.goals(),
        messages: Arc::clone(messages),
    };
    let look = async || -> Outcome<Status> { Ok(status::judged(app.store.status().await?, settings)) };
    rounds.run(look, liveness, stop).await;
}
